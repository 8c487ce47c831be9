import type { IConnackPacket, IDisconnectPacket, ISubackPacket } from 'mqtt-packet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../core/fake-clock.ts';
import { silentLogger } from '../../core/log.ts';
import { Metrics } from '../../core/metrics.ts';
import { bytes, kibibytes, millis } from '../../core/units.ts';
import { Broker } from '../broker.ts';
import type { BrokerLimits } from '../config.ts';
import type { BrokerCounters } from '../hub.ts';
import { TestClient } from '../test-client.ts';

type Context = { clock: FakeClock; metrics: Metrics; start: (limits: Partial<BrokerLimits>) => Broker };
const test = suite<Context>('what a client may have');
const started: Broker[] = [];

test.before.each((context) => {
  context.clock = new FakeClock();
  context.metrics = new Metrics();
  context.start = (limits) => {
    const { clock, metrics } = context;
    const broker = new Broker({ listeners: [], limits, clock, log: silentLogger, metrics });
    started.push(broker);
    return broker;
  };
});
test.after.each(async () => {
  await Promise.all(started.splice(0).map((broker) => broker.stop()));
});

const reached = (metrics: Metrics, limit: keyof BrokerLimits): number =>
  Number(metrics.render().match(new RegExp(`limit_reached_total\\{limit="${limit}"\\} (\\d+)`))?.[1]);
const gauge = (metrics: Metrics, name: string): number =>
  Number(metrics.render().match(new RegExp(`^edgecore_mqtt_${name} (\\d+)$`, 'm'))?.[1]);

test('who connects and says nothing gives way to who comes after', async ({ start, metrics }) => {
  const broker = start({ connecting: 5 });
  const silent = Array.from({ length: 100 }, () => new TestClient(broker));
  await silent[94]?.ended();
  assert.is(silent.filter(({ closed }) => closed).length, 95);
  const good = new TestClient(broker);
  await good.connect('good');
  await good.settled();
  assert.is(gauge(metrics, 'connecting'), 4);
  assert.is(reached(metrics, 'connecting'), 96);
});

test('a thousand clients that say CONNECT and drop leave nothing behind', async ({
  start,
  metrics,
  clock,
}) => {
  const broker = start({ connecting: 10 });
  const timers = clock.pending;
  for (let i = 0; i < 1000; i++) {
    const client = new TestClient(broker);
    client.send({ cmd: 'connect', clientId: `flood-${i}`, clean: true, keepalive: 60 });
    client.drop();
  }
  const good = new TestClient(broker);
  await good.connect('good');
  await good.settled();
  await clock.advance(2000);
  assert.is(gauge(metrics, 'clients'), 1);
  assert.is(gauge(metrics, 'sessions'), 1);
  assert.is(gauge(metrics, 'connecting') + gauge(metrics, 'closing'), 0);
  assert.is(clock.pending, timers);
});

test('a CONNECT that comes byte by byte has no longer than any other', async ({ start, metrics, clock }) => {
  const broker = start({ connectTimeout: millis(10_000) });
  const slow = new TestClient(broker);
  for (let second = 0; second < 10; second++) {
    slow.stream.write(Buffer.of([0x10, 100, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2][second] ?? 0));
    await clock.advance(1000);
  }
  await slow.ended();
  assert.is(reached(metrics, 'connectTimeout'), 1);
});

test('bytes that end no packet do not count as a sign of life [MQTT-3.1.2-22]', async ({ start, clock }) => {
  const broker = start({});
  const slow = new TestClient(broker, 5);
  await slow.connect('slow', { keepalive: 10 });
  slow.stream.write(Buffer.of(0x30, 0x7f, 0, 1));
  for (let second = 0; second < 14; second++) {
    slow.stream.write('x');
    await clock.advance(1000);
  }
  assert.is(slow.closed, false);
  slow.stream.write('x');
  await clock.advance(1001);
  assert.is(((await slow.next('disconnect')) as IDisconnectPacket).reasonCode, 0x8d);
});

