import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../core/fake-clock.ts';
import { type Logger, silentLogger } from '../../core/log.ts';
import { Metrics } from '../../core/metrics.ts';
import { kibibytes, mebibytes, minutes } from '../../core/units.ts';
import { Broker } from '../broker.ts';
import type { BrokerLimits } from '../config.ts';
import { memoryBrokerStore } from '../memory-store.ts';
import type { BrokerStore } from '../persistence.ts';
import { TestClient } from '../test-client.ts';
import { StalledClient, turns } from './stalled.ts';

type Context = {
  clock: FakeClock;
  metrics: Metrics;
  warnings: string[];
  start: (limits: Partial<BrokerLimits>, store?: BrokerStore) => Broker;
};
const test = suite<Context>('clients that are slower than the broker');
const started: Broker[] = [];

test.before.each((context) => {
  context.clock = new FakeClock();
  context.metrics = new Metrics();
  context.warnings = [];
  context.start = (limits, store = memoryBrokerStore()) => {
    const { clock, metrics, warnings } = context;
    const warn: Logger['warn'] = (message, fields) => warnings.push(`${message} ${JSON.stringify(fields)}`);
    const log: Logger = { ...silentLogger, warn, child: () => log };
    const broker = new Broker({ listeners: [], limits, store, clock, log, metrics });
    started.push(broker);
    return broker;
  };
});
test.after.each(async () => {
  await Promise.all(started.splice(0).map((broker) => broker.stop()));
});

const kilobyte = 'x'.repeat(1000);

test('QoS 0 to a client that never reads is dropped and counted', async ({ start }) => {
  const broker = start({ socketBytes: kibibytes(64) });
  const stalled = new StalledClient(broker);
  const [pub, good] = [new TestClient(broker), new TestClient(broker)];
  stalled.connect('stalled');
  stalled.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 't', qos: 0 }] });
  await Promise.all([pub.connect('pub'), good.connect('good')]);
  await good.subscribe('t');
  for (let i = 0; i < 1000; i++) pub.publish('t', kilobyte);
  await pub.settled();
  for (let i = 0; i < 1000; i++) await good.next('publish');
  assert.ok(stalled.held < 100_000, `${stalled.held} bytes are held`);
  assert.ok(broker.counters.dropped.value > 900, `${broker.counters.dropped.value} dropped`);
});

for (const clean of [true, false]) {
  const kind = clean ? 'passing' : 'lasting';
  for (const queueDrop of ['oldest', 'newest'] as const) {
    test(`QoS 1 to a client that never reads fills the queue of its ${kind} session, and the ${queueDrop} go`, async ({
      start,
      metrics,
      warnings,
      clock,
    }) => {
      const broker = start({ socketBytes: kibibytes(16), inflight: 1000, queueCount: 50, queueDrop });
      const stalled = new StalledClient(broker);
      const pub = new TestClient(broker);
      stalled.connect('stalled', { clean });
      stalled.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 't', qos: 1 }] });
      await pub.connect('pub');
      await turns();
      for (let i = 0; i < 500; i++) {
        pub.publish('t', `#${i} ${kilobyte}`, { qos: 1, messageId: 1 + i });
        await pub.next('puback');
      }
      assert.ok(stalled.held < 40_000, `${stalled.held} bytes are held`);
      assert.match(metrics.render(), /^edgecore_mqtt_queued 50$/m);
      const { dropped } = broker.counters;
      assert.ok(dropped.value > 400 && dropped.value < 450, `${dropped.value} dropped`);
      assert.is(warnings.length, 1);
      assert.match(
        String(warnings),
        /queue of a client is full .*"client":"stalled","connected":true,"queueCount":50/,
      );
      await clock.advance(minutes(10));
      pub.publish('t', kilobyte, { qos: 1, messageId: 1 });
      await pub.next('puback');
      assert.is(warnings.length, 2);
      stalled.resume();
      await turns(20);
      const last = Math.max(
        ...(String(Buffer.concat(stalled.read))
          .match(/\d+(?= x)/g)
          ?.map(Number) ?? []),
      );
      if (queueDrop === 'oldest') assert.is(last, 499);
      else assert.ok(last < 100, `${last} came`);
      assert.match(metrics.render(), /^edgecore_mqtt_queued 0$/m);
    });
  }

  test(`the queue of a ${kind} session is bounded in bytes too, properties included`, async ({
    start,
    metrics,
  }) => {
    const broker = start({ inflight: 1, queueBytes: kibibytes(64) });
    const stalled = new StalledClient(broker, 5);
    const pub = new TestClient(broker, 5);
    stalled.connect('stalled', { clean, properties: { sessionExpiryInterval: clean ? 0 : 100 } });
    stalled.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 't', qos: 1 }] });
    await pub.connect('pub');
    await turns();
    for (let i = 0; i < 100; i++) {
      const userProperties = { name: 'x'.repeat(5000) };
      pub.publish('t', '', { qos: 1, messageId: 1 + i, properties: { userProperties } });
      await pub.next('puback');
    }
    const queued = Number(metrics.render().match(/^edgecore_mqtt_queued (\d+)$/m)?.[1]);
    assert.ok(queued > 5 && queued < 14, `${queued} wait`);
  });
}

