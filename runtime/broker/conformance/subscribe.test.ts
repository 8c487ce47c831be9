import * as assert from 'uvu/assert';
import { TestClient } from '../test-client.ts';
import { brokerSuite, lasting, versions } from './broker-suite.ts';
import { packet, properties, u16 } from './bytes.ts';

const test = brokerSuite('SUBSCRIBE and UNSUBSCRIBE');

/** What belongs behind a packet id. */
const none = (version: number): Buffer => (version === 5 ? properties() : Buffer.alloc(0));

for (const version of versions) {
  test(`v${version}: SUBACK has the packet id and a code for each filter, in order [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-6] [MQTT-3.9.3-1]`, async ({
    join,
  }) => {
    const client = await join('c', version);
    const subscriptions = ([2, 0, 1] as const).map((qos) => ({ topic: `t${qos}`, qos }));
    client.send({ cmd: 'subscribe', messageId: 4711, subscriptions });
    const { messageId, granted } = await client.next('suback');
    assert.equal([messageId, granted], [4711, [2, 0, 1]]);
  });

  test(`v${version}: a filter that is none is refused alone, the others are granted [MQTT-3.8.4-5] [MQTT-3.8.4-7]`, async ({
    join,
  }) => {
    const client = await join('c', version);
    const subscriptions = ['a/#/b', 'good', 'x+'].map((topic) => ({ topic, qos: 1 as const }));
    client.send({ cmd: 'subscribe', messageId: 3, subscriptions });
    const refused = version === 5 ? 0x8f : 0x80;
    assert.equal((await client.next('suback')).granted, [refused, 1, refused]);
    await client.deliver('good', 'x');
    assert.is((await client.next('publish')).topic, 'good');
  });

  test(`v${version}: the same filter again replaces the subscription [MQTT-3.8.4-3]`, async ({ join }) => {
    const client = await join('c', version);
    await client.subscribe('t', 2);
    await client.subscribe('t', 0);
    await client.deliver('t', 'x');
    assert.is((await client.next('publish')).qos, 0);
    assert.equal(await client.messages(), []);
  });

  test(`v${version}: filters that overlap make one delivery of the highest QoS [MQTT-3.3.4-2]`, async ({
    join,
  }) => {
    const client = await join('c', version);
    await client.subscribe('a/#', 0);
    await client.subscribe('a/+', 2);
    await client.subscribe('a/b', 1);
    await client.deliver('a/b', 'x', { qos: 2 });
    const { qos, messageId = 0 } = await client.next('publish');
    assert.is(qos, 2);
    client.send({ cmd: 'pubrec', messageId });
    assert.equal(await client.messages(), []);
  });

  test(`v${version}: UNSUBACK comes with its packet id, whatever was subscribed [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.11.3-1]`, async ({
    join,
  }) => {
    const client = await join('c', version);
    await client.subscribe('a');
    await client.subscribe('b/+');
    client.send({ cmd: 'unsubscribe', messageId: 99, unsubscriptions: ['never', 'b/+', 'a', 'a'] });
    const { messageId, granted } = await client.next('unsuback');
    assert.is(messageId, 99);
    if (version === 5) assert.equal(granted, [0x11, 0, 0, 0x11]);
    client.publish('a', 'x');
    client.publish('b/c', 'x');
    assert.equal(await client.messages(), []);
  });

  test(`v${version}: filters are compared letter by letter when they are given up [MQTT-3.10.4-1]`, async ({
    join,
  }) => {
    const client = await join('c', version);
    await client.subscribe('a/+');
    client.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['a/b', 'a/#', 'A/+'] });
    await client.next('unsuback');
    client.publish('a/b', 'x');
    assert.equal(await client.messages(), ['a/b x']);
  });

  test(`v${version}: a message under way is finished after UNSUBSCRIBE, no new one comes [MQTT-3.10.4-2] [MQTT-3.10.4-3]`, async ({
    join,
  }) => {
    const client = await join('c', version);
    await client.subscribe('t', 2);
    await client.deliver('t', 'x', { qos: 2 });
    const { messageId = 0 } = await client.next('publish');
    client.send({ cmd: 'unsubscribe', messageId: 50, unsubscriptions: ['t'] });
    await client.next('unsuback');
    await client.deliver('t', 'y', { qos: 2 });
    client.send({ cmd: 'pubrec', messageId });
    assert.is((await client.next('pubrel')).messageId, messageId);
    client.send({ cmd: 'pubcomp', messageId });
    assert.equal(await client.messages(), []);
  });

  const broken: [string, Buffer, number][] = [
    ['SUBSCRIBE to nothing [MQTT-3.8.3-2]', packet(0x82, u16(1), none(version)), 0x82],
    ['SUBSCRIBE with packet id 0 [MQTT-2.2.1-3]', packet(0x82, u16(0), none(version), 't', 0), 0x82],
    ['SUBSCRIBE without options [MQTT-3.8.3-2]', packet(0x82, u16(1), none(version), 't'), 0x81],
    ['SUBSCRIBE of QoS 3 (§3.8.3.1)', packet(0x82, u16(1), none(version), 't', 3), 0x82],
    ['SUBSCRIBE with reserved options [MQTT-3.8.3-5]', packet(0x82, u16(1), none(version), 't', 0x80), 0x81],
    ['SUBSCRIBE with wrong flags [MQTT-3.8.1-1]', packet(0x80, u16(1), none(version), 't', 0), 0x81],
    ['a filter that is cut', packet(0x82, u16(1), none(version), u16(9), 0), 0x81],
    ['UNSUBSCRIBE from nothing [MQTT-3.10.3-2]', packet(0xa2, u16(1), none(version)), 0x82],
    ['UNSUBSCRIBE with packet id 0 [MQTT-2.2.1-3]', packet(0xa2, u16(0), none(version), 't'), 0x82],
    ['UNSUBSCRIBE with wrong flags [MQTT-3.10.1-1]', packet(0xa0, u16(1), none(version), 't'), 0x81],
  ];
  for (const [name, bytes, code] of broken) {
    test(`v${version}: ${name} ends the connection`, async ({ join }) => {
      const client = await join('c', version);
      client.write(bytes);
      if (version === 5) assert.is((await client.next('disconnect')).reasonCode, code);
      await client.ended();
    });
  }
}

