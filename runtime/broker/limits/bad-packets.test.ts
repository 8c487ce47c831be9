import type { IConnackPacket, IDisconnectPacket } from 'mqtt-packet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../core/fake-clock.ts';
import { silentLogger } from '../../core/log.ts';
import { Metrics } from '../../core/metrics.ts';
import { kibibytes } from '../../core/units.ts';
import { Broker } from '../broker.ts';
import { TestClient } from '../test-client.ts';
import { turns } from './stalled.ts';

const test = suite<{ clock: FakeClock; broker: Broker; metrics: Metrics }>(
  'packets that are not what they should be',
);

test.before.each((context) => {
  context.clock = new FakeClock();
  context.metrics = new Metrics();
  const limits = { packetBytes: kibibytes(8), connectBytes: kibibytes(2) };
  const { clock, metrics } = context;
  context.broker = new Broker({ listeners: [], limits, clock, log: silentLogger, metrics });
});
test.after.each(({ broker }) => broker.stop());

const packet = (first: number, ...body: (number | string)[]): Buffer => {
  const bytes = Buffer.concat(body.map((part) => (typeof part === 'string' ? str(part) : Buffer.of(part))));
  return Buffer.concat([Buffer.of(first, bytes.length), bytes]);
};
const str = (text: string): Buffer =>
  Buffer.concat([Buffer.of(0, Buffer.byteLength(text)), Buffer.from(text)]);

const [MALFORMED, PROTOCOL, TOO_LARGE] = [0x81, 0x82, 0x95];
/** What a connected client of MQTT 5 sends, and the code that it gets. */
const broken: readonly (readonly [string, Buffer, number])[] = [
  ['a remaining length of five bytes', Buffer.of(0x30, 0xff, 0xff, 0xff, 0xff, 1), MALFORMED],
  ['a remaining length with needless bytes', Buffer.of(0xc0, 0x80, 0), MALFORMED],
  ['a claim of a packet over the limit', Buffer.of(0x30, 0x80, 0x80, 0x7f), TOO_LARGE],
  ['a claim of 256 MB', Buffer.of(0x30, 0xff, 0xff, 0xff, 0x7f), TOO_LARGE],
  ['a packet over the limit', Buffer.concat([Buffer.of(0x30, 0xc1, 0x40), Buffer.alloc(8257)]), TOO_LARGE],
  ['a packet of type 0', packet(0x00), MALFORMED],
  ['a second CONNECT', packet(0x10, 'MQTT', 5, 2, 0, 0, 0, 'again'), PROTOCOL],
  ['a second CONNECT of another version', packet(0x10, 'MQTT', 9, 2, 0, 0, 'again'), PROTOCOL],
  ['a CONNACK', packet(0x20, 0, 0, 0), MALFORMED],
  ['a SUBACK', packet(0x90, 0, 1, 0, 0), MALFORMED],
  ['a PINGRESP', packet(0xd0), MALFORMED],
  ['AUTH without a method', packet(0xf0, 0x18, 0), PROTOCOL],
  ['PINGREQ with a body', packet(0xc0, 1), MALFORMED],
  ['PINGREQ with flags', packet(0xc1), MALFORMED],
  ['a PUBLISH of QoS 3', packet(0x36, 't', 0, 1, 0), MALFORMED],
  ['a PUBLISH of QoS 0 marked as duplicate', packet(0x38, 't', 0), MALFORMED],
  ['a PUBLISH with packet id 0', packet(0x32, 't', 0, 0, 0), MALFORMED],
  ['a PUBLISH shorter than its topic', Buffer.of(0x30, 3, 0, 9, 0x61), MALFORMED],
  ['a PUBLISH without a property length', packet(0x30, 't'), MALFORMED],
  ['a PUBLISH without topic and alias', packet(0x30, '', 0), PROTOCOL],
  ['a PUBLISH to a filter', packet(0x30, 'a/#', 0), 0x90],
  ['a PUBLISH to a topic that is not UTF-8', Buffer.of(0x30, 5, 0, 2, 0xc0, 0x80, 0), MALFORMED],
  ['such a topic beside a property', Buffer.of(0x30, 7, 0, 2, 0xc0, 0x80, 2, 1, 1), MALFORMED],
  ['properties that are longer than the packet', packet(0x30, 't', 0x7f, 1, 1), MALFORMED],
  ['a property length of five bytes', packet(0x30, 't', 0xff, 0xff, 0xff, 0xff, 1), MALFORMED],
  ['a property that reaches beyond their length', packet(0x30, 't', 2, 2, 0, 0, 0, 1), MALFORMED],
  ['a property of CONNACK in PUBLISH', packet(0x30, 't', 3, 0x13, 0, 1), MALFORMED],
  ['a property that nobody knows', packet(0x30, 't', 2, 0x7e, 0), MALFORMED],
  ['a topic alias twice', packet(0x30, 't', 6, 0x23, 0, 1, 0x23, 0, 2), PROTOCOL],
  ['topic alias 0', packet(0x30, 't', 3, 0x23, 0, 0), 0x94],
  ['a topic alias over the maximum', packet(0x30, 't', 3, 0x23, 0, 33), 0x94],
  ['a topic alias that was not set', packet(0x30, '', 3, 0x23, 0, 5), PROTOCOL],
  ['a payload format that is neither 0 nor 1', packet(0x30, 't', 2, 1, 2), PROTOCOL],
  ['a subscription identifier from a client', packet(0x30, 't', 2, 0x0b, 1), PROTOCOL],
  ['a response topic with wildcards', packet(0x30, 't', 6, 8, 'a/#'), PROTOCOL],
  ['a user property that is cut', packet(0x30, 't', 5, 0x26, 'k', 0), MALFORMED],
  ['SUBSCRIBE with wrong flags', packet(0x80, 0, 1, 0, 't', 0), MALFORMED],
  ['SUBSCRIBE with packet id 0', packet(0x82, 0, 0, 0, 't', 0), PROTOCOL],
  ['SUBSCRIBE to nothing', packet(0x82, 0, 1, 0), PROTOCOL],
  ['SUBSCRIBE without options', packet(0x82, 0, 1, 0, 't'), MALFORMED],
  ['SUBSCRIBE with QoS 3', packet(0x82, 0, 1, 0, 't', 3), PROTOCOL],
  ['SUBSCRIBE with reserved options', packet(0x82, 0, 1, 0, 't', 0xc0), MALFORMED],
  ['SUBSCRIBE with subscription identifier 0', packet(0x82, 0, 1, 2, 0x0b, 0, 't', 0), PROTOCOL],
  ['SUBSCRIBE to U+0000', packet(0x82, 0, 1, 0, 'a\0b', 0), MALFORMED],
  ['UNSUBSCRIBE from nothing', packet(0xa2, 0, 1, 0), PROTOCOL],
  ['UNSUBSCRIBE that ends inside a filter', packet(0xa2, 0, 1, 0, 0, 9, 0x61), MALFORMED],
  ['PUBACK with packet id 0', packet(0x40, 0, 0), MALFORMED],
  ['PUBREL with wrong flags', packet(0x60, 0, 1), MALFORMED],
  ['PUBACK with a reason that is none', packet(0x40, 0, 1, 0x55), PROTOCOL],
  ['DISCONNECT with a reason that is none', packet(0xe0, 0x55), PROTOCOL],
  ['DISCONNECT that makes a session live on', packet(0xe0, 0, 5, 0x11, 0, 0, 0, 9), PROTOCOL],
];

