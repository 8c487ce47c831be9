import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../core/errors.ts';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { Metrics } from '../core/metrics.ts';
import { FaultyDisk } from './faulty-disk.ts';
import { migrations } from './migrations.ts';
import { Store } from './store.ts';

type Context = {
  dir: string;
  path: string;
  clock: FakeClock;
  disk: FaultyDisk;
  store: Store;
  metrics: Metrics;
};
const test = suite<Context>('faults');

const open = ({ path, clock, disk }: Context, metrics = new Metrics()): Store =>
  new Store({ path, clock, log: silentLogger, metrics, syncFile: disk.syncFile });

test.before.each((context) => {
  const dir = mkdtempSync(join(tmpdir(), 'store-faults-'));
  const metrics = new Metrics();
  Object.assign(context, {
    dir,
    path: join(dir, 'edgecore.db'),
    clock: new FakeClock(),
    disk: new FaultyDisk(),
    metrics,
  });
  context.store = open(context, metrics);
});
test.after.each(async ({ dir, disk, store, clock }) => {
  disk.fault = undefined;
  disk.failsSyncs = false;
  await store.close();
  disk.restore();
  assert.is(clock.pending, 0, 'no timer is left');
  rmSync(dir, { recursive: true });
});

/** Settles a durable write by turning the clock; gives the code of its error. */
async function settle({ clock }: Context, work: Promise<void>): Promise<string | undefined> {
  let code: string | undefined = 'not settled';
  work.then(
    () => {
      code = undefined;
    },
    (error) => {
      code = errorCode(error);
    },
  );
  for (let i = 0; i < 30 && code === 'not settled'; i++) await clock.advance(10);
  return code;
}

const add = ({ store }: Context, topic: string): Promise<void> =>
  store.durable(() => store.topics.add(topic));

for (const fault of ['ENOSPC', 'EROFS', 'EIO']) {
  test(`${fault}: the batch is refused, bookkeeping is done again, and later writes work`, async (context) => {
    const { store, disk, clock } = context;
    assert.is(await settle(context, add(context, 'before')), undefined);
    store.lazy(() => store.devices.putTwin({ deviceid: 'd', name: 't', value: '1' }));
    disk.fault = fault;
    assert.is(await settle(context, add(context, 'refused')), 'STORE_WRITE_FAILED');
    assert.equal(store.topics.list(), ['before']);
    assert.is(store.devices.listTwins().length, 1);
    assert.is(store.health().state, 'degraded');
    store.lazy(() => store.topics.add('lazy'));
    store.withCommit(() => store.topics.add('with'));
    await clock.advance(60_000);
    assert.is(store.health().state, 'degraded');
    assert.equal(store.topics.list(), ['before', 'lazy', 'with']);
    disk.fault = undefined;
    await clock.advance(10_000);
    assert.is(store.health().state, 'ok');
    assert.is(await settle(context, add(context, 'after')), undefined);
    await store.close();
    context.store = open(context);
    assert.equal(context.store.topics.list(), ['after', 'before', 'lazy', 'with']);
    assert.is(context.store.devices.listTwins().length, 1);
  });
}

test('every way of waiting is refused at once while the disk takes nothing', async (context) => {
  const { store, disk } = context;
  disk.fault = 'ENOSPC';
  const batch = [
    add(context, 'a'),
    store.atCommit(() => () => store.topics.add('b')),
    store.atCommit(() => undefined),
  ];
  assert.equal(await Promise.all(batch.map((work) => settle(context, work))), [
    'STORE_WRITE_FAILED',
    'STORE_WRITE_FAILED',
    undefined,
  ]);
  const asked: string[] = [];
  const refused = store.atCommit(() => {
    asked.push('prepare');
    return undefined;
  });
  assert.is(await refused.catch(errorCode), 'STORE_WRITE_FAILED');
  assert.equal(asked, []);
});

