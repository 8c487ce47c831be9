import * as assert from 'uvu/assert';
import { memoryBrokerStore } from '../memory-store.ts';
import { brokerSuite, lasting } from './broker-suite.ts';
import { packet, prefixed, properties, u16, u32 } from './bytes.ts';

const test = brokerSuite('properties of messages');

/** Everything that travels: user properties whose order and repetitions count, names that look like numbers, empty ones. */
const travelling = Buffer.concat([
  Buffer.from([0x26]),
  prefixed(Buffer.from('b')),
  prefixed(Buffer.from('1')),
  Buffer.from([0x01, 1]),
  Buffer.from([0x26]),
  prefixed(Buffer.from('2')),
  prefixed(Buffer.from('')),
  Buffer.from([0x08]),
  prefixed(Buffer.from('answers/here')),
  Buffer.from([0x26]),
  prefixed(Buffer.from('1')),
  prefixed(Buffer.from('x')),
  Buffer.from([0x09]),
  prefixed(Buffer.from([0, 1, 0xff, 0xfe])),
  Buffer.from([0x26]),
  prefixed(Buffer.from('b')),
  prefixed(Buffer.from('2')),
  Buffer.from([0x03]),
  prefixed(Buffer.from('text/plain; charset=utf-8')),
  Buffer.from([0x26]),
  prefixed(Buffer.from('')),
  prefixed(Buffer.from('__proto__')),
]);
const publish = (qos: number, ...parts: readonly Buffer[]): Buffer =>
  packet(0x30 | (qos << 1), 't', ...(qos > 0 ? [u16(9)] : []), ...parts);

for (const qos of [0, 1, 2] as const) {
  test(`QoS ${qos}: properties arrive as they were sent, in their order [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]`, async ({
    join,
  }) => {
    const [sub, pub] = [await join('sub'), await join('pub')];
    await sub.subscribe('t', qos);
    pub.write(publish(qos, properties(travelling), Buffer.from('body')));
    const came = await sub.next('publish');
    assert.is(came.payload.toString(), 'body');
    assert.ok(
      (sub.frames.at(-1) as Buffer).includes(Buffer.concat([properties(travelling), Buffer.from('body')])),
    );
  });
}

test('they arrive with what the broker adds: identifiers, expiry, alias', async ({ join }) => {
  const sub = await join('sub', 5, { properties: { topicAliasMaximum: 1 } });
  await sub.subscribe('t', 0, {}, { subscriptionIdentifier: 300 });
  const pub = await join('pub');
  pub.write(publish(0, properties(Buffer.of(0x02), u32(60), travelling), Buffer.from('body')));
  const { properties: props } = await sub.next('publish');
  assert.equal(
    [Number(props?.subscriptionIdentifier), props?.messageExpiryInterval, props?.topicAlias],
    [300, 60, 1],
  );
  assert.ok((sub.frames.at(-1) as Buffer).includes(travelling));
});

test('what the broker takes out of their midst leaves the others in order [MQTT-3.3.2-18]', async ({
  join,
}) => {
  const [sub, pub] = [await join('sub'), await join('pub')];
  await sub.subscribe('t');
  const [a, b] = [properties(0x26, 'a', '1').subarray(1), properties(0x26, 'b', '2').subarray(1)];
  pub.write(publish(0, properties(a, Buffer.of(0x23, 0, 1), b, Buffer.of(0x02), u32(60), a)));
  await sub.next('publish');
  assert.ok((sub.frames.at(-1) as Buffer).includes(Buffer.concat([a, b, a])));
});

test('they wait with a retained message, and with one for a client that is away [MQTT-3.3.2-17]', async ({
  join,
}) => {
  const first = await join('c', 5, lasting);
  await first.subscribe('t', 1, { rh: 2 });
  first.drop();
  await first.ended();
  const pub = await join('pub');
  pub.write(packet(0x33, 't', u16(9), properties(travelling), Buffer.from('body')));
  await pub.next('puback');
  const second = await join('c', 5, lasting);
  await second.next('publish');
  const late = await join('late');
  await late.subscribe('t');
  await late.next('publish');
  for (const client of [second, late]) assert.ok((client.frames.at(-1) as Buffer).includes(travelling));
});

