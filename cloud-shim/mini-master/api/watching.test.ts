import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../../runtime/core/fake-clock.ts';
import { type ApiObject, type JsonObject, listAt, objectAt, objectsAt } from '../json.ts';
import { Registry, type Served } from '../kinds/registry.ts';
import { parseLabelSelector } from '../selectors.ts';
import { Refusal } from '../status.ts';
import { Store } from '../store/store.ts';
import { streamChanges, type WatchRequest } from './watching.ts';

/** The client's end of a watch. */
class Client extends EventEmitter {
  readonly events: JsonObject[] = [];
  code = 0;
  ended = false;
  writableLength = 0;

  writeHead(code: number): void {
    this.code = code;
  }

  flushHeaders(): void {}

  write(line: string): void {
    this.events.push(JSON.parse(line) as JsonObject);
  }

  end(line?: string): void {
    if (line) this.write(line);
    this.ended = true;
    this.emit('close');
  }

  destroy(): void {
    this.end();
  }

  /** `ADDED a 1` */
  get told(): string[] {
    return this.events.map(({ type, object }) => {
      const { metadata } = object as ApiObject;
      return [type, metadata.name ?? '-', metadata.resourceVersion].join(' ');
    });
  }
}

type Context = {
  clock: FakeClock;
  store: Store;
  watch: (request?: Partial<WatchRequest>) => Client;
};
const test = suite<Context>('watching');

const pod = (name: string, label = '', namespace = 'default'): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels: { l: label } },
});

test.before.each((context) => {
  context.clock = new FakeClock();
  context.store = new Store({ revision: 0, objects: {} }, 2);
  const served = new Registry(context.store).find('', 'v1', 'pods') as Served;
  context.watch = (request = {}) => {
    const client = new Client();
    const whole: WatchRequest = {
      served,
      namespace: undefined,
      matches: () => true,
      view: { as: 'Object', include: 'Metadata' },
      resourceVersion: '',
      bookmarks: false,
      initialEvents: false,
      timeout: 0,
      ...request,
    };
    streamChanges(context.store, context.clock, whole, client as unknown as ServerResponse);
    return client;
  };
});

test('a watch from nowhere begins with all that there is', ({ store, watch }) => {
  store.put('pods', pod('b'));
  store.put('pods', pod('a'));
  const client = watch();
  store.put('pods', pod('c'));
  store.put('pods', pod('a', 'new'));
  store.remove('pods', pod('b'));
  assert.is(client.code, 200);
  assert.equal(client.told, ['ADDED a 2', 'ADDED b 1', 'ADDED c 3', 'MODIFIED a 4', 'DELETED b 5']);
});

test('a watch from a version goes on after it', ({ store, watch }) => {
  for (const name of ['a', 'b', 'c']) store.put('pods', pod(name));
  const client = watch({ resourceVersion: '1' });
  store.put('pods', pod('d'));
  assert.equal(client.told, ['ADDED b 2', 'ADDED c 3', 'ADDED d 4']);
});

test('a watch from a version that is forgotten ends with 410 in the stream', ({ store, watch, clock }) => {
  for (let i = 1; i <= 5; i++) store.put('pods', pod(`p${i}`));
  const client = watch({ resourceVersion: '2', bookmarks: true });
  assert.is(client.code, 200);
  assert.equal(client.events, [
    {
      type: 'ERROR',
      object: {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        message: 'too old resource version: 2 (3)',
        reason: 'Expired',
        code: 410,
      },
    },
  ]);
  assert.ok(client.ended);
  assert.is(clock.pending, 0);
});

test('a version that is no number is refused before anything is sent', ({ watch }) => {
  assert.throws(
    () => watch({ resourceVersion: 'new' }),
    (error: unknown) => error instanceof Refusal && error.code === 400,
  );
});

test('a bookmark every 30 s tells how far the watch is, whatever changed', async ({
  store,
  watch,
  clock,
}) => {
  const client = watch({ bookmarks: true });
  store.put('secrets', pod('s'));
  await clock.advance(30_000);
  store.put('secrets', pod('s'));
  await clock.advance(30_000);
  assert.equal(client.events, [
    {
      type: 'BOOKMARK',
      object: { kind: 'Pod', apiVersion: 'v1', metadata: { resourceVersion: '1', creationTimestamp: null } },
    },
    {
      type: 'BOOKMARK',
      object: { kind: 'Pod', apiVersion: 'v1', metadata: { resourceVersion: '2', creationTimestamp: null } },
    },
  ]);
});

test('without the wish for bookmarks none come', async ({ watch, clock }) => {
  const client = watch();
  await clock.advance(300_000);
  assert.equal(client.events, []);
});

test('the end of the initial events is marked', ({ store, watch }) => {
  store.put('pods', pod('a'));
  const client = watch({ resourceVersion: '1', initialEvents: true });
  assert.equal(client.told, ['ADDED a 1', 'BOOKMARK - 1']);
  assert.equal(objectAt(client.events[1], 'object', 'metadata', 'annotations'), {
    'k8s.io/initial-events-end': 'true',
  });
});

test('who comes to match is added, who no longer does is deleted', ({ store, watch }) => {
  const client = watch({ matches: parseLabelSelector('l=x') });
  store.put('pods', pod('a', 'y'));
  store.put('pods', pod('a', 'x'));
  store.put('pods', pod('a', 'x'));
  store.put('pods', pod('a', 'z'));
  store.put('pods', pod('a', 'y'));
  store.remove('pods', pod('a', 'y'));
  assert.equal(client.told, ['ADDED a 2', 'MODIFIED a 3', 'DELETED a 4']);
});

test('the namespace of others is left out', ({ store, watch }) => {
  store.put('pods', pod('a', '', 'other'));
  const client = watch({ namespace: 'default' });
  store.put('pods', pod('b', '', 'other'));
  store.put('pods', pod('c'));
  assert.equal(client.told, ['ADDED c 3']);
});

test('a watch ends after its timeout, a bookmark before, and leaves nothing behind', async ({
  store,
  watch,
  clock,
}) => {
  const client = watch({ timeout: 29, bookmarks: true });
  await clock.advance(29_000);
  assert.ok(client.ended);
  assert.is(clock.pending, 0);
  store.put('pods', pod('late'));
  assert.equal(client.told, ['BOOKMARK - 0']);
});

test('a client that does not read is let go', ({ store, watch }) => {
  const client = watch();
  client.writableLength = 17 * 1024 * 1024;
  store.put('pods', pod('a'));
  store.put('pods', pod('b'));
  assert.equal(client.told, ['ADDED a 1']);
  assert.ok(client.ended);
});

test('rows come where a table is asked for', ({ store, watch }) => {
  const client = watch({ view: { as: 'Table', include: 'None' } });
  store.put('pods', pod('a'));
  const table = objectAt(client.events[0], 'object');
  assert.is(table.kind, 'Table');
  assert.is(listAt(objectsAt(table, 'rows')[0], 'cells')[0], 'a');
});

test.run();