test('after a failed sync no later one is believed: the database is written anew', async (context) => {
  const { store, disk, clock, path } = context;
  assert.is(await settle(context, add(context, 'before')), undefined);
  const inode = (): number => statSync(path).ino;
  const first = inode();
  disk.failsSyncs = true;
  assert.is(await settle(context, add(context, 'refused')), 'STORE_WRITE_FAILED');
  await clock.advance(20_000);
  assert.is(inode(), first);
  store.lazy(() => store.topics.add('lazy'));
  disk.failsSyncs = false;
  await clock.advance(10_000);
  assert.is(store.health().state, 'ok');
  assert.is.not(inode(), first);
  assert.ok(store.topics.list().includes('lazy'));
  assert.is(await settle(context, add(context, 'after')), undefined);
  assert.equal(
    readdirSync(context.dir).filter((name) => /rewrite|untrusted|corrupt/.test(name)),
    [],
  );
  await store.close();
  context.store = open(context);
  const topics = context.store.topics.list();
  for (const topic of ['before', 'lazy', 'after']) assert.ok(topics.includes(topic), topic);
});

test('a failed sync of the database after a checkpoint is no less', async (context) => {
  const { store, disk, clock } = context;
  store.lazy(() => store.topics.add('a'));
  await clock.advance(10_000);
  disk.failsSyncs = true;
  await clock.advance(31_000);
  assert.is(store.health().state, 'degraded');
  disk.failsSyncs = false;
  await clock.advance(10_000);
  assert.is(store.health().state, 'ok');
  assert.equal(store.topics.list(), ['a']);
});

test('totals of the outbox are right after a refused batch', async (context) => {
  const { store, disk, clock } = context;
  const of = 'history';
  const entry = { class: of, subject: null, message: 'm', bytes: 10, created: 1, boot: '', mono: 0 } as const;
  const put = () =>
    store.durable(() => {
      store.outbox.add(entry);
    });
  assert.is(await settle(context, put()), undefined);
  disk.fault = 'ENOSPC';
  assert.is(await settle(context, put()), 'STORE_WRITE_FAILED');
  assert.equal(store.outbox.totals(), [{ class: of, count: 1, bytes: 10 }]);
  store.lazy(() => {
    assert.is(store.outbox.remove(1), 10);
  });
  await clock.advance(60_000);
  assert.equal(store.outbox.totals(), []);
});

test('what is kept in memory is bounded: the oldest rows go', async (context) => {
  const { store, disk, clock, metrics } = context;
  disk.fault = 'ENOSPC';
  assert.is(await settle(context, add(context, 'x')), 'STORE_WRITE_FAILED');
  for (let i = 0; i < 6000; i++) store.lazy(() => store.topics.add(`${i}`.padStart(5, '0')));
  assert.match(metrics.render(), /^edgecore_store_dropped_total 1000$/m);
  await clock.advance(10_000);
  disk.fault = undefined;
  await clock.advance(10_000);
  await store.close();
  context.store = open(context);
  const topics = context.store.topics.list();
  assert.is(topics.length, 5000);
  assert.is(topics.at(-1), '05999');
});

test('work that is wrong by itself disturbs nobody, and a lazy caller never hears of it', async (context) => {
  const { store } = context;
  store.lazy(() => {
    throw new Error('no');
  });
  store.withCommit(() => {
    throw new Error('no');
  });
  assert.is(await settle(context, add(context, 'good')), undefined);
  assert.is(store.health().state, 'ok');
});

test('an older database is brought up to date, and the newest two backups stay', async (context) => {
  const { path, dir, store } = context;
  await store.close();
  rmSync(path);
  const { default: sqlite } = await import('node-sqlite3-wasm');
  const old = new sqlite.Database(path);
  for (const step of migrations.slice(0, 2)) old.exec(step);
  old.exec(`INSERT INTO meta VALUES ('k', 'pod', '{}'); INSERT INTO outbox VALUES (7, NULL, '{}', 2, 1)`);
  old.exec(`INSERT INTO mqtt_session VALUES (1, 'c', NULL, 30.5, 0, 4); PRAGMA user_version = 2`);
  old.close();
  for (const version of [0, 1]) writeFileSync(`${path}.backup-v${version}`, '');
  context.store = open(context);
  assert.is(context.store.meta.get('k'), '{}');
  assert.is(context.store.outbox.list('event', 0, 1)[0]?.seq, 7);
  assert.is(context.store.mqtt.sessions()[0]?.expiry, 30.5);
  assert.is(readdirSync(dir).filter((name) => name.includes('.backup-')).length, 2);
  assert.ok(existsSync(`${path}.backup-v2`));
  await context.store.close();
  context.store = open(context);
  assert.is(context.store.meta.get('k'), '{}');
  assert.is(readdirSync(dir).filter((name) => name.includes('.corrupt-')).length, 0);
});

