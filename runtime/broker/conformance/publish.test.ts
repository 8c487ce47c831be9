import * as assert from 'uvu/assert';
import { brokerSuite, type Version, versions } from './broker-suite.ts';
import { packet, properties } from './bytes.ts';

const test = brokerSuite('PUBLISH');

for (const from of versions) {
  for (const to of versions) {
    test(`v${from} to v${to}: payloads of every size arrive as they were (§3.3.3)`, async ({ join }) => {
      const [sub, pub] = [await join('sub', to), await join('pub', from)];
      await sub.subscribe('t', 1);
      for (const size of [0, 1, 117, 118, 119, 127, 128, 16_370, 16_384, 70_000]) {
        const payload = Buffer.alloc(size, 0xa5).fill(0, size >> 1);
        pub.publish('t', 'replaced', { payload });
        assert.equal((await sub.next('publish')).payload, payload, `${size}, QoS 0`);
        pub.publish('t', 'replaced', { payload, qos: 1, messageId: 1 });
        const { payload: came, messageId = 0 } = await sub.next('publish');
        assert.equal(came, payload, `${size}, QoS 1`);
        sub.send({ cmd: 'puback', messageId });
        await pub.next('puback');
      }
    });
  }
}

test('many messages in one write reach subscribers of every version, in order [MQTT-4.6.0-6]', async ({
  join,
}) => {
  const subs = await Promise.all(versions.map((version: Version) => join(`sub${version}`, version)));
  for (const sub of subs) await sub.subscribe('t/+');
  for (const version of versions) {
    const pub = await join('pub', version);
    const none = version === 5 ? [properties()] : [];
    const expected: string[] = [];
    const packets: Buffer[] = [];
    for (let n = 0; n < 1000; n++) {
      // Two topics in turns, now and then one.
      const topic = `t/${n % 7 === 0 ? 1 : 2}`;
      packets.push(packet(0x30, topic, ...none, Buffer.from(`${n}`)));
      expected.push(`${topic} ${n}`);
    }
    pub.write(Buffer.concat(packets));
    await pub.settled();
    for (const sub of subs) {
      assert.equal(await sub.messages(), expected);
      sub.received.length = 0;
    }
  }
});

test('a message reaches who subscribed, and nobody else [MQTT-3.3.2-3]', async ({ join }) => {
  const [one, other, pub] = [await join('one'), await join('other'), await join('pub')];
  await one.subscribe('a/+');
  await other.subscribe('b/#');
  await pub.deliver('a/x', 'hello');
  assert.equal(await one.messages(), ['a/x hello']);
  assert.equal(await other.messages(), []);
  assert.equal(await pub.messages(), []);
});

test('a client gets its own messages too (§3.8.3.1)', async ({ join }) => {
  for (const version of versions) {
    const client = await join('c', version);
    await client.subscribe('t');
    client.publish('t', 'x');
    assert.equal(await client.messages(), ['t x']);
  }
});

test('QoS 0 goes out with neither id nor mark [MQTT-2.2.1-2] [MQTT-3.3.1-2] [MQTT-4.3.1-1]', async ({
  join,
}) => {
  const [sub, pub] = [await join('sub', 4), await join('pub', 4)];
  await sub.subscribe('t', 0);
  pub.publish('t', 'x');
  await sub.next('publish');
  assert.equal(sub.frames.at(-1), packet(0x30, 't', Buffer.from('x')));
});

const cut: [string, Buffer][] = [
  ['nothing in it', packet(0x30)],
  ['half a topic length', packet(0x30, 0)],
  ['a topic longer than itself', Buffer.of(0x30, 3, 0, 9, 0x61)],
];
for (const [name, bytes] of cut) {
  for (const version of versions) {
    test(`v${version}: a PUBLISH with ${name} ends the connection`, async ({ join }) => {
      const client = await join('c', version);
      client.write(bytes);
      if (version === 5) assert.is((await client.next('disconnect')).reasonCode, 0x81);
      await client.ended();
    });
  }
}

test.run();
