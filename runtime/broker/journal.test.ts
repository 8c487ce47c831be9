import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { Metrics } from '../core/metrics.ts';
import { defaultBrokerLimits } from './config.ts';
import { DurableSession } from './durable-session.ts';
import { FullQueues } from './full-queues.ts';
import { Journal, receiversOf } from './journal.ts';
import { makeMessage, type QoS } from './message.ts';
import type { Outlet } from './session.ts';
import { settled, TestStore } from './test-store.ts';

type Context = { time: number; store: TestStore; journal: Journal; session: (sid: number) => DurableSession };
const test = suite<Context>('journal');

test.before.each((context) => {
  context.time = 1000;
  context.store = new TestStore();
  context.journal = new Journal({
    store: context.store,
    log: silentLogger,
    epoch: () => 0,
    now: () => context.time,
  });
  const clock = new FakeClock();
  const fullQueues = new FullQueues(clock, silentLogger);
  const dropped = new Metrics().counter('dropped', '');
  context.session = (sid) => {
    const { store, journal } = context;
    const deps = { limits: defaultBrokerLimits, dropped, fullQueues, store, journal, log: silentLogger };
    return new DurableSession(`c${sid}`, sid, { ...deps, clock });
  };
});

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** A client that takes everything. */
const outlet: Outlet = {
  receiveMaximum: 1000,
  congested: false,
  blocked: false,
  publish: () => true,
  forward: () => true,
  pubrel: () => {},
};

const match = { qos: 2, retainAsPublished: false, ids: undefined } as const;

/** Adds a message for some sessions.
 * @returns where the outcome is noted */
function add(journal: Journal, payload: string, qos: QoS, ...sessions: DurableSession[]): { told: string } {
  const outcome = { told: '' };
  const message = makeMessage({ topic: 't', payload: Buffer.from(payload), qos, retain: false });
  const receivers = sessions.map((session) => ({ session, match, qos }));
  journal.add(message, receiversOf(receivers, false), {
    settle: (error) => {
      outcome.told += error === undefined ? 'kept' : 'refused';
    },
  });
  return outcome;
}
const payloads = (journal: Journal, ...seqs: number[]): (string | undefined)[] =>
  seqs.map((seq) => journal.entry(seq)?.message.payload.toString());

test('the messages of one commit are one row, and their publishers are told once it is on disk', async ({
  store,
  journal,
  session,
}) => {
  const s = session(1);
  const outcomes = ['a', 'b', 'c'].map((payload) => add(journal, payload, 1, s));
  const end = store.begin();
  const late = add(journal, 'd', 1, s);
  assert.equal(
    [...outcomes, late].map(({ told }) => told),
    ['', '', '', ''],
  );
  await end('kept');
  assert.equal(
    [...outcomes, late].map(({ told }) => told),
    ['kept', 'kept', 'kept', ''],
  );
  assert.equal(store.disk().batches(), [1]);
  await store.commit();
  assert.equal([late.told, store.disk().batches()], ['kept', [1, 4]]);
  assert.equal(payloads(journal, 1, 2, 3, 4, 5), ['a', 'b', 'c', 'd', undefined]);
});

test('only what somebody still waits for is written, and the row goes with the last of them', async ({
  store,
  journal,
  session,
}) => {
  const [s, t] = [session(1), session(2)];
  const [a, b] = [add(journal, 'a', 1, s, t), add(journal, 'b', 1, s)];
  journal.done(1);
  assert.is(a.told, '');
  journal.done(1);
  assert.equal([a.told, b.told], ['kept', ''], 'everyone has it: it is as safe as it gets');
  await store.commit();
  assert.equal([b.told, payloads(journal, 1, 2)], ['kept', [undefined, 'b']]);
  journal.done(2);
  await store.commit();
  assert.equal(store.disk().batches(), []);
});

test('what is done while its row is being synced is removed after that', async ({
  store,
  journal,
  session,
}) => {
  const a = add(journal, 'a', 1, session(1));
  await settled();
  const end = store.begin();
  journal.done(1);
  assert.is(a.told, 'kept');
  await end('kept');
  await store.commit();
  assert.equal([a.told, store.disk().batches()], ['kept', []]);
});

test('a client that is there has a moment for its acknowledgement before anything is written for it', async (context) => {
  const { store, journal, session } = context;
  store.patience = 25;
  const s = session(1);
  s.outlet = outlet;
  const a = add(journal, 'a', 1, s);
  context.time += 100;
  const [b, c] = [add(journal, 'b', 1, s), add(journal, 'c', 1, s)];
  await store.commit();
  assert.equal(
    [a, b, c].map(({ told }) => told),
    ['kept', '', ''],
    'a had its time',
  );
  assert.equal(store.disk().batches(), [1]);
  s.acknowledge(1);
  s.acknowledge(2);
  assert.is(b.told, 'kept');
  await store.commit();
  assert.equal([c.told, store.disk().batches()], ['', []]);
  const d = add(journal, 'd', 1, s);
  context.time += 26;
  await store.commit();
  assert.equal([c.told, d.told, store.disk().batches()], ['kept', 'kept', [3]]);
  assert.equal(payloads(journal, 3, 4), ['c', 'd']);
});