for (const [name, bytes, code] of broken) {
  test(`${name} ends that connection with 0x${code.toString(16)}, and no other`, async ({ broker }) => {
    const [bad, good] = [new TestClient(broker, 5), new TestClient(broker, 5)];
    await Promise.all([bad.connect('bad'), good.connect('good')]);
    await good.subscribe('#');
    bad.stream.write(bytes);
    assert.is(((await bad.next('disconnect')) as IDisconnectPacket).reasonCode, code);
    await bad.ended();
    await good.settled();
    assert.equal(good.received, []);
    const { malformed, refused } = broker.counters;
    assert.is(malformed.value + refused.value, 1);
  });
}

for (const version of [3, 4] as const) {
  test(`v${version}: a broken packet ends the connection without a word`, async ({ broker }) => {
    for (const bytes of [Buffer.of(0x36, 3, 0, 1, 0x61), Buffer.of(0xc0, 0x80, 0), Buffer.of(0xe0, 1, 0)]) {
      const client = new TestClient(broker, version);
      await client.connect('bad');
      client.stream.write(bytes);
      await client.ended();
      assert.equal(client.received, []);
    }
    assert.is(broker.counters.malformed.value, 3);
  });
}

const connect = (...body: (number | string)[]): Buffer => packet(0x10, ...body);
/** What comes instead of a good CONNECT, and the return code of the answer. */
const openings: readonly (readonly [string, Buffer, number | undefined])[] = [
  ['a PUBLISH', packet(0x30, 't'), undefined],
  ['a PINGREQ', packet(0xc0), undefined],
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n'), undefined],
  ['a TLS hello', Buffer.of(0x16, 3, 1, 2, 0, 1, 0), undefined],
  ['CONNECT with flags', packet(0x11, 'MQTT', 4, 2, 0, 0, 'x'), undefined],
  ['CONNECT of another protocol', connect('HTTP', 4, 2, 0, 0, 'x'), undefined],
  ['CONNECT of MQTT 6', connect('MQTT', 6, 2, 0, 0, 'x'), 0x84],
  ['CONNECT of MQTT 2', connect('MQIsdp', 2, 2, 0, 0, 'x'), 1],
  ['CONNECT of MQTT 3.1 by the name of 3.1.1', connect('MQTT', 3, 2, 0, 0, 'x'), 1],
  ['CONNECT with the reserved flag', connect('MQTT', 4, 3, 0, 0, 'x'), undefined],
  ['CONNECT with a will of QoS 3', connect('MQTT', 4, 0x1e, 0, 0, 'x', 't', 'm'), undefined],
  ['CONNECT with a password alone', connect('MQTT', 4, 0x42, 0, 0, 'x', 'secret'), undefined],
  ['CONNECT with more than its fields', connect('MQTT', 4, 2, 0, 0, 'x', 0), undefined],
  ['CONNECT that ends early', connect('MQTT', 4, 2, 0), undefined],
  ['CONNECT without an id and with a session', connect('MQTT', 4, 0, 0, 0, ''), 2],
  ['CONNECT over the limit, claimed', Buffer.of(0x10, 0xff, 0x7f), undefined],
  ['CONNECT with a receive maximum of 0', connect('MQTT', 5, 2, 0, 0, 3, 0x21, 0, 0, 'x'), undefined],
];
for (const [name, bytes, code] of openings) {
  test(`${name} instead of a good CONNECT lets nobody in`, async ({ broker }) => {
    const client = new TestClient(broker, 4);
    client.stream.write(bytes);
    await client.ended();
    const answers = client.received.map((answer) => (answer as IConnackPacket).returnCode);
    assert.equal(answers, code === undefined ? [] : [code]);
    assert.is(broker.clients, 0);
  });
}

