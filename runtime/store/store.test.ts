import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../core/clock.ts';
import { errorCode } from '../core/errors.ts';
import { silentLogger } from '../core/log.ts';
import { Metrics } from '../core/metrics.ts';
import { markSchema } from './schema.ts';
import { Store } from './store.ts';

type Context = { dir: string; path: string };
const test = suite<Context>('store');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'store-'));
  context.path = join(context.dir, 'state', 'edgecore.db');
});
test.after.each((context) => rmSync(context.dir, { recursive: true }));

const open = (path: string, metrics = new Metrics()): Store =>
  new Store({ path, clock: systemClock, log: silentLogger, metrics });

const figure = (metrics: Metrics, name: string): number =>
  Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(metrics.render())?.[1]);

test('what was written durably is there after a restart', async ({ path }) => {
  const first = open(path);
  await first.durable(() => first.meta.put({ key: 'default/pod/web', type: 'pod', value: '{"a":1}' }));
  await first.close();
  const second = open(path);
  assert.is(second.meta.get('default/pod/web'), '{"a":1}');
  assert.equal(
    second.meta.list('pod').map((row) => row.key),
    ['default/pod/web'],
  );
  await second.close();
});

test('lazy writes are seen at once and are kept by an orderly stop', async ({ path }) => {
  const first = open(path);
  first.lazy(() => first.devices.putTwin({ deviceid: 'default/plc', name: 't', value: '{}' }));
  assert.is(first.devices.listTwins().length, 1);
  await first.close();
  const second = open(path);
  assert.is(second.devices.listTwins().length, 1);
  await second.close();
});

test('what waits to be pushed is kept by target, in order', async ({ path }) => {
  const first = open(path);
  const row = (seq: number, target: string) => ({
    seq,
    target,
    body: `[${seq}]`,
    count: 2,
    bytes: 10,
    created: seq,
  });
  await first.durable(() => {
    for (const [seq, target] of [
      [3, 'a'],
      [1, 'a'],
      [2, 'b'],
    ] as const)
      first.push.put(row(seq, target));
  });
  await first.close();
  const store = open(path);
  assert.is(store.push.last(), 3);
  assert.equal(store.push.list('a', 0, 9), [row(1, 'a'), row(3, 'a')]);
  assert.equal(store.push.list('a', 1, 9), [row(3, 'a')]);
  assert.equal(
    store.push.oldest(2).map(({ seq }) => seq),
    [1, 2],
  );
  store.lazy(() => store.push.remove(1));
  assert.equal(store.push.totals(), [
    { target: 'a', count: 2, bytes: 10 },
    { target: 'b', count: 2, bytes: 10 },
  ]);
  await store.close();
});

test('API objects are listed by collection and namespace; what may go is told the longest unwritten first', async ({
  path,
}) => {
  const store = open(path);
  const row = (namespace: string, name: string, resourceVersion: number, kept = false) => ({
    key: `/core/v1/pods/${namespace}/${name}`,
    collection: '/core/v1/pods',
    namespace,
    name,
    resourceVersion,
    value: `"${name}"`,
    kept,
  });
  store.lazy(() => {
    for (const each of [row('b', 'x', 3), row('a', 'y', 9), row('a', 'own', 1, true), row('b', 'x', 4)])
      store.objects.put(each);
  });
  await store.close();
  const again = open(path);
  const { objects } = again;
  const names = (namespace?: string): string[] => objects.list('/core/v1/pods', namespace).map((r) => r.name);
  assert.equal([names(), names('a'), names('c')], [['own', 'y', 'x'], ['own', 'y'], []]);
  assert.equal(objects.get('/core/v1/pods/b/x'), row('b', 'x', 4));
  assert.equal(
    objects.oldest(9).map(({ key }) => key.slice(-3)),
    ['a/y', 'b/x'],
  );
  assert.equal([objects.figures(), objects.collections()], [{ version: 9, bytes: 6 }, ['/core/v1/pods']]);
  again.lazy(() => objects.remove('/core/v1/pods/a/y'));
  assert.equal(names('a'), ['own']);
  await again.close();
});

test('a hundred durable writes of one moment share one commit', async ({ path }) => {
  const metrics = new Metrics();
  const store = open(path, metrics);
  const writes = Array.from({ length: 100 }, (_, i) => store.durable(() => store.topics.add(`t/${i}`)));
  await Promise.all(writes);
  assert.is(figure(metrics, 'edgecore_store_commits_total'), 1);
  assert.is(figure(metrics, 'edgecore_store_syncs_total'), 1);
  assert.is(store.topics.list().length, 100);
  await store.close();
});

