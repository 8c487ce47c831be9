import type { IConnackPacket, IDisconnectPacket, ISubackPacket } from 'mqtt-packet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { Metrics } from '../core/metrics.ts';
import { kibibytes } from '../core/units.ts';
import { Broker } from './broker.ts';
import type { BrokerLimits } from './config.ts';
import { TestClient } from './test-client.ts';

type Context = { clock: FakeClock; broker: Broker; start: (limits: Partial<BrokerLimits>) => Broker };
const test = suite<Context>('broker');

test.before.each((context) => {
  context.clock = new FakeClock();
  context.start = (limits) =>
    new Broker({ listeners: [], limits, clock: context.clock, log: silentLogger, metrics: new Metrics() });
  context.broker = context.start({});
});
test.after.each(({ broker }) => broker.stop());

const text = (payload: string | Buffer): string => payload.toString();

for (const version of [3, 4, 5] as const) {
  test(`v${version}: a QoS 0 message reaches who subscribed and nobody else`, async ({ broker }) => {
    const [sub, other, pub] = [
      new TestClient(broker, version),
      new TestClient(broker, version),
      new TestClient(broker, version),
    ];
    await Promise.all([sub.connect('sub'), other.connect('other'), pub.connect('pub')]);
    await sub.subscribe('a/+');
    await other.subscribe('b/#');
    pub.publish('a/x', 'hello');
    const message = await sub.next('publish');
    assert.equal([message.topic, text(message.payload), message.qos], ['a/x', 'hello', 0]);
    await other.settled();
    assert.equal(other.received, []);
  });

  test(`v${version}: QoS 1 and 2 are acknowledged both ways`, async ({ broker }) => {
    const [sub, pub] = [new TestClient(broker, version), new TestClient(broker, version)];
    await Promise.all([sub.connect('sub'), pub.connect('pub')]);
    await sub.subscribe('t', 2);
    pub.publish('t', 'one', { qos: 1, messageId: 7 });
    assert.is((await pub.next('puback')).messageId, 7);
    const one = await sub.next('publish');
    assert.is(one.qos, 1);
    sub.send({ cmd: 'puback', messageId: one.messageId ?? 0 });
    pub.publish('t', 'two', { qos: 2, messageId: 8 });
    assert.is((await pub.next('pubrec')).messageId, 8);
    pub.send({ cmd: 'pubrel', messageId: 8 });
    assert.is((await pub.next('pubcomp')).messageId, 8);
    const two = await sub.next('publish');
    assert.is(two.qos, 2);
    sub.send({ cmd: 'pubrec', messageId: two.messageId ?? 0 });
    assert.is((await sub.next('pubrel')).messageId, two.messageId);
    sub.send({ cmd: 'pubcomp', messageId: two.messageId ?? 0 });
    await sub.settled();
  });
}

test('a QoS 2 message that is sent twice is delivered once [MQTT-4.3.3-10]', async ({ broker }) => {
  const [sub, pub] = [new TestClient(broker), new TestClient(broker)];
  await Promise.all([sub.connect('sub'), pub.connect('pub')]);
  await sub.subscribe('t', 0);
  for (const dup of [false, true]) pub.publish('t', 'x', { qos: 2, messageId: 5, dup });
  await pub.next('pubrec');
  await pub.next('pubrec');
  await sub.next('publish');
  await sub.settled();
  assert.equal(sub.received, []);
});

test('a retained message greets a new subscriber and is cleared by an empty one [MQTT-3.3.1-6]', async ({
  broker,
}) => {
  const [a, b, c] = [new TestClient(broker), new TestClient(broker), new TestClient(broker)];
  await Promise.all([a.connect('a'), b.connect('b'), c.connect('c')]);
  a.publish('state/x', 'on', { retain: true });
  await a.settled();
  await b.subscribe('state/#');
  const greeted = await b.next('publish');
  assert.equal([text(greeted.payload), greeted.retain], ['on', true]);
  a.publish('state/x', '', { retain: true });
  await a.settled();
  await c.subscribe('state/#');
  await c.settled();
  assert.equal(c.received, []);
});