test('acknowledgements of what was never sent change nothing', async ({ broker }) => {
  for (const version of [3, 4, 5] as const) {
    const client = new TestClient(broker, version);
    await client.connect(`confused-${version}`);
    for (const cmd of ['puback', 'pubcomp'] as const) client.send({ cmd, messageId: 77 });
    client.send({ cmd: 'pubrec', messageId: 77 });
    assert.is((await client.next('pubrel')).reasonCode, version === 5 ? 0x92 : undefined);
    client.send({ cmd: 'pubrel', messageId: 78 });
    assert.is((await client.next('pubcomp')).reasonCode, version === 5 ? 0x92 : undefined);
    await client.settled();
    assert.equal(client.received, []);
  }
});

test('a CONNECT in a session of one client leaves the others their version', async ({ broker }) => {
  const [bad, good] = [new TestClient(broker, 4), new TestClient(broker, 4)];
  await Promise.all([bad.connect('bad'), good.connect('good')]);
  bad.stream.write(packet(0x10, 'MQTT', 5, 2, 0, 0, 0, 'bad'));
  await bad.ended();
  await good.subscribe('t');
  good.publish('t', 'still 3.1.1');
  assert.is((await good.next('publish')).payload.toString(), 'still 3.1.1');
});

test('a packet that comes in pieces is all that is read: what lay in memory behind it is not', async ({
  broker,
}) => {
  const [sub, pub] = [new TestClient(broker), new TestClient(broker)];
  await Promise.all([sub.connect('sub'), pub.connect('pub')]);
  await sub.subscribe('t');
  const once = packet(0x30, 't', 0x61);
  // Memory of that size is taken again and again; at first it is full of packets.
  for (let i = 0; i < 20; i++) {
    const rest = Buffer.concat(Array.from({ length: 300 }, () => once));
    pub.stream.write(rest.subarray(0, rest.length - 1));
    pub.stream.write(rest.subarray(rest.length - 1));
    await pub.settled();
    for (let n = 0; n < 300; n++) await sub.next('publish');
  }
  for (let i = 0; i < 20; i++) {
    for (const byte of once) pub.stream.write(Buffer.of(byte));
    await pub.settled();
    await sub.next('publish');
  }
  await sub.settled();
  assert.equal(sub.received, []);
});

test('the log hears of a flood of broken connections a few times only', async () => {
  let lines = 0;
  const log = { ...silentLogger, warn: () => lines++, child: () => log };
  const clock = new FakeClock();
  const broker = new Broker({ listeners: [], clock, log, metrics: new Metrics() });
  for (let i = 0; i < 200; i++) {
    const client = new TestClient(broker, 4);
    client.stream.write(Buffer.from('GET /'));
    await client.ended();
  }
  assert.is(lines, 10);
  await broker.stop();
});

test('what a limit refused stands in the metrics', async ({ broker, metrics }) => {
  const client = new TestClient(broker, 5);
  await client.connect('c');
  client.publish('t', 'x'.repeat(9000));
  await client.ended();
  await turns();
  assert.match(metrics.render(), /^edgecore_mqtt_limit_reached_total\{limit="packetBytes"\} 1$/m);
});

test.run();
