import * as assert from 'uvu/assert';
import { TestClient } from '../test-client.ts';
import { brokerSuite, versions } from './broker-suite.ts';
import { connectHead, packet, properties, u16, u32 } from './bytes.ts';

const test = brokerSuite('CONNECT and CONNACK');

const hex = (frames: readonly Buffer[]): string[] => frames.map((frame) => frame.toString('hex'));

for (const version of versions) {
  test(`v${version}: CONNACK with success is the first answer [MQTT-3.1.4-5] [MQTT-3.2.0-1]`, async ({
    broker,
  }) => {
    const client = new TestClient(broker, version);
    const connack = await client.connect('c');
    assert.is(connack.returnCode ?? connack.reasonCode, 0);
    assert.is(connack.sessionPresent, false);
    assert.is(client.frames.length, 1);
  });

  test(`v${version}: a second CONNECT ends the connection [MQTT-3.1.0-2]`, async ({ join }) => {
    const client = await join('c', version);
    client.write(packet(0x10, connectHead(version, 2), 'c'));
    if (version === 5) assert.is((await client.next('disconnect')).reasonCode, 0x82);
    await client.ended();
    assert.equal(client.received, []);
  });

  test(`v${version}: client ids of 1 to 23 letters and digits are let in, longer ones too [MQTT-3.1.3-5]`, async ({
    join,
  }) => {
    for (const id of ['0', 'abcdefghijklmnopqrstuvw', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'.repeat(20)])
      await join(id, version);
  });
}

const strangers: [string, Buffer][] = [
  ['PUBLISH', packet(0x30, 't', Buffer.from('x'))],
  ['PUBLISH of QoS 1', packet(0x32, 't', u16(1), Buffer.from('x'))],
  ['SUBSCRIBE', packet(0x82, u16(1), 't', 0)],
  ['PUBACK', packet(0x40, u16(1))],
  ['PINGREQ', packet(0xc0)],
  ['DISCONNECT', packet(0xe0)],
  ['AUTH', packet(0xf0)],
];
for (const [name, bytes] of strangers) {
  test(`${name} before CONNECT ends the connection without a word [MQTT-3.1.0-1] [MQTT-3.14.0-1]`, async ({
    broker,
  }) => {
    const client = new TestClient(broker);
    client.write(bytes);
    await client.ended();
    assert.equal(client.frames, []);
  });
}

const refusedVersions: [string, string, number, string][] = [
  ['MQTT 3', 'MQTT', 3, '20020001'],
  ['MQTT 2', 'MQTT', 2, '20020001'],
  ['MQIsdp 4', 'MQIsdp', 4, '20020001'],
  ['MQTT 6', 'MQTT', 6, '2003008400'],
  ['MQTT 127', 'MQTT', 127, '2003008400'],
];
for (const [name, protocol, version, answer] of refusedVersions) {
  test(`${name} is told that it is not spoken here [MQTT-3.1.2-2]`, async ({ broker }) => {
    const client = new TestClient(broker);
    client.write(packet(0x10, protocol, version, 2, u16(0), 'c'));
    await client.ended();
    assert.equal(hex(client.frames), [answer]);
  });
}

/** Flags of CONNECT: 0x02 clean, 0x04 will, 0x18 its QoS, 0x20 retained, 0x40 password, 0x80 user name. */
const broken: [string, Buffer][] = [
  ['another protocol name [MQTT-3.1.2-1]', packet(0x10, 'MQTX', 4, 2, u16(0), 'c')],
  ['the reserved flag [MQTT-3.1.2-3]', packet(0x10, connectHead(4, 0x03), 'c')],
  ['flags in the fixed header [MQTT-2.1.3-1]', packet(0x11, connectHead(4, 0x02), 'c')],
  ['a will of QoS 3 [MQTT-3.1.2-12]', packet(0x10, connectHead(4, 0x1e), 'c', 't', 'x')],
  ['a QoS without a will [MQTT-3.1.2-11]', packet(0x10, connectHead(4, 0x0a), 'c')],
  ['retain without a will [MQTT-3.1.2-13]', packet(0x10, connectHead(4, 0x22), 'c')],
  [
    '3.1.1: a password without a user name [MQTT-3.1.2-22]',
    packet(0x10, connectHead(4, 0x42), 'c', 'secret'),
  ],
  ['a user name that is not there [MQTT-3.1.2-17]', packet(0x10, connectHead(4, 0x82), 'c')],
  ['a user name that was not announced [MQTT-3.1.2-16]', packet(0x10, connectHead(4, 0x02), 'c', 'alice')],
  ['no client id [MQTT-3.1.3-3]', packet(0x10, connectHead(4, 0x02))],
  ['nothing at all [MQTT-3.1.4-1]', packet(0x10)],
  ['receive maximum 0 (§3.1.2.11.3)', packet(0x10, connectHead(5, 2, Buffer.of(0x21, 0, 0)), 'c')],
  ['maximum packet size 0 (§3.1.2.11.4)', packet(0x10, connectHead(5, 2, Buffer.of(0x27, 0, 0, 0, 0)), 'c')],
  ['request problem information 2 (§3.1.2.11.7)', packet(0x10, connectHead(5, 2, Buffer.of(0x17, 2)), 'c')],
  ['request response information 2 (§3.1.2.11.6)', packet(0x10, connectHead(5, 2, Buffer.of(0x19, 2)), 'c')],
  [
    'session expiry twice (§3.1.2.11.2)',
    packet(0x10, connectHead(5, 2, Buffer.of(0x11), u32(1), Buffer.of(0x11), u32(1)), 'c'),
  ],
  ['a property of another packet (§2.2.2.2)', packet(0x10, connectHead(5, 2, Buffer.of(0x23, 0, 1)), 'c')],
  ['a property that nobody knows (§2.2.2.2)', packet(0x10, connectHead(5, 2, Buffer.of(0x7e, 0)), 'c')],
  ['a property that is cut (§2.2.2.1)', packet(0x10, connectHead(5, 2, Buffer.of(0x11, 0)), 'c')],
  ['properties longer than the packet (§2.2.2.1)', packet(0x10, 'MQTT', 5, 2, u16(0), Buffer.of(0x7f), 'c')],
  [
    'authentication data without a method (§3.1.2.11.10)',
    packet(0x10, connectHead(5, 2, Buffer.of(0x16, 0, 1, 0)), 'c'),
  ],
];
for (const [name, bytes] of broken) {
  test(`a CONNECT with ${name} ends the connection [MQTT-3.1.4-1]`, async ({ broker }) => {
    const client = new TestClient(broker);
    client.write(bytes);
    await client.ended();
    assert.equal(client.frames, []);
  });
}

test('a name and a password are read in their order, behind the will [MQTT-3.1.3-1]', async ({
  broker,
  join,
}) => {
  const watcher = await join('watcher');
  await watcher.subscribe('last');
  const client = new TestClient(broker);
  client.write(packet(0x10, connectHead(4, 0xc6), 'c', 'last', 'words', 'alice', 'secret'));
  await client.next('connack');
  client.drop();
  assert.is((await watcher.next('publish')).payload.toString(), 'words');
});

test('MQTT 5 lets a password come without a user name (§3.1.2.9)', async ({ broker }) => {
  const client = new TestClient(broker, 5);
  client.write(packet(0x10, connectHead(5, 0x42), 'c', 'secret'));
  assert.is((await client.next('connack')).reasonCode, 0);
});

test('3.1.1: an empty client id needs a clean session [MQTT-3.1.3-7] [MQTT-3.1.3-8]', async ({ broker }) => {
  const [clean, lasting] = [new TestClient(broker), new TestClient(broker)];
  assert.is((await clean.connect('', { clean: true })).returnCode, 0);
  lasting.write(packet(0x10, connectHead(4, 0), ''));
  assert.is((await lasting.next('connack')).returnCode, 2);
  await lasting.ended();
});

test('3.1: an empty client id is refused', async ({ broker }) => {
  const client = new TestClient(broker, 3);
  client.write(packet(0x10, connectHead(3, 2), ''));
  assert.is((await client.next('connack')).returnCode, 2);
  await client.ended();
});

test('5: an empty client id gets one that nobody else has [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]', async ({
  broker,
}) => {
  const [a, b] = [new TestClient(broker, 5), new TestClient(broker, 5)];
  const ids: (string | undefined)[] = [];
  for (const [client, flags] of [
    [a, 2],
    [b, 0],
  ] as const) {
    client.write(packet(0x10, connectHead(5, flags), ''));
    ids.push((await client.next('connack')).properties?.assignedClientIdentifier);
  }
  assert.ok(ids[0] && ids[1]);
  assert.is.not(ids[0], ids[1]);
  await a.settled();
});

test('nobody is assigned an id who brought one', async ({ broker }) => {
  const { properties } = await new TestClient(broker, 5).connect('mine');
  assert.is(properties?.assignedClientIdentifier, undefined);
});

test('enhanced authentication is refused with 0x8c [MQTT-4.12.0-1]', async ({ broker }) => {
  const client = new TestClient(broker, 5);
  const connack = await client.connect('c', { properties: { authenticationMethod: 'SCRAM-SHA-1' } });
  assert.equal([connack.reasonCode, connack.sessionPresent], [0x8c, false]);
  await client.ended();
});

test('a client that takes no packet of the size of our CONNACK is refused with 0x95, or closed where not even that fits [MQTT-3.1.2-24]', async ({
  broker,
}) => {
  const client = new TestClient(broker, 5);
  const connack = await client.connect('small', { properties: { maximumPacketSize: 12 } });
  assert.is(connack.reasonCode, 0x95);
  await client.ended();
  const smaller = new TestClient(broker, 5);
  smaller.write(packet(0x10, connectHead(5, 2, Buffer.of(0x27, 0, 0, 0, 4)), 'smaller'));
  await smaller.ended();
  assert.is(smaller.frames.length, 0);
});

test('AUTH from a client that named no method is a protocol error [MQTT-4.12.0-6]', async ({ join }) => {
  const client = await join('c');
  client.write(packet(0xf0, 0x18, properties()));
  assert.is((await client.next('disconnect')).reasonCode, 0x82);
  await client.ended();
});

test('AUTH with flags, or before MQTT 5, is malformed [MQTT-3.15.1-1]', async ({ join }) => {
  const [five, four] = [await join('five'), await join('four', 4)];
  five.write(packet(0xf1, 0x18, properties()));
  assert.is((await five.next('disconnect')).reasonCode, 0x81);
  four.write(packet(0xf0));
  await four.ended();
});

test('what follows a refused CONNECT is not read [MQTT-3.1.4-6] [MQTT-3.2.2-6] [MQTT-3.2.2-7]', async ({
  broker,
  join,
}) => {
  const watcher = await join('watcher');
  await watcher.subscribe('#');
  const client = new TestClient(broker, 5);
  const method = Buffer.concat([Buffer.of(0x15), Buffer.from([0, 1, 0x78])]);
  const connect = packet(0x10, connectHead(5, 2, method), 'c');
  client.write(Buffer.concat([connect, packet(0x30, 't', properties(), Buffer.from('x'))]));
  await client.ended();
  assert.equal(await watcher.messages(), []);
  assert.is(client.frames.length, 1);
});

test('what follows CONNECT at once is read after it (§3.1.4)', async ({ broker, join }) => {
  const watcher = await join('watcher');
  await watcher.subscribe('t');
  const client = new TestClient(broker);
  client.write(Buffer.concat([packet(0x10, connectHead(4, 2), 'c'), packet(0x30, 't', Buffer.from('x'))]));
  assert.is((await watcher.next('publish')).payload.toString(), 'x');
  await client.next('connack');
});

test('CONNACK tells the limits (§3.2.2.3)', async ({ start }) => {
  const limits = { inflight: 7, topicAliases: 3, keepAlive: 60 };
  const client = new TestClient(start({ limits }), 5);
  const { properties: told } = await client.connect('c', { keepalive: 30 });
  assert.is(told?.receiveMaximum, 7);
  assert.is(told?.topicAliasMaximum, 3);
  assert.is(told?.maximumPacketSize, 1024 * 1024);
  assert.is(told?.serverKeepAlive, undefined);
});

test('more clients than allowed are told so: 0x89, before MQTT 5 code 3', async ({ start, join }) => {
  const broker = start({ limits: { clients: 1 } });
  await join('first', 5, {}, broker);
  const [five, four] = [new TestClient(broker, 5), new TestClient(broker, 4)];
  assert.is((await five.connect('second')).reasonCode, 0x89);
  assert.is((await four.connect('third')).returnCode, 3);
});

test('a mosquitto bridge sets the first bit of the version, and gets nothing back of its own', async ({
  broker,
  join,
}) => {
  const bridge = new TestClient(broker);
  bridge.write(packet(0x10, 'MQTT', 0x84, 2, u16(0), 'bridge'));
  await bridge.next('connack');
  await bridge.subscribe('t');
  bridge.publish('t', 'own');
  const other = await join('other');
  other.publish('t', 'theirs', { retain: true });
  await other.settled();
  const came = await bridge.next('publish');
  assert.equal([came.payload.toString(), came.retain], ['theirs', true]);
});

test.run();