test('a will is published when the client vanishes, not when it says goodbye [MQTT-3.14.4-3]', async ({
  broker,
}) => {
  const watcher = new TestClient(broker);
  await watcher.connect('watcher');
  await watcher.subscribe('will/+');
  const will = (name: string) => ({
    will: { topic: `will/${name}`, payload: Buffer.from('gone'), qos: 0 as const, retain: false },
  });
  const [polite, rude] = [new TestClient(broker), new TestClient(broker)];
  await polite.connect('polite', will('polite'));
  await rude.connect('rude', will('rude'));
  polite.send({ cmd: 'disconnect' });
  await polite.ended();
  rude.drop();
  assert.is((await watcher.next('publish')).topic, 'will/rude');
  await watcher.settled();
  assert.equal(watcher.received, []);
});

test('messages for a client that is away wait for it, in order [MQTT-4.6.0-6]', async ({ broker }) => {
  const first = new TestClient(broker);
  await first.connect('sleeper', { clean: false });
  await first.subscribe('t', 1);
  first.drop();
  const pub = new TestClient(broker);
  await pub.connect('pub');
  for (const n of [1, 2, 3]) pub.publish('t', String(n), { qos: 1, messageId: n });
  for (const _ of [1, 2, 3]) await pub.next('puback');
  const second = new TestClient(broker);
  const connack = (await second.connect('sleeper', { clean: false })) as IConnackPacket;
  assert.is(connack.sessionPresent, true);
  const got = [await second.next('publish'), await second.next('publish'), await second.next('publish')];
  assert.equal(
    got.map((p) => text(p.payload)),
    ['1', '2', '3'],
  );
});

test('what was not acknowledged is sent again as duplicate after a reconnect [MQTT-4.4.0-1]', async ({
  broker,
}) => {
  const first = new TestClient(broker);
  await first.connect('c', { clean: false });
  await first.subscribe('t', 1);
  const pub = new TestClient(broker);
  await pub.connect('pub');
  pub.publish('t', 'x', { qos: 1, messageId: 1 });
  const original = await first.next('publish');
  first.drop();
  const second = new TestClient(broker);
  await second.connect('c', { clean: false });
  const again = await second.next('publish');
  assert.equal([again.dup, again.messageId, text(again.payload)], [true, original.messageId, 'x']);
});

test('a second connection of a client takes the session over [MQTT-3.1.4-3]', async ({ broker }) => {
  const [first, second] = [new TestClient(broker, 5), new TestClient(broker, 5)];
  await first.connect('same');
  await second.connect('same');
  assert.is(((await first.next('disconnect')) as IDisconnectPacket).reasonCode, 0x8e);
  await first.ended();
  await second.settled();
});

test('silence of one and a half keep-alives ends a connection [MQTT-3.1.2-22]', async ({ broker, clock }) => {
  const client = new TestClient(broker, 5);
  await client.connect('quiet', { keepalive: 10 });
  await clock.advance(14_000);
  assert.is(client.closed, false);
  await clock.advance(2000);
  assert.is(((await client.next('disconnect')) as IDisconnectPacket).reasonCode, 0x8d);
  await client.ended();
});

test('a connection that never says CONNECT is closed', async ({ broker, clock }) => {
  const client = new TestClient(broker);
  await clock.advance(10_001);
  await client.ended();
});

test('a peer from elsewhere is not let in without configuration', async ({ broker }) => {
  const [three, five] = [new TestClient(broker, 4, false), new TestClient(broker, 5, false)];
  assert.is(((await three.connect('x')) as IConnackPacket).returnCode, 5);
  assert.is(((await five.connect('x')) as IConnackPacket).reasonCode, 0x87);
  await Promise.all([three.ended(), five.ended()]);
});

test('a packet over the limit closes that connection alone, and says why', async ({ start }) => {
  const broker = start({ packetBytes: kibibytes(1) });
  const [bad, good] = [new TestClient(broker, 5), new TestClient(broker, 5)];
  await Promise.all([bad.connect('bad'), good.connect('good')]);
  bad.publish('t', 'x'.repeat(2000));
  assert.is(((await bad.next('disconnect')) as IDisconnectPacket).reasonCode, 0x95);
  await bad.ended();
  await good.settled();
  await broker.stop();
});

