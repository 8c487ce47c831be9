import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import type { KubeObject } from '../../runtime/core/k8s.ts';
import { type Logger, silentLogger } from '../../runtime/core/log.ts';
import type { WatchEvent } from './client.ts';
import { FakeApi, type OpenWatch } from './fake-api.ts';
import { Informer, type InformerDeps } from './informer.ts';
import { kinds } from './resource-kind.ts';

type Context = {
  api: FakeApi;
  clock: FakeClock;
  heard: string[];
  make: (more?: Partial<InformerDeps<KubeObject>>) => Informer<KubeObject>;
  informer: Informer<KubeObject>;
};
const test = suite<Context>('informer');

const configMap = (name: string, resourceVersion: string, uid = `uid-${name}`): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'ns', uid, resourceVersion },
});
const event = (type: WatchEvent['type'], object: KubeObject): WatchEvent => ({ type, object });
const forgotten = {
  type: 'ERROR',
  object: { kind: 'Status', code: 410, metadata: {} },
} as unknown as WatchEvent;

test.before.each((context) => {
  context.api = new FakeApi();
  context.clock = new FakeClock();
  context.heard = [];
  context.make = (more = {}) => {
    const { api, clock, heard } = context;
    context.informer = new Informer({
      api,
      kind: kinds.configMap,
      clock,
      log: silentLogger,
      random: () => 0.5,
      ...more,
    });
    context.informer.onChange({
      changed: ({ metadata }, before) => {
        heard.push(`${metadata.name} ${before?.metadata.resourceVersion ?? '-'}>${metadata.resourceVersion}`);
      },
      removed: ({ metadata }) => heard.push(`${metadata.name} gone ${metadata.resourceVersion}`),
    });
    return context.informer;
  };
});
test.after.each(async ({ informer, clock }) => {
  await informer.stop();
  assert.is(clock.pending, 0, 'no timer is left');
});

const never = (): AbortSignal => new AbortController().signal;
const put = (api: FakeApi, name: string, uid?: string): Promise<unknown> =>
  api.update(kinds.configMap, { name, namespace: 'ns' }, configMap(name, '', uid));
const remove = (api: FakeApi, name: string): Promise<unknown> =>
  api.delete(kinds.configMap, { name, namespace: 'ns' });
function last(api: FakeApi): OpenWatch {
  const open = api.watches.at(-1);
  if (!open) throw new Error('nothing is watched');
  return open;
}
const followed = (api: FakeApi): string[] => api.calls.filter((call) => /^(GET|WATCH)/.test(call));

test('it lists once and watches from there', async ({ api, clock, heard, make }) => {
  await put(api, 'a');
  await put(api, 'b');
  const informer = make({ query: { labelSelector: 'x=y' } });
  await informer.start(never());
  assert.equal(heard, ['a ->1', 'b ->2']);
  await clock.advance(0);
  assert.equal(followed(api), ['GET /api/v1/configmaps', 'WATCH configmaps 2']);
  assert.equal(last(api).query, { labelSelector: 'x=y', resourceVersion: '2' });
  assert.is(informer.get('ns', 'a')?.metadata.resourceVersion, '1');
  assert.is(informer.get('other', 'a'), undefined);
  assert.is([...informer.values()].length, 2);
});

test('what is watched is kept and told, with what was before', async ({ api, heard, make }) => {
  await put(api, 'a');
  const informer = make();
  await informer.start(never());
  const { send } = last(api);
  send(event('ADDED', configMap('b', '2')));
  send(event('MODIFIED', configMap('a', '3')));
  send(event('DELETED', configMap('b', '4')));
  assert.equal(heard, ['a ->1', 'b ->2', 'a 1>3', 'b gone 4']);
  assert.is(informer.get('ns', 'b'), undefined);
});

test('what it knows already is not told again', async ({ api, heard, make }) => {
  await put(api, 'a');
  await make().start(never());
  last(api).send(event('ADDED', configMap('a', '1')));
  assert.equal(heard, ['a ->1']);
});

test('a watch that ends is taken up where it was, after the last bookmark', async ({
  api,
  clock,
  heard,
  make,
}) => {
  await put(api, 'a');
  await make().start(never());
  last(api).send(event('MODIFIED', configMap('a', '5')));
  last(api).send(event('BOOKMARK', configMap('', '9')));
  last(api).end();
  await clock.advance(0);
  assert.equal(followed(api), ['GET /api/v1/configmaps', 'WATCH configmaps 1', 'WATCH configmaps 9']);
  assert.equal(heard, ['a ->1', 'a 1>5'], 'a bookmark is no object');
});