test('a peer that vanishes keeps its connection until its keep-alive has passed one and a half times', async ({
  start,
  clock,
}) => {
  const broker = start({});
  const gone = new TestClient(broker);
  await gone.connect('gone', { keepalive: 20 });
  await clock.advance(29_000);
  assert.is(broker.clients, 1);
  await clock.advance(1000);
  assert.is(broker.clients, 0);
  await gone.ended();
});

test('a full broker refuses one more client, but not one that takes its own connection over', async ({
  start,
  metrics,
}) => {
  const broker = start({ clients: 2 });
  const [one, two, three] = [new TestClient(broker, 5), new TestClient(broker, 5), new TestClient(broker, 5)];
  await one.connect('one');
  await two.connect('two');
  assert.is(((await three.connect('three')) as IConnackPacket).reasonCode, 0x89);
  const again = new TestClient(broker, 5);
  assert.is(((await again.connect('one')) as IConnackPacket).reasonCode, 0);
  const old = new TestClient(broker, 4);
  assert.is(((await old.connect('four')) as IConnackPacket).returnCode, 3);
  assert.is(reached(metrics, 'clients'), 2);
});

test('sessions that outlive their connection are limited, those that there are stay', async ({
  start,
  metrics,
}) => {
  const broker = start({ sessions: 2 });
  const lasting = async (clientId: string): Promise<number> => {
    const client = new TestClient(broker, 5);
    const connack = await client.connect(clientId, { properties: { sessionExpiryInterval: 100 } });
    client.drop();
    await client.ended();
    return (connack as IConnackPacket).reasonCode ?? -1;
  };
  assert.equal([await lasting('a'), await lasting('b'), await lasting('c')], [0, 0, 0x97]);
  assert.is(await lasting('a'), 0);
  const passing = new TestClient(broker, 5);
  assert.is(((await passing.connect('d')) as IConnackPacket).reasonCode, 0);
  assert.is(reached(metrics, 'sessions'), 1);
});

test('a client id that is too long is refused', async ({ start, metrics }) => {
  const broker = start({ clientIdBytes: bytes(20) });
  const [five, four] = [new TestClient(broker, 5), new TestClient(broker, 4)];
  assert.is(((await five.connect('x'.repeat(21))) as IConnackPacket).reasonCode, 0x85);
  assert.is(((await four.connect('ü'.repeat(11))) as IConnackPacket).returnCode, 2);
  assert.is(reached(metrics, 'clientIdBytes'), 2);
});

const longTopics: readonly (readonly [keyof BrokerLimits & ('topicBytes' | 'topicLevels'), string])[] = [
  ['topicBytes', 'x'.repeat(65_000)],
  ['topicLevels', 'a/'.repeat(2000)],
];
for (const [limit, topic] of longTopics) {
  test(`a topic over ${limit} is refused in PUBLISH, SUBSCRIBE and a will`, async ({ start, metrics }) => {
    const broker = start({});
    const [five, four, will] = [new TestClient(broker, 5), new TestClient(broker), new TestClient(broker, 5)];
    await Promise.all([five.connect('five'), four.connect('four')]);
    assert.equal(((await five.subscribe(topic)) as ISubackPacket).granted, [0x97]);
    assert.equal(((await four.subscribe(topic)) as ISubackPacket).granted, [0x80]);
    five.publish(topic, 'x');
    assert.is(((await five.next('disconnect')) as IDisconnectPacket).reasonCode, 0x90);
    four.publish(topic, 'x');
    await four.ended();
    const last = { topic: topic.slice(0, 60_000), payload: Buffer.from('x'), qos: 0 as const, retain: false };
    assert.is(((await will.connect('will', { will: last })) as IConnackPacket).reasonCode, 0x90);
    assert.is(reached(metrics, limit), 5);
  });
}