const brokenFrames: [string, Buffer][] = [
  ['a remaining length of five bytes', Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01])],
  ['a SUBSCRIBE with wrong flags', Buffer.from([0x80, 0x05, 0, 1, 0, 0, 0])],
  ['a PUBLISH of QoS 3', Buffer.from([0x36, 0x05, 0, 1, 0x61, 0, 1])],
  ['a PUBLISH shorter than its topic', Buffer.from([0x30, 0x03, 0, 9, 0x61])],
];
for (const [name, frame] of brokenFrames) {
  test(`${name} closes the connection`, async ({ broker }) => {
    const client = new TestClient(broker, 5);
    await client.connect('bad');
    client.stream.write(frame);
    await client.ended();
  });
}

test('a subscriber that acknowledges nothing gets no more than its receive maximum [MQTT-3.3.4-9]', async ({
  broker,
}) => {
  const [sub, pub] = [new TestClient(broker, 5), new TestClient(broker, 5)];
  await sub.connect('sub', { properties: { receiveMaximum: 2 } });
  await pub.connect('pub');
  await sub.subscribe('t', 1);
  for (const n of [1, 2, 3]) pub.publish('t', String(n), { qos: 1, messageId: n });
  const first = await sub.next('publish');
  await sub.next('publish');
  await sub.settled();
  assert.equal(sub.received, []);
  sub.send({ cmd: 'puback', messageId: first.messageId ?? 0 });
  assert.is(text((await sub.next('publish')).payload), '3');
});

test('no-local, retain-as-published and the subscription identifier are kept [MQTT-3.8.3-3] [MQTT-3.3.4-3]', async ({
  broker,
}) => {
  const [a, b] = [new TestClient(broker, 5), new TestClient(broker, 5)];
  await Promise.all([a.connect('a'), b.connect('b')]);
  await a.subscribe('t', 0, { nl: true });
  await b.subscribe('t', 0, { rap: true }, { subscriptionIdentifier: 9 });
  a.publish('t', 'x', { retain: true });
  const got = await b.next('publish');
  assert.is(got.retain, true);
  assert.is(Number(got.properties?.subscriptionIdentifier), 9);
  await a.settled();
  assert.equal(a.received, []);
});

test('the members of a shared subscription take turns', async ({ broker }) => {
  const [a, b, pub] = [new TestClient(broker, 5), new TestClient(broker, 5), new TestClient(broker, 5)];
  await Promise.all([a.connect('a'), b.connect('b'), pub.connect('pub')]);
  await a.subscribe('$share/g/t');
  await b.subscribe('$share/g/t');
  for (const n of [1, 2, 3, 4]) pub.publish('t', String(n));
  for (const client of [a, b]) {
    await client.next('publish');
    await client.next('publish');
    await client.settled();
    assert.equal(client.received, []);
  }
});

test('a topic alias stands for its topic, and one out of range ends the connection [MQTT-3.3.2-8]', async ({
  broker,
}) => {
  const [sub, pub] = [new TestClient(broker, 5), new TestClient(broker, 5)];
  await Promise.all([sub.connect('sub'), pub.connect('pub')]);
  await sub.subscribe('long/topic');
  pub.publish('long/topic', '1', { properties: { topicAlias: 3 } });
  pub.publish('', '2', { properties: { topicAlias: 3 } });
  await sub.next('publish');
  assert.equal(text((await sub.next('publish')).payload), '2');
  pub.publish('long/topic', '3', { properties: { topicAlias: 33 } });
  assert.is(((await pub.next('disconnect')) as IDisconnectPacket).reasonCode, 0x94);
});

test('a filter that is none is refused, its neighbours are granted', async ({ broker }) => {
  const client = new TestClient(broker, 5);
  await client.connect('c');
  client.send({
    cmd: 'subscribe',
    messageId: 3,
    subscriptions: [
      { topic: 'a/#/b', qos: 0 },
      { topic: 'good', qos: 1 },
    ],
  });
  assert.equal(((await client.next('suback')) as ISubackPacket).granted, [0x8f, 1]);
});

test('`$` topics do not match a leading wildcard [MQTT-4.7.2-1]', async ({ broker }) => {
  const client = new TestClient(broker);
  await client.connect('c');
  await client.subscribe('#');
  broker.publish({ topic: '$hw/events/x', payload: Buffer.from('1'), qos: 0, retain: false });
  broker.publish({ topic: 'plain', payload: Buffer.from('2'), qos: 0, retain: false });
  assert.is((await client.next('publish')).topic, 'plain');
});