test('no moment has what goes to somebody who is away, nor QoS 2, whose packet id is on disk', async ({
  store,
  journal,
  session,
}) => {
  const [here, away] = [session(1), session(2)];
  here.outlet = outlet;
  store.patience = 25;
  const a = add(journal, 'a', 1, here, away);
  await store.commit();
  const b = add(journal, 'b', 2, here);
  await store.commit();
  assert.equal([a.told, b.told, store.disk().batches()], ['kept', 'kept', [1, 2]]);
});

test('in a flood it is written', async ({ store, journal, session }) => {
  const s = session(1);
  s.outlet = outlet;
  store.patience = 25;
  for (let i = 0; i < 100; i++) add(journal, `${i}`, 1, s);
  await store.commit();
  assert.equal(store.disk().batches(), [1]);
  await store.refuse();
  assert.is(journal.entry(100)?.message.payload.toString(), '99');
});

test('a batch that was paged out is read again, and its row goes when it is done', async ({
  store,
  journal,
  session,
}) => {
  const s = session(1);
  for (let n = 1; n <= 10; n++) {
    add(journal, `${n}`, 1, s);
    add(journal, `${n}+`, 1, s);
    await store.commit();
  }
  assert.equal(payloads(journal, 1, 2, 20), ['1', '1+', '10+']);
  journal.done(1);
  for (let n = 3; n <= 12; n++) assert.ok(journal.entry(n));
  journal.done(2);
  await store.commit();
  assert.is(store.disk().batches()[0], 3);
});

test('what was fetched is let go of when it is done, although its row waits for a commit', async ({
  store,
  journal,
  session,
}) => {
  const s = session(1);
  for (let n = 1; n <= 10; n++) {
    add(journal, `${n}`, 1, s);
    await store.commit();
  }
  const { rows } = store;
  const kept = rows.batch;
  rows.batch = (first) => Uint8Array.from(kept(first) as Uint8Array); // as SQLite gives them
  const fetched: WeakRef<object>[] = [];
  for (let n = 1; n <= 10; n++) {
    fetched.push(new WeakRef(journal.entry(n)?.message.payload.buffer as object));
    journal.done(n);
  }
  await settled();
  collectGarbage();
  assert.is(store.disk().batches().length, 10);
  assert.equal(
    fetched.filter((message) => message.deref()),
    [],
  );
});

test('what the disk refuses: QoS 1 stays for whoever waits, QoS 2 will come again', async ({
  store,
  journal,
  session,
}) => {
  const s = session(1);
  const outcomes = [add(journal, 'one', 1, s), add(journal, 'two', 2, s)];
  await store.refuse();
  assert.equal(
    outcomes.map(({ told }) => told),
    ['refused', 'refused'],
  );
  assert.equal(payloads(journal, 1, 2), ['one', undefined]);
  const next = add(journal, 'three', 1, s);
  await store.commit();
  assert.equal([next.told, payloads(journal, 3)], ['kept', ['three']]);
  for (const seq of [1, 2, 3]) journal.done(seq);
  await store.commit();
  await store.commit();
  assert.equal(store.disk().batches(), []);
});

test('after a restart it knows who has still to get what, and goes on counting', async ({
  store,
  journal,
  session,
}) => {
  const [s, t] = [session(1), session(2)];
  add(journal, 'a', 1, s, t);
  add(journal, 'b', 1, t);
  await store.commit();
  add(journal, 'c', 1, s);
  await store.commit();
  const disk = new TestStore(store);
  const next = new Journal({ store: disk, log: silentLogger, epoch: () => 0, now: () => 0 });
  const asked: string[] = [];
  const count = next.load((sid, seq) => {
    asked.push(`${sid}:${seq}`);
    return sid === 1 && seq === 1;
  });
  assert.equal([asked, count, next.next], [['1:1', '2:1', '2:2', '1:3'], 1, 4]);
  await disk.commit();
  assert.equal(disk.disk().batches(), [1], 'what nobody wants is removed');
  next.done(1);
  await disk.commit();
  assert.equal(disk.disk().batches(), []);
});

test('a row that cannot be read costs its messages, not the start', async ({ store, session, journal }) => {
  add(journal, 'a', 1, session(1));
  await store.commit();
  store.rows.putBatch({ first: 1, body: Buffer.from('nonsense') });
  add(journal, 'b', 1, session(1));
  await store.commit();
  const next = new Journal({ store: new TestStore(store), log: silentLogger, epoch: () => 0, now: () => 0 });
  assert.is(
    next.load(() => true),
    1,
  );
});

test('the progress of a session is written once a commit, and again after a refused one', async ({
  store,
  journal,
  session,
}) => {
  const s = session(1);
  for (let n = 0; n < 5; n++) journal.touch(s);
  await store.refuse();
  assert.equal(store.disk().sessions(), []);
  await store.commit();
  assert.equal(store.disk().sessions().length, 1);
  const before = store.count('putSession');
  journal.touch(s);
  journal.touch(s);
  await store.commit();
  assert.is(store.count('putSession'), before + 1);
});

test.run();