test('of 100,000 subscriptions a client gets what its limit allows, in any number of packets', async ({
  start,
  metrics,
}) => {
  const broker = start({});
  const client = new TestClient(broker, 5);
  await client.connect('greedy');
  const codes = new Map<number, number>();
  for (let packet = 0; packet < 100; packet++) {
    const subscriptions = Array.from({ length: 1000 }, (_, i) => ({
      topic: `t/${packet}/${i}`,
      qos: 0 as const,
    }));
    client.send({ cmd: 'subscribe', messageId: 1 + packet, subscriptions });
    const { granted } = (await client.next('suback')) as ISubackPacket;
    for (const code of granted as number[]) codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  assert.equal(
    [...codes],
    [
      [0, 1000],
      [0x97, 99_000],
    ],
  );
  assert.is(reached(metrics, 'subscriptionsPerClient'), 99_000);
  assert.is(gauge(metrics, 'subscriptions'), 1000);
  client.drop();
  await client.ended();
  assert.is(gauge(metrics, 'subscriptions'), 0);
});

test('the subscriptions of all clients are limited together', async ({ start, metrics }) => {
  const broker = start({ subscriptions: 3 });
  const [one, two] = [new TestClient(broker, 5), new TestClient(broker, 5)];
  await Promise.all([one.connect('one'), two.connect('two')]);
  for (const topic of ['a', 'b']) await one.subscribe(topic);
  assert.equal(((await two.subscribe('c')) as ISubackPacket).granted, [0]);
  assert.equal(((await two.subscribe('d')) as ISubackPacket).granted, [0x97]);
  assert.equal(((await two.subscribe('c', 1)) as ISubackPacket).granted, [1], 'the same one again');
  one.send({ cmd: 'unsubscribe', messageId: 5, unsubscriptions: ['a'] });
  await one.next('unsuback');
  assert.equal(((await two.subscribe('d')) as ISubackPacket).granted, [0]);
  assert.is(reached(metrics, 'subscriptions'), 1);
});

test('of 100,000 retained topics as many are kept as the limit allows, and live messages go on', async ({
  start,
  metrics,
}) => {
  const broker = start({ retainedCount: 1000 });
  const [pub, sub] = [new TestClient(broker), new TestClient(broker, 5)];
  await Promise.all([pub.connect('pub'), sub.connect('sub')]);
  await sub.subscribe('state/99999');
  for (let i = 0; i < 100_000; i++) pub.publish(`state/${i}`, 'on', { retain: true });
  await pub.settled();
  assert.is(gauge(metrics, 'retained'), 1000);
  assert.is(reached(metrics, 'retainedCount'), 99_000);
  assert.is((await sub.next('publish')).payload.toString(), 'on');
  sub.publish('state/new', 'on', { retain: true, qos: 1, messageId: 1 });
  assert.is((await sub.next('puback')).reasonCode, 0x97);
  pub.publish('state/new', 'on', { retain: true, qos: 1, messageId: 1 });
  await pub.next('puback');
  sub.publish('state/1', 'off', { retain: true, qos: 1, messageId: 2 });
  assert.not((await sub.next('puback')).reasonCode === 0x97, 'a topic that is kept may change');
});

test('retained messages are limited in their bytes, properties included', async ({ start, metrics }) => {
  const broker = start({ retainedBytes: kibibytes(10) });
  const client = new TestClient(broker, 5);
  await client.connect('c');
  const keep = async (topic: string, size: number, properties = {}): Promise<number> => {
    client.publish(topic, 'x'.repeat(size), { retain: true, qos: 1, messageId: 1, properties });
    return (await client.next('puback')).reasonCode ?? 0;
  };
  const FULL = 0x97;
  assert.is.not(await keep('a', 6000), FULL);
  assert.is(await keep('b', 6000), FULL);
  assert.is(await keep('b', 1, { userProperties: { name: 'x'.repeat(6000) } }), FULL);
  assert.is.not(await keep('a', 9000), FULL);
  assert.is(await keep('a', 11_000), FULL);
  assert.is.not(await keep('a', 0), FULL);
  assert.is(gauge(metrics, 'retained_bytes'), 0);
  assert.is(reached(metrics, 'retainedBytes'), 3);
});

test('a client of MQTT 5 that holds more QoS 2 messages than it may is told, an older one is served', async ({
  start,
  metrics,
}) => {
  const broker = start({ inflight: 3 });
  const [five, four] = [new TestClient(broker, 5), new TestClient(broker, 4)];
  await Promise.all([five.connect('five'), four.connect('four')]);
  for (const messageId of [1, 2, 3, 4]) {
    five.publish('t', 'x', { qos: 2, messageId });
    four.publish('t', 'x', { qos: 2, messageId });
  }
  assert.is(((await five.next('disconnect')) as IDisconnectPacket).reasonCode, 0x93);
  for (const _ of [1, 2, 3, 4]) await four.next('pubrec');
  await four.settled();
  assert.is(reached(metrics, 'inflight'), 1);
});

test('SUBSCRIBE to many wildcards with many retained messages leaves the others their turns', async ({
  start,
}) => {
  const broker = start({});
  const [pub, greedy, good] = [new TestClient(broker), new TestClient(broker), new TestClient(broker)];
  await Promise.all([pub.connect('pub'), greedy.connect('greedy'), good.connect('good')]);
  for (let i = 0; i < 5000; i++) pub.publish(`state/${i}`, 'on', { retain: true });
  await pub.settled();
  const subscriptions = Array.from({ length: 300 }, (_, i) => ({ topic: `+/x${i}/+/+`, qos: 0 as const }));
  greedy.send({ cmd: 'subscribe', messageId: 1, subscriptions });
  greedy.send({ cmd: 'pingreq' });
  await greedy.next('suback');
  await good.settled();
  assert.equal(greedy.received, [], 'it waits for its own');
  await greedy.next('pingresp');
});

test('a turn in a shared subscription is forgotten with it', async ({ start }) => {
  const broker = start({});
  const client = new TestClient(broker, 5);
  await client.connect('c');
  for (let i = 0; i < 100; i++) {
    await client.subscribe(`$share/group-${i}/t`);
    client.publish('t', 'x');
    client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: [`$share/group-${i}/t`] });
    await client.next('unsuback');
  }
  const { turns } = (broker as unknown as { hub: { router: { turns: Map<string, number> } } }).hub.router;
  assert.is(turns.size, 0);
});