test('what is retained on a topic can be asked for', ({ broker }) => {
  const publish = (topic: string, text: string, retain: boolean): void =>
    broker.publish({ topic, payload: Buffer.from(text), qos: 0, retain });
  publish('door', 'open', true);
  publish('door', 'shut', false);
  assert.is(broker.retained('door')?.toString(), 'open');
  publish('door', '', true);
  assert.is(broker.retained('door'), undefined);
  assert.is(broker.retained('other'), undefined);
});

test('PUBACK waits for the handlers of this process, and keeps its order', async ({ broker }) => {
  const releases: (() => void)[] = [];
  broker.subscribe('slow', () => new Promise<void>((resolve) => releases.push(resolve)));
  const client = new TestClient(broker);
  await client.connect('c');
  client.publish('slow', 'x', { qos: 1, messageId: 1 });
  client.publish('fast', 'x', { qos: 1, messageId: 2 });
  await client.settled();
  assert.equal(client.received, []);
  releases[0]?.();
  assert.is((await client.next('puback')).messageId, 1);
  assert.is((await client.next('puback')).messageId, 2);
});

test('who publishes from this process may wait until a message is safe', async ({ broker }) => {
  const message = { payload: Buffer.from('x'), qos: 1, retain: false } as const;
  await broker.publishSafely({ ...message, topic: 'nobody' });
  let release = (): void => {};
  broker.subscribe('slow', () => new Promise<void>((resolve) => (release = resolve)));
  let isSafe = false;
  const safe = broker.publishSafely({ ...message, topic: 'slow' }).then(() => (isSafe = true));
  await new Promise((resolve) => setImmediate(resolve));
  assert.is(isSafe, false);
  release();
  await safe;
  broker.subscribe('full', () => Promise.reject(new Error('disk full')));
  const refused = await broker
    .publishSafely({ ...message, topic: 'full' })
    .catch((error: Error) => error.message);
  assert.is(refused, 'disk full');
  const invalid = await broker
    .publishSafely({ ...message, topic: '#' })
    .catch((error: Error) => error.message);
  assert.match(String(invalid), 'not a valid MQTT topic');
});

test('a message that could not be kept is not acknowledged as kept', async ({ broker }) => {
  broker.subscribe('full', () => Promise.reject(new Error('disk full')));
  const [four, five] = [new TestClient(broker, 4), new TestClient(broker, 5)];
  await Promise.all([four.connect('four'), five.connect('five')]);
  five.publish('full', 'x', { qos: 1, messageId: 1 });
  assert.is((await five.next('puback')).reasonCode, 0x80);
  four.publish('full', 'x', { qos: 1, messageId: 1 });
  await four.ended();
  assert.equal(four.received, []);
});

test('the queue of a client that is away is bounded, and the oldest goes', async ({ start }) => {
  const broker = start({ queueCount: 2 });
  const sleeper = new TestClient(broker);
  await sleeper.connect('sleeper', { clean: false });
  await sleeper.subscribe('t', 1);
  sleeper.drop();
  await sleeper.ended();
  const pub = new TestClient(broker);
  await pub.connect('pub');
  for (const n of [1, 2, 3]) pub.publish('t', String(n), { qos: 1, messageId: n });
  for (const _ of [1, 2, 3]) await pub.next('puback');
  const back = new TestClient(broker);
  await back.connect('sleeper', { clean: false });
  assert.equal(
    [text((await back.next('publish')).payload), text((await back.next('publish')).payload)],
    ['2', '3'],
  );
  assert.is(broker.counters.dropped.value, 1);
  await broker.stop();
});

test('a topic is heard while somebody subscribes to it, in this process or outside', async ({ broker }) => {
  assert.not(broker.hears('a/b'));
  const end = broker.subscribe('a/+', () => {});
  assert.ok(broker.hears('a/b'));
  end();
  assert.not(broker.hears('a/b'));
  const client = new TestClient(broker);
  await client.connect('sleeper', { clean: false });
  await client.subscribe('a/#', 1);
  assert.ok(broker.hears('a/b'));
  assert.not(broker.hears('b'));
  client.drop();
  assert.ok(broker.hears('a/b'), 'a session without a connection gets it later');
});

test.run();