test('who floods with requests and never reads the answers is not read any more', async ({ start }) => {
  const broker = start({ socketBytes: kibibytes(16) });
  const stalled = new StalledClient(broker);
  stalled.connect('stalled');
  await turns();
  const pings = Buffer.concat(Array.from({ length: 1000 }, () => Buffer.of(0xc0, 0)));
  for (let i = 0; i < 1000 && stalled.isHeard; i++) {
    stalled.stream.push(pings);
    await turns(1);
  }
  assert.is(stalled.isHeard, false);
  assert.ok(stalled.held < 50_000, `${stalled.held} bytes are held`);
  stalled.resume();
  await turns();
  assert.is(stalled.isHeard, true);
});

test('who takes nothing for one and a half keep-alives is taken for gone', async ({ start, clock }) => {
  const broker = start({ socketBytes: kibibytes(16) });
  const stalled = new StalledClient(broker);
  stalled.connect('stalled', { keepalive: 10 });
  await turns();
  stalled.stream.push(Buffer.concat(Array.from({ length: 30_000 }, () => Buffer.of(0xc0, 0))));
  await turns();
  assert.is(stalled.isHeard, false);
  await clock.advance(16_000);
  assert.is(broker.clients, 0);
  assert.is(stalled.stream.destroyed, false);
  await clock.advance(2000);
  assert.is(stalled.stream.destroyed, true);
});

/** A store whose disk takes nothing until it is told to. */
function slowStore(): { store: BrokerStore; release: () => void } {
  const waiting: (() => void)[] = [];
  const memory = memoryBrokerStore();
  const store: BrokerStore = {
    ...memory,
    atCommit: (prepare) =>
      new Promise((resolve, reject) => {
        waiting.push(() => void memory.atCommit(prepare).then(resolve, reject));
      }),
  };
  const release = (): void => {
    for (const go of waiting.splice(0)) go();
  };
  return { store, release };
}

for (const [what, size, most] of [
  ['many', 10, 6000],
  ['large', 100_000, 30],
] as const) {
  test(`a publisher of ${what} messages is slowed while the disk lags`, async ({ start, clock }) => {
    const { store, release } = slowStore();
    const broker = start({ queueBytes: mebibytes(64) }, store);
    const sleeper = new TestClient(broker);
    await sleeper.connect('sleeper', { clean: false });
    await sleeper.subscribe('t', 1);
    sleeper.drop();
    await sleeper.ended();
    const pub = new StalledClient(broker);
    pub.resume();
    pub.connect('pub', { keepalive: 10 });
    await turns();
    const payload = 'x'.repeat(size);
    for (let i = 0; i < 20_000 && pub.isHeard; i++) {
      const messageId = 1 + (i % 60_000);
      pub.send({ cmd: 'publish', topic: 't', payload, qos: 1, messageId, retain: false, dup: false });
      if (i % 20 === 0) await turns(1);
    }
    assert.is(pub.isHeard, false);
    assert.ok(broker.counters.received.value < most, `${broker.counters.received.value} were read`);
    await clock.advance(60_000);
    assert.is(broker.clients, 1, 'nobody is silent whom we do not listen to');
    release();
    await turns(10);
    assert.is(pub.isHeard, true);
    release();
  });
}

test('a lasting session takes a message larger than its queue while its client reads', async ({ start }) => {
  const broker = start({ queueBytes: kibibytes(1) });
  const [sub, pub] = [new TestClient(broker), new TestClient(broker)];
  await sub.connect('sub', { clean: false });
  await pub.connect('pub');
  await sub.subscribe('t', 1);
  pub.publish('t', 'x'.repeat(5000), { qos: 1, messageId: 1 });
  assert.is((await sub.next('publish')).payload.length, 5000);
});

test.run();