test('they outlive the broker [MQTT-3.3.2-17]', async ({ start, join }) => {
  const store = memoryBrokerStore();
  const before = start({ store });
  const first = await join('c', 5, lasting, before);
  await first.subscribe('t', 1, { rh: 2 });
  first.drop();
  await first.ended();
  const pub = await join('pub', 5, {}, before);
  pub.write(packet(0x33, 't', u16(9), properties(Buffer.of(0x02), u32(60), travelling), Buffer.from('body')));
  await pub.next('puback');
  const after = start({ store });
  await after.start();
  const second = await join('c', 5, lasting, after);
  const late = await join('late', 5, {}, after);
  await late.subscribe('t');
  for (const client of [second, late]) {
    assert.is((await client.next('publish')).properties?.messageExpiryInterval, 60);
    assert.ok((client.frames.at(-1) as Buffer).includes(travelling));
  }
});

test('before MQTT 5 they are left out', async ({ join }) => {
  const [sub, pub] = [await join('sub', 4), await join('pub')];
  await sub.subscribe('t');
  pub.write(publish(0, properties(travelling), Buffer.from('body')));
  await sub.next('publish');
  assert.equal(sub.frames.at(-1), packet(0x30, 't', Buffer.from('body')));
});

test('a message from before MQTT 5 has none, not even a payload format', async ({ join }) => {
  const [sub, pub] = [await join('sub', 5), await join('pub', 4)];
  await sub.subscribe('t');
  pub.publish('t', 'body');
  await sub.next('publish');
  assert.equal(sub.frames.at(-1), packet(0x30, 't', properties(), Buffer.from('body')));
});

const broken: [string, Buffer, number][] = [
  ['a subscription identifier from a client [MQTT-3.3.4-6]', properties(0x0b, 1), 0x82],
  ['wildcards in the response topic [MQTT-3.3.2-14]', properties(0x08, 'a/+'), 0x82],
  ['a response topic that is not UTF-8 [MQTT-3.3.2-13]', properties(0x08, prefixed(Buffer.of(0xff))), 0x81],
  ['a content type that is not UTF-8 [MQTT-3.3.2-19]', properties(0x03, prefixed(Buffer.of(0xc3))), 0x81],
  [
    'a user property that is not UTF-8 [MQTT-1.5.7-1]',
    properties(0x26, 'a', prefixed(Buffer.of(0xff))),
    0x81,
  ],
  ['half a user property [MQTT-1.5.7-1]', properties(0x26, 'a'), 0x81],
  ['payload format 2 (§3.3.2.3.2)', properties(0x01, 2), 0x82],
  ['a content type twice (§3.3.2.3.9)', properties(0x03, 'a', 0x03, 'b'), 0x82],
  ['an expiry twice (§3.3.2.3.3)', properties(0x02, u32(1), 0x02, u32(1)), 0x82],
  ['an alias twice (§3.3.2.3.4)', properties(0x23, u16(1), 0x23, u16(1)), 0x82],
  ['a property of CONNECT (§2.2.2.2)', properties(0x21, u16(1)), 0x81],
  ['an unknown property (§2.2.2.2)', properties(0x50, 0), 0x81],
  ['a length beyond the packet (§2.2.2.1)', Buffer.of(0x70, 0x01, 0), 0x81],
  ['a length that cuts a property (§2.2.2.1)', Buffer.of(3, 0x02, 0, 0, 0, 1), 0x81],
  ['a length that is longer than it has to be [MQTT-1.5.5-1]', Buffer.of(0x82, 0x00, 0x01, 0), 0x81],
  ['a length of five bytes [MQTT-1.5.5-1]', Buffer.of(0xff, 0xff, 0xff, 0xff, 0x01), 0x81],
  ['no length [MQTT-2.2.2-1]', Buffer.alloc(0), 0x81],
];
for (const [name, bytes, code] of broken) {
  test(`a PUBLISH with ${name} ends the connection`, async ({ join }) => {
    const client = await join('c');
    client.write(publish(0, bytes));
    assert.is((await client.next('disconnect')).reasonCode, code);
    await client.ended();
  });
}