const brokenInFive: [string, Buffer, number][] = [
  ['retain handling 3 (§3.8.3.1)', packet(0x82, u16(1), properties(), 't', 0x30), 0x82],
  ['subscription identifier 0 (§3.8.2.1.2)', packet(0x82, u16(1), properties(0x0b, 0), 't', 0), 0x82],
  [
    'subscription identifiers twice (§3.8.2.1.2)',
    packet(0x82, u16(1), properties(0x0b, 1, 0x0b, 2), 't', 0),
    0x82,
  ],
  [
    'a subscription identifier longer than it has to be [MQTT-1.5.5-1]',
    packet(0x82, u16(1), properties(0x0b, 0x81, 0), 't', 0),
    0x81,
  ],
  ['a property of PUBLISH (§2.2.2.2)', packet(0x82, u16(1), properties(0x23, u16(1)), 't', 0), 0x81],
  [
    'no-local on a shared subscription [MQTT-3.8.3-4]',
    packet(0x82, u16(1), properties(), '$share/g/t', 4),
    0x82,
  ],
];
for (const [name, bytes, code] of brokenInFive) {
  test(`a SUBSCRIBE with ${name} ends the connection`, async ({ join }) => {
    const client = await join('c');
    client.write(bytes);
    assert.is((await client.next('disconnect')).reasonCode, code);
    await client.ended();
  });
}

test('before MQTT 5 the options of MQTT 5 are reserved bits [MQTT-3.8.3-4]', async ({ join }) => {
  for (const options of [4, 8, 0x10]) {
    const client = await join('c', 4);
    client.write(packet(0x82, u16(1), 't', options));
    await client.ended();
  }
});

test('3.1: SUBSCRIBE may be marked as a duplicate', async ({ join }) => {
  const client = await join('c', 3);
  client.write(packet(0x8a, u16(1), 't', 0));
  await client.next('suback');
  client.write(packet(0xaa, u16(2), 't'));
  await client.next('unsuback');
});

test('no-local keeps a client’s own messages from it, not from others [MQTT-3.8.3-3]', async ({ join }) => {
  const [a, b] = [await join('a'), await join('b')];
  await a.subscribe('t', 1, { nl: true });
  await b.subscribe('t', 1);
  await a.deliver('t', 'from a');
  await b.deliver('t', 'from b');
  assert.equal(await a.messages(), ['t from b']);
  assert.equal(await b.messages(), ['t from a', 't from b']);
});