test('writes that arrive while a sync is under way are made durable by the next', async ({ path }) => {
  const store = open(path);
  const first = store.durable(() => store.topics.add('first'));
  const second = first.then(() => store.durable(() => store.topics.add('second')));
  store.lazy(() => store.topics.add('ride-along'));
  await second;
  assert.equal(store.topics.list(), ['first', 'ride-along', 'second']);
  await store.close();
});

test('a failed piece of work leaves its neighbours in the batch', async ({ path }) => {
  const store = open(path);
  const good = store.durable(() => store.topics.add('good'));
  assert.throws(() =>
    store.durable(() => {
      store.topics.add('half');
      throw new Error('no');
    }),
  );
  await good;
  assert.equal(store.topics.list(), ['good']);
  await store.close();
});

test('a second owner is refused while the first lives', async ({ path }) => {
  const store = open(path);
  try {
    open(path);
    assert.unreachable();
  } catch (error) {
    assert.is(errorCode(error), 'STORE_LOCKED');
  }
  await store.close();
});

test('the locks of a killed process do not stop the next, and what it committed is there', async ({
  path,
}) => {
  const program = `
    import { Store } from ${JSON.stringify(new URL('./store.ts', import.meta.url).href)};
    import { systemClock } from ${JSON.stringify(new URL('../core/clock.ts', import.meta.url).href)};
    import { silentLogger } from ${JSON.stringify(new URL('../core/log.ts', import.meta.url).href)};
    import { Metrics } from ${JSON.stringify(new URL('../core/metrics.ts', import.meta.url).href)};
    const store = new Store({ path: ${JSON.stringify(path)}, clock: systemClock, log: silentLogger, metrics: new Metrics() });
    await store.durable(() => store.topics.add('told'));
    store.lazy(() => store.topics.add('not told'));
    process.kill(process.pid, 'SIGKILL');
  `;
  const script = join(path, '..', '..', 'killed.mjs');
  writeFileSync(script, program);
  const run = spawnSync(process.execPath, ['--import', 'tsx', script], { timeout: 20_000, encoding: 'utf8' });
  assert.is(run.signal, 'SIGKILL', run.stderr);
  assert.ok(existsSync(`${path}.owner`));
  assert.ok(existsSync(`${path}.lock`));
  const store = open(path);
  assert.equal(store.topics.list(), ['told']);
  await store.close();
});

test('a damaged database is set aside, and an empty one serves', async ({ path, dir }) => {
  const first = open(path);
  await first.durable(() => first.topics.add('lost'));
  await first.close();
  const damaged = readFileSync(path);
  damaged.fill(0x5a, 100, damaged.length);
  writeFileSync(path, damaged);
  const second = open(path);
  assert.equal(second.topics.list(), []);
  await second.durable(() => second.topics.add('new'));
  await second.close();
  assert.is(readdirSync(join(dir, 'state')).filter((name) => name.includes('.corrupt-')).length, 1);
});

test('a database of a newer version is refused and left as it is', async ({ path }) => {
  const first = open(path);
  await first.close();
  const { default: sqlite } = await import('node-sqlite3-wasm');
  const db = new sqlite.Database(path);
  db.exec('PRAGMA locking_mode = EXCLUSIVE');
  markSchema(db, 99);
  db.close();
  try {
    open(path);
    assert.unreachable();
  } catch (error) {
    assert.is(errorCode(error), 'STORE_NEWER');
  }
});

test('an outbox entry with a subject takes the place of the earlier one, at the end of the queue', async ({
  path,
}) => {
  const store = open(path);
  const add = (subject: string | null, message: string, boot = '') => {
    const of = subject === null ? 'history' : 'state';
    const entry = { class: of, subject, message, bytes: message.length, created: 1, boot, mono: 7 } as const;
    return store.outbox.add(entry);
  };
  const list = (of: 'state' | 'history', after = 0) =>
    store.outbox.list(of, after, 10).map(({ message }) => message);
  await store.durable(() => {
    assert.is(add('a', 'a1'), undefined);
    add('b', 'b1');
    add(null, 'event', 'boot-1');
    add(null, 'event', 'boot-2');
    assert.is(add('a', 'a2!'), 2);
  });
  assert.equal(list('state'), ['b1', 'a2!']);
  assert.equal(list('state', 2), ['a2!']);
  assert.equal(store.outbox.totals(), [
    { class: 'history', count: 2, bytes: 10 },
    { class: 'state', count: 2, bytes: 5 },
  ]);
  await store.durable(() => store.outbox.restamp('boot-1', 100));
  assert.equal(
    store.outbox.list('history', 0, 10).map(({ boot, created }) => [boot, created]),
    [
      ['', 107],
      ['boot-2', 1],
    ],
  );
  assert.ok(store.outbox.has(3));
  assert.is(store.outbox.remove(3), 5);
  assert.not(store.outbox.has(3));
  assert.is(store.outbox.remove(3), undefined);
  await store.close();
});

test.run();