test('what is left of the expiry is told, for a client that was away [MQTT-3.3.2-6]', async ({
  clock,
  join,
}) => {
  const first = await join('c', 5, lasting);
  await first.subscribe('t', 2);
  first.drop();
  await first.ended();
  const pub = await join('pub');
  for (const qos of [1, 2] as const)
    await pub.deliver('t', 'x', { qos, properties: { messageExpiryInterval: 10 } });
  await clock.advance(4_000);
  const second = await join('c', 5, lasting);
  for (let i = 0; i < 2; i++) assert.is((await second.next('publish')).properties?.messageExpiryInterval, 6);
});

test('a message that expired while the client was away is not sent [MQTT-3.3.2-5]', async ({
  clock,
  join,
}) => {
  const first = await join('c', 5, lasting);
  await first.subscribe('t', 2);
  first.drop();
  await first.ended();
  const pub = await join('pub');
  for (const qos of [1, 2] as const)
    await pub.deliver('t', `expires ${qos}`, { qos, properties: { messageExpiryInterval: 10 } });
  await pub.deliver('t', 'stays');
  await clock.advance(10_000);
  const second = await join('c', 5, lasting);
  assert.equal(await second.messages(), ['t stays']);
});

test('a message that expired while it waited for its turn is not sent [MQTT-3.3.2-5]', async ({
  clock,
  join,
}) => {
  const sub = await join('sub', 5, { properties: { receiveMaximum: 1 } });
  await sub.subscribe('t', 1);
  const pub = await join('pub');
  await pub.deliver('t', '1');
  await pub.deliver('t', '2', { properties: { messageExpiryInterval: 5 } });
  await pub.deliver('t', '3');
  const { messageId = 0 } = await sub.next('publish');
  await clock.advance(5_000);
  sub.send({ cmd: 'puback', messageId });
  assert.is((await sub.next('publish')).payload.toString(), '3');
});

test('a message under way does not expire, and is told what is left when it is sent again [MQTT-4.3.3-7]', async ({
  clock,
  join,
}) => {
  const first = await join('c', 5, lasting);
  await first.subscribe('t', 2);
  await (await join('pub')).deliver('t', 'x', { qos: 2, properties: { messageExpiryInterval: 5 } });
  await first.next('publish');
  first.drop();
  await first.ended();
  await clock.advance(60_000);
  const second = await join('c', 5, lasting);
  const { dup, properties: props } = await second.next('publish');
  assert.equal([dup, props?.messageExpiryInterval], [true, 0]);
});

test('who wants no reasons gets none but in CONNACK, PUBLISH and DISCONNECT [MQTT-3.1.2-29]', async ({
  join,
}) => {
  const client = await join('c', 5, { properties: { requestProblemInformation: false } });
  assert.equal((await client.subscribe('a/#/b')).properties, undefined);
  await client.deliver('t', 'x');
  client.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['never'] });
  assert.equal((await client.next('unsuback')).properties, undefined);
  client.publish('#', 'x');
  assert.is((await client.next('disconnect')).properties?.reasonString, undefined);
});

test('who does not say gets the reason of a DISCONNECT in words (§3.14.2.2.3)', async ({ join }) => {
  const client = await join('c');
  client.publish('#', 'x');
  const { reasonCode, properties: props } = await client.next('disconnect');
  assert.equal([reasonCode, typeof props?.reasonString], [0x90, 'string']);
});

test('response information that is asked for need not be given (§3.1.2.11.6)', async ({ broker, join }) => {
  await join('c', 5, { properties: { requestResponseInformation: true } }, broker);
});

test('acknowledgements may carry a reason and user properties', async ({ join }) => {
  const sub = await join('sub');
  await sub.subscribe('t', 2);
  const pub = await join('pub');
  for (const qos of [1, 2] as const) await pub.deliver('t', 'x', { qos });
  const [one, two] = [await sub.next('publish'), await sub.next('publish')];
  const words = properties(0x1f, 'because', 0x26, 'a', 'b', 0x26, 'a', 'c');
  sub.write(packet(0x40, u16(one.messageId ?? 0), 0, words));
  sub.write(packet(0x50, u16(two.messageId ?? 0), 0x10, words));
  await sub.next('pubrel');
  sub.write(packet(0x70, u16(two.messageId ?? 0), 0, words));
  await sub.settled();
  sub.write(packet(0x40, u16(7), 0, properties(0x1f, 'a', 0x1f, 'b')));
  assert.is((await sub.next('disconnect')).reasonCode, 0x82);
});

test.run();