test('a value that is not what was written is left out at the next start', async (context) => {
  const { store, path } = context;
  const put = (key: string) => store.meta.put({ key, type: 'pod', value: `value of ${key}` });
  assert.is(
    await settle(
      context,
      store.durable(() => ['a', 'b', 'c'].forEach(put)),
    ),
    undefined,
  );
  await store.close();
  const bytes = readFileSync(path);
  const at = bytes.indexOf('value of b');
  bytes[at + 3] = (bytes[at + 3] ?? 0) ^ 4;
  writeFileSync(path, bytes);
  const metrics = new Metrics();
  context.store = open(context, metrics);
  assert.equal(
    context.store.meta.list('pod').map(({ key }) => key),
    ['a', 'c'],
  );
  assert.match(metrics.render(), /^edgecore_store_salvaged_rows\{result="refused"\} 1$/m);
});

const damages: [string, (bytes: Buffer) => void][] = [
  ['the file', (bytes) => bytes.fill(0x5a, 0, 100)],
  ['the first page', (bytes) => bytes.fill(0x5a, 100, 1024)],
  ['all that says what the tables are', (bytes) => spoil(bytes, 'CREATE ')],
];

function spoil(bytes: Buffer, text: string): void {
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at)) bytes[at] = (bytes[at] ?? 0) ^ 4;
}

for (const [what, damage] of damages) {
  for (const inWal of [false, true]) {
    test(`damage to ${what} takes no table along; ${inWal ? 'a WAL is' : 'nothing is'} beside it`, async (context) => {
      const { store, path } = context;
      const put = (key: string) => store.meta.put({ key, type: 'pod', value: `value of ${key}` });
      const work = store.durable(() => ['a', 'b', 'c'].forEach(put));
      assert.is(await settle(context, work), undefined);
      await store.close();
      context.store = open(context);
      assert.is(await settle(context, add(context, 'topic')), undefined);
      if (!inWal) await context.store.close();
      const files = [path, ...(inWal ? [`${path}-wal`] : [])];
      const [bytes = Buffer.alloc(0), wal] = files.map((file) => readFileSync(file));
      await context.store.close();
      damage(bytes);
      writeFileSync(path, bytes);
      if (wal) writeFileSync(`${path}-wal`, wal);
      const metrics = new Metrics();
      context.store = open(context, metrics);
      assert.equal(
        context.store.meta.list('pod').map(({ key }) => key),
        ['a', 'b', 'c'],
      );
      assert.equal(context.store.topics.list(), ['topic']);
      assert.not(existsSync(`${path}.repair`));
    });
  }
}

test('a note of the schema that is damaged itself is not believed', async (context) => {
  const { store, path } = context;
  assert.is(await settle(context, add(context, 'kept')), undefined);
  await store.close();
  const note = readFileSync(`${path}.schema`);
  note[note.length - 40] = (note[note.length - 40] ?? 0) ^ 1;
  writeFileSync(`${path}.schema`, note);
  const bytes = readFileSync(path);
  bytes.fill(0x5a, 100, 1024);
  writeFileSync(path, bytes);
  context.store = open(context);
  assert.equal(context.store.topics.list(), []);
});

test('a process that ended between two steps of a rewrite left a database all the same', async (context) => {
  const { store, path } = context;
  assert.is(await settle(context, add(context, 'kept')), undefined);
  await store.close();
  writeFileSync(`${path}.rewrite`, readFileSync(path));
  writeFileSync(`${path}-wal`, 'of the file that was moved away');
  rmSync(path);
  context.store = open(context);
  assert.equal(context.store.topics.list(), ['kept']);
});

test.run();