test('no-local holds for the messages of an earlier connection and for retained ones [MQTT-3.8.3-3]', async ({
  join,
}) => {
  const first = await join('a', 5, lasting);
  await first.deliver('kept', 'mine', { retain: true });
  await first.subscribe('t', 1, { nl: true });
  await first.subscribe('kept', 1, { nl: true });
  await first.deliver('t', 'mine');
  assert.equal(await first.messages(), []);
});

test('one of two overlapping subscriptions that is not no-local gets its own messages', async ({ join }) => {
  const client = await join('c');
  await client.subscribe('t/#', 1, { nl: true });
  await client.subscribe('t/+', 0, {}, { subscriptionIdentifier: 7 });
  await client.deliver('t/x', 'mine');
  const { qos, properties: props } = await client.next('publish');
  assert.equal([qos, Number(props?.subscriptionIdentifier)], [0, 7]);
});

test('a delivery names every subscription that it is for [MQTT-3.3.4-3] [MQTT-3.3.4-4]', async ({ join }) => {
  const client = await join('c');
  await client.subscribe('a/#', 0, {}, { subscriptionIdentifier: 1 });
  await client.subscribe('a/+', 2, {}, { subscriptionIdentifier: 268_435_455 });
  await client.subscribe('a/b', 1);
  await client.subscribe('c', 0, {}, { subscriptionIdentifier: 128 });
  client.publish('a/b', 'x');
  client.publish('c', 'x');
  const ids = (await client.next('publish')).properties?.subscriptionIdentifier;
  assert.equal([...(Array.isArray(ids) ? ids : [])].sort(), [1, 268_435_455]);
  assert.is(Number((await client.next('publish')).properties?.subscriptionIdentifier), 128);
});

test('a subscription made again without an identifier has none [MQTT-3.8.4-3]', async ({ join }) => {
  const client = await join('c');
  await client.subscribe('t', 0, {}, { subscriptionIdentifier: 5 });
  await client.subscribe('t');
  client.publish('t', 'x');
  assert.is((await client.next('publish')).properties?.subscriptionIdentifier, undefined);
});

test('identifiers and options outlive the connection (§4.1)', async ({ join }) => {
  const first = await join('c', 5, lasting);
  await first.subscribe('t', 1, { nl: true, rap: true }, { subscriptionIdentifier: 9 });
  first.drop();
  await first.ended();
  await (await join('pub')).deliver('t', 'x', { retain: true });
  const second = await join('c', 5, lasting);
  const { properties: props, retain } = await second.next('publish');
  assert.equal([Number(props?.subscriptionIdentifier), retain], [9, true]);
  await second.deliver('t', 'mine');
  assert.equal(await second.messages(), []);
});

test('more subscriptions than allowed are refused with 0x97, one that is there can be changed', async ({
  start,
  join,
}) => {
  const client = await join('c', 5, {}, start({ limits: { subscriptionsPerClient: 1 } }));
  await client.subscribe('a');
  assert.equal((await client.subscribe('b')).granted, [0x97]);
  assert.equal((await client.subscribe('a', 1)).granted, [1]);
});

test('what a rule forbids is refused with 0x87, or 0x80 when denials are concealed (§3.9.3, §3.4.2.1)', async ({
  start,
}) => {
  const authority = {
    authenticate: ({ clientId }: { clientId: string }) => ({ clientId, username: undefined }),
    authorize: () => false,
    onChange: () => () => {},
  };
  for (const [concealDenials, code] of [
    [false, 0x87],
    [true, 0x80],
  ] as const) {
    const broker = start({ authority, concealDenials });
    const [five, four] = [new TestClient(broker, 5), new TestClient(broker, 4)];
    await Promise.all([five.connect('five'), four.connect('four')]);
    assert.equal((await five.subscribe('t')).granted, [code]);
    assert.equal((await four.subscribe('t')).granted, [0x80]);
    assert.is(await five.deliver('t', 'x'), code);
    assert.is(await five.deliver('t', 'x', { qos: 2 }), code);
    // Before MQTT 5 there is no way to say no (§3.3.5 of 3.1.1).
    assert.is(await four.deliver('t', 'x', { qos: 2 }), 0);
  }
});

test.run();
