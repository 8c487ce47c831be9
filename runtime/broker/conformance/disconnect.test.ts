import * as assert from 'uvu/assert';
import { TestClient } from '../test-client.ts';
import { brokerSuite, versions } from './broker-suite.ts';
import { packet, properties, u32 } from './bytes.ts';

const test = brokerSuite('DISCONNECT and errors');

for (const version of versions) {
  test(`v${version}: after DISCONNECT the connection ends, and what follows is not read [MQTT-3.14.4-1] [MQTT-3.14.4-2]`, async ({
    join,
  }) => {
    const [watcher, client] = [await join('watcher'), await join('c', version)];
    await watcher.subscribe('t');
    const none = version === 5 ? [properties()] : [];
    client.write(Buffer.concat([packet(0xe0), packet(0x30, 't', ...none, Buffer.from('x'))]));
    await client.ended();
    assert.equal(await watcher.messages(), []);
    assert.equal(client.received, []);
  });

  test(`v${version}: DISCONNECT with flags is malformed [MQTT-3.14.1-1]`, async ({ join }) => {
    const client = await join('c', version);
    client.write(packet(0xe1));
    if (version === 5) assert.is((await client.next('disconnect')).reasonCode, 0x81);
    await client.ended();
  });

  const alien: [string, Buffer][] = [
    ['reserved type 0', packet(0x00)],
    ['CONNACK', packet(0x20, 0, 0)],
    ['SUBACK', packet(0x90, 0, 1, 0)],
    ['UNSUBACK', packet(0xb0, 0, 1)],
    ['PINGRESP', packet(0xd0)],
    ['a remaining length of five bytes [MQTT-1.5.5-1]', Buffer.of(0xc0, 0xff, 0xff, 0xff, 0xff, 0x01)],
  ];
  for (const [name, bytes] of alien) {
    test(`v${version}: ${name} from a client ends its connection alone [MQTT-4.13.1-1]`, async ({ join }) => {
      const [bad, good] = [await join('bad', version), await join('good', version)];
      bad.write(bytes);
      if (version === 5) assert.is((await bad.next('disconnect')).reasonCode, 0x81);
      await bad.ended();
      await good.settled();
    });
  }

  test(`v${version}: packets are read the same however they are cut`, async ({ join }) => {
    const client = await join('c', version);
    await client.subscribe('t');
    const none = version === 5 ? [properties()] : [];
    const bytes = packet(0x30, 't', ...none, Buffer.from('x'.repeat(200)));
    for (const byte of bytes) client.write(Buffer.of(byte));
    client.write(Buffer.concat([bytes, bytes, bytes.subarray(0, 3)]));
    client.write(bytes.subarray(3));
    assert.is((await client.messages()).length, 4);
  });
}

test('before MQTT 5 DISCONNECT has nothing in it', async ({ join }) => {
  const client = await join('c', 4);
  client.write(packet(0xe0, 0));
  await client.ended();
});

test('DISCONNECT may come without reason and properties, or with them (§3.14.2.1)', async ({ join }) => {
  const bodies = [
    [],
    [Buffer.of(0)],
    [Buffer.of(0), properties()],
    [Buffer.of(0x80), properties(0x1f, 'why', 0x26, 'a', 'b')],
  ];
  for (const body of bodies) {
    const client = await join('c');
    client.write(packet(0xe0, ...body));
    await client.ended();
    assert.equal(client.received, []);
  }
});

const broken: [string, Buffer, number][] = [
  ['a reason that only a server gives', packet(0xe0, 0x8b), 0x82],
  ['an unknown reason', packet(0xe0, 0x42), 0x82],
  ['a server reference', packet(0xe0, 0, properties(0x1c, 'elsewhere')), 0x81],
  ['the expiry twice', packet(0xe0, 0, properties(0x11, u32(0), 0x11, u32(0))), 0x82],
  ['something behind it', packet(0xe0, 0, properties(), 0), 0x81],
];
for (const [name, bytes, code] of broken) {
  test(`DISCONNECT with ${name} is answered with 0x${code.toString(16)} [MQTT-4.13.1-1]`, async ({
    join,
  }) => {
    const client = await join('c');
    client.write(bytes);
    assert.is((await client.next('disconnect')).reasonCode, code);
    await client.ended();
  });
}

test('who is connected when the broker stops is told 0x8b (§3.14.2.1)', async ({ start, join }) => {
  const broker = start({});
  const [five, four] = [await join('five', 5, {}, broker), await join('four', 4, {}, broker)];
  await broker.stop();
  assert.is((await five.next('disconnect')).reasonCode, 0x8b);
  await Promise.all([five.ended(), four.ended()]);
  assert.equal(four.received, []);
});

test('nobody hears DISCONNECT before CONNACK [MQTT-3.14.0-1]', async ({ broker }) => {
  const client = new TestClient(broker, 5);
  client.write(packet(0x00));
  await client.ended();
  assert.equal(client.frames, []);
});

test.run();