test('a will waits no longer than its session may live [MQTT-3.1.3-9]', async ({ start, clock }) => {
  const broker = start({ sessionExpiry: millis(60_000) });
  const [dying, heir] = [new TestClient(broker, 5), new TestClient(broker)];
  const will = {
    topic: 'gone',
    payload: Buffer.from('x'),
    qos: 0 as const,
    retain: false,
    properties: { willDelayInterval: 1_000_000 },
  };
  await heir.connect('heir');
  await heir.subscribe('gone');
  await dying.connect('dying', { will, properties: { sessionExpiryInterval: 0xffff_ffff } });
  dying.drop();
  await dying.ended();
  await clock.advance(60_000);
  assert.is((await heir.next('publish')).topic, 'gone');
});

test('a module that throws has refused the message, and nobody else suffers', async ({ start }) => {
  const broker = start({});
  broker.subscribe('t', () => {
    throw new Error('broken');
  });
  const [pub, sub] = [new TestClient(broker, 5), new TestClient(broker)];
  await Promise.all([pub.connect('pub'), sub.connect('sub')]);
  await sub.subscribe('t');
  pub.publish('t', 'x', { qos: 1, messageId: 1 });
  assert.is((await pub.next('puback')).reasonCode, 0x80);
  await sub.next('publish');
  const counters: BrokerCounters = broker.counters;
  assert.is(counters.malformed.value, 0);
});

test.run();