test('after 410 it lists again and tells what it missed', async ({ api, clock, heard, make }) => {
  await put(api, 'a');
  await put(api, 'b');
  await put(api, 'same');
  const informer = make();
  await informer.start(never());
  await put(api, 'a');
  await put(api, 'c');
  await remove(api, 'b');
  await clock.advance(60_000);
  last(api).send(forgotten);
  last(api).end();
  await clock.advance(0);
  assert.equal(followed(api), [
    'GET /api/v1/configmaps',
    'WATCH configmaps 3',
    'GET /api/v1/configmaps',
    'WATCH configmaps 5',
  ]);
  assert.equal(heard.slice(3), ['a 1>4', 'c ->5', 'b gone 2']);
  assert.is(informer.get('ns', 'b'), undefined);
});

test('an object that came back under its name was gone in between', async ({ api, heard, make }) => {
  await put(api, 'a', 'old');
  await make().start(never());
  last(api).send(event('MODIFIED', configMap('a', '7', 'new')));
  assert.equal(heard, ['a ->1', 'a gone 1', 'a ->7']);
});

test('a watch that breaks is taken up after a pause that grows to 30 s', async ({ api, clock, make }) => {
  await make().start(never());
  for (const [i, pause] of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000].entries()) {
    last(api).fail(new Error('reset'));
    await clock.advance(pause - 1);
    assert.is(api.watches.length, i + 1);
    await clock.advance(1);
    assert.is(api.watches.length, i + 2);
  }
});

test('a watch that ended well begins the pauses anew', async ({ api, clock, make }) => {
  await make().start(never());
  last(api).fail(new Error('reset'));
  await clock.advance(1000);
  last(api).send(event('BOOKMARK', configMap('', '9')));
  last(api).end();
  await clock.advance(0);
  last(api).fail(new Error('reset'));
  await clock.advance(1000);
  assert.is(api.watches.length, 4);
});

for (const [what, cut] of [
  ['ends', (open: OpenWatch) => open.end()],
  [
    'answers 410 to',
    (open: OpenWatch) => {
      open.send(forgotten);
      open.end();
    },
  ],
] as const) {
  test(`a server that ${what} each watch at once is not asked without a pause`, async ({
    api,
    clock,
    make,
  }) => {
    await make().start(never());
    for (const [i, pause] of [1000, 2000, 4000].entries()) {
      cut(last(api));
      await clock.advance(pause - 1);
      assert.is(api.watches.length, i + 1);
      await clock.advance(1);
      assert.is(api.watches.length, i + 2);
    }
  });
}

test('it is not started until it has listed', async ({ api, clock, make }) => {
  const warnings: string[] = [];
  const log: Logger = { ...silentLogger, warn: (_text, fields) => warnings.push(String(fields?.reason)) };
  const refused = { call: /configmaps/, code: 403, reason: 'Forbidden' };
  api.refusals.push(refused);
  let started = false;
  const start = make({ log })
    .start(never())
    .then(() => {
      started = true;
    });
  await clock.advance(500);
  assert.not(started);
  assert.equal(warnings, ['GET /api/v1/configmaps was refused']);
  api.refusals.length = 0;
  await clock.advance(500);
  await start;
  assert.ok(started);
});

test('an object of a list has its kind, and is cut before it is kept', async ({ api, make }) => {
  await api.update(
    kinds.configMap,
    { name: 'a', namespace: 'ns' },
    { metadata: { name: 'a', namespace: 'ns' } },
  );
  const informer = make({
    trim: ({ apiVersion = '', kind = '', metadata }) => ({ apiVersion, kind, metadata }),
  });
  await informer.start(never());
  assert.equal(informer.get('ns', 'a'), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', namespace: 'ns', resourceVersion: '1' },
  });
});

test('a handler that throws does not keep the others from hearing', async ({ api, heard, make }) => {
  await put(api, 'a');
  const failures: string[] = [];
  const informer = make({ log: { ...silentLogger, error: (text) => failures.push(text) } });
  informer.onChange({
    changed: () => {
      throw new Error('broken');
    },
    removed: () => {},
  });
  informer.onChange({ changed: ({ metadata }) => heard.push(`second ${metadata.name}`), removed: () => {} });
  await informer.start(never());
  assert.equal(heard, ['a ->1', 'second a']);
  assert.equal(failures, ['a change could not be dealt with']);
});

test('it stops with its signal, in a pause too', async ({ api, clock, make }) => {
  const abort = new AbortController();
  const informer = make();
  await informer.start(abort.signal);
  last(api).fail(new Error('reset'));
  await clock.advance(0);
  assert.is(clock.pending, 1);
  abort.abort();
  await informer.stop();
  assert.is(api.watches.length, 1);
});

test.run();
