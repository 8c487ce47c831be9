import * as assert from 'uvu/assert';
import type { QoS } from '../message.ts';
import type { TestClient } from '../test-client.ts';
import { brokerSuite, lasting, lastingFor, versions } from './broker-suite.ts';
import { packet, u16 } from './bytes.ts';

const test = brokerSuite('QoS');
const levels: readonly QoS[] = [0, 1, 2];

/** Takes the next message and acknowledges it as its QoS wants it. */
async function take(client: TestClient): Promise<{ text: string; qos: QoS; dup: boolean; id: number }> {
  const { payload, qos, dup, messageId: id = 0 } = await client.next('publish');
  if (qos === 1) client.send({ cmd: 'puback', messageId: id });
  if (qos === 2) {
    client.send({ cmd: 'pubrec', messageId: id });
    assert.is((await client.next('pubrel')).messageId, id);
    client.send({ cmd: 'pubcomp', messageId: id });
  }
  return { text: payload.toString(), qos, dup, id };
}

for (const version of versions) {
  for (const wanted of levels) {
    test(`v${version}: a subscription of QoS ${wanted} gets the lower QoS of both sides [MQTT-3.8.4-8]`, async ({
      join,
    }) => {
      const [sub, pub] = [await join('sub', version), await join('pub', version)];
      await sub.subscribe('t', wanted);
      for (const sent of levels) {
        if (sent === 0) pub.publish('t', 'x');
        else await pub.deliver('t', 'x', { qos: sent });
        assert.is((await take(sub)).qos, Math.min(wanted, sent));
      }
    });
  }

  test(`v${version}: messages of one topic and QoS keep their order [MQTT-4.6.0-5] [MQTT-4.6.0-6]`, async ({
    join,
  }) => {
    const [sub, pub] = [await join('sub', version), await join('pub', version)];
    await sub.subscribe('t', 2);
    for (const qos of levels) {
      for (let n = 1; n <= 10; n++)
        pub.publish('t', `${n}`, qos === 0 ? { qos } : { qos, messageId: qos * 100 + n });
      const texts: string[] = [];
      for (let n = 1; n <= 10; n++) texts.push((await take(sub)).text);
      assert.equal(texts, ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10']);
    }
  });

  test(`v${version}: QoS 1 is answered with PUBACK and its id, and the id is free then [MQTT-4.3.2-4] [MQTT-4.3.2-5]`, async ({
    join,
  }) => {
    const [sub, pub] = [await join('sub', version), await join('pub', version)];
    await sub.subscribe('t', 0);
    for (const dup of [false, true]) {
      pub.publish('t', `${dup}`, { qos: 1, messageId: 77, dup });
      assert.is((await pub.next('puback')).messageId, 77);
    }
    assert.equal(await sub.messages(), ['t false', 't true']);
  });

  test(`v${version}: a QoS 2 message sent again before PUBREL is delivered once [MQTT-4.3.3-10]`, async ({
    join,
  }) => {
    const [sub, pub] = [await join('sub', version), await join('pub', version)];
    await sub.subscribe('t', 0);
    for (const dup of [false, true]) {
      pub.publish('t', 'x', { qos: 2, messageId: 5, dup });
      assert.is((await pub.next('pubrec')).messageId, 5);
    }
    pub.send({ cmd: 'pubrel', messageId: 5 });
    assert.is((await pub.next('pubcomp')).messageId, 5);
    assert.equal(await sub.messages(), ['t x']);
  });

  test(`v${version}: after PUBCOMP the id is a new message's [MQTT-4.3.3-11] [MQTT-4.3.3-12]`, async ({
    join,
  }) => {
    const [sub, pub] = [await join('sub', version), await join('pub', version)];
    await sub.subscribe('t', 0);
    for (const text of ['a', 'b']) {
      pub.publish('t', text, { qos: 2, messageId: 5 });
      await pub.next('pubrec');
      pub.send({ cmd: 'pubrel', messageId: 5 });
      await pub.next('pubcomp');
    }
    assert.equal(await sub.messages(), ['t a', 't b']);
  });

  test(`v${version}: QoS 2 goes on after a reconnect where it stopped [MQTT-4.3.3-10] [MQTT-4.4.0-1]`, async ({
    join,
  }) => {
    const sub = await join('sub', version);
    await sub.subscribe('t', 0);
    const before = await join('pub', version, lastingFor(version));
    before.publish('t', 'x', { qos: 2, messageId: 5 });
    await before.next('pubrec');
    before.drop();
    await before.ended();
    const after = await join('pub', version, lastingFor(version));
    after.publish('t', 'x', { qos: 2, messageId: 5, dup: true });
    await after.next('pubrec');
    after.send({ cmd: 'pubrel', messageId: 5 });
    await after.next('pubcomp');
    assert.equal(await sub.messages(), ['t x']);
  });

  test(`v${version}: PUBREL for an id that is not held is answered all the same [MQTT-4.3.3-11]`, async ({
    join,
  }) => {
    const client = await join('c', version);
    client.send({ cmd: 'pubrel', messageId: 9 });
    const { messageId, reasonCode } = await client.next('pubcomp');
    assert.equal([messageId, reasonCode], [9, version === 5 ? 0x92 : undefined]);
  });

  test(`v${version}: what is not acknowledged is sent again in its order, as duplicate, with its id [MQTT-3.3.1-1] [MQTT-4.4.0-1] [MQTT-4.6.0-1]`, async ({
    join,
  }) => {
    const first = await join('c', version, lastingFor(version));
    await first.subscribe('t', 2);
    const pub = await join('pub');
    for (const [text, qos] of [
      ['a', 1],
      ['b', 2],
      ['c', 1],
    ] as const)
      await pub.deliver('t', text, { qos });
    const ids: (number | undefined)[] = [];
    for (let i = 0; i < 3; i++) {
      const { dup, messageId } = await first.next('publish');
      assert.is(dup, false);
      ids.push(messageId);
    }
    assert.is(new Set(ids).size, 3);
    first.drop();
    await first.ended();
    const second = await join('c', version, lastingFor(version));
    for (const [i, text] of ['a', 'b', 'c'].entries())
      assert.equal(await take(second), { text, qos: text === 'b' ? 2 : 1, dup: true, id: ids[i] });
  });

  test(`v${version}: after PUBREC only PUBREL is sent again [MQTT-4.3.3-4] [MQTT-4.3.3-5] [MQTT-4.3.3-6]`, async ({
    join,
  }) => {
    const first = await join('c', version, lastingFor(version));
    await first.subscribe('t', 2);
    await (await join('pub')).deliver('t', 'x', { qos: 2 });
    const { messageId = 0 } = await first.next('publish');
    first.send({ cmd: 'pubrec', messageId });
    await first.next('pubrel');
    first.drop();
    await first.ended();
    const second = await join('c', version, lastingFor(version));
    assert.is((await second.next('pubrel')).messageId, messageId);
    second.send({ cmd: 'pubcomp', messageId });
    await second.settled();
    second.drop();
    await second.ended();
    const third = await join('c', version, lastingFor(version));
    await third.settled();
    assert.equal(third.received, []);
  });

  test(`v${version}: nothing is sent again on the same connection [MQTT-4.4.0-1]`, async ({
    join,
    clock,
  }) => {
    const sub = await join('c', version, lastingFor(version));
    await sub.subscribe('t', 1);
    await (await join('pub')).deliver('t', 'x');
    await sub.next('publish');
    await clock.advance(3_600_000);
    assert.equal(await sub.messages(), []);
  });

  test(`v${version}: the duplicate mark of a publisher is not passed on [MQTT-3.3.1-3]`, async ({ join }) => {
    const [sub, pub] = [await join('sub', version), await join('pub', version)];
    await sub.subscribe('t', 2);
    for (const qos of [1, 2] as const) {
      pub.publish('t', 'x', { qos, messageId: qos, dup: true });
      assert.is((await take(sub)).dup, false);
    }
  });
}

test('PUBACKs and PUBRECs come in the order of their messages [MQTT-4.6.0-2] [MQTT-4.6.0-3]', async ({
  broker,
  join,
}) => {
  const releases: (() => void)[] = [];
  broker.subscribe('slow', () => new Promise<void>((resolve) => releases.push(resolve)));
  const client = await join('c');
  client.publish('slow', 'x', { qos: 1, messageId: 1 });
  client.publish('fast', 'x', { qos: 2, messageId: 2 });
  client.publish('fast', 'x', { qos: 1, messageId: 3 });
  await client.settled();
  assert.equal(client.received, []);
  releases[0]?.();
  await client.next('puback');
  await client.next('pubrec');
  await client.next('puback');
  assert.equal(
    client.frames.slice(-3).map((frame) => frame.readUInt16BE(2)),
    [1, 2, 3],
  );
});

test('PUBREC with an error ends the exchange: no PUBREL, nothing sent again [MQTT-4.4.0-2]', async ({
  join,
}) => {
  const first = await join('c', 5, lasting);
  await first.subscribe('t', 2);
  const pub = await join('pub');
  await pub.deliver('t', 'x', { qos: 2 });
  const { messageId = 0 } = await first.next('publish');
  first.send({ cmd: 'pubrec', messageId, reasonCode: 0x97 });
  await first.settled();
  assert.equal(first.received, []);
  first.drop();
  await first.ended();
  const second = await join('c', 5, lasting);
  assert.equal(await second.messages(), []);
});

test('PUBACK with an error counts as acknowledged [MQTT-4.4.0-2]', async ({ join }) => {
  const first = await join('c', 5, lasting);
  await first.subscribe('t', 1);
  await (await join('pub')).deliver('t', 'x');
  const { messageId = 0 } = await first.next('publish');
  first.send({ cmd: 'puback', messageId, reasonCode: 0x80 });
  await first.settled();
  first.drop();
  await first.ended();
  assert.equal(await (await join('c', 5, lasting)).messages(), []);
});

test('PUBREC for an id that is not under way is answered with PUBREL 0x92 (§3.6.2.1)', async ({ join }) => {
  const client = await join('c');
  client.send({ cmd: 'pubrec', messageId: 4 });
  const { messageId, reasonCode } = await client.next('pubrel');
  assert.equal([messageId, reasonCode], [4, 0x92]);
});

test('a refused QoS 2 message leaves its id free [MQTT-4.3.3-9]', async ({ broker, join }) => {
  let refuse = true;
  broker.subscribe('t', () => (refuse ? Promise.reject(new Error('full')) : undefined));
  const client = await join('c');
  client.publish('t', 'x', { qos: 2, messageId: 3 });
  assert.is((await client.next('pubrec')).reasonCode, 0x80);
  refuse = false;
  const sub = await join('sub');
  await sub.subscribe('t', 0);
  client.publish('t', 'y', { qos: 2, messageId: 3 });
  assert.is((await client.next('pubrec')).reasonCode, 0);
  assert.is((await sub.next('publish')).payload.toString(), 'y');
});

test('a message that nobody wants is acknowledged with 0x10 (§3.4.2.1)', async ({ join }) => {
  const client = await join('c');
  assert.is(await client.deliver('t', 'x'), 0x10);
  assert.is(await client.deliver('t', 'x', { qos: 2 }), 0x10);
  await client.subscribe('t');
  assert.is(await client.deliver('t', 'x'), 0);
});

test('acknowledgements that nobody waits for are overheard', async ({ join }) => {
  for (const version of versions) {
    const client = await join('c', version);
    client.send({ cmd: 'puback', messageId: 4 });
    client.send({ cmd: 'pubcomp', messageId: 4 });
    await client.settled();
    assert.equal(client.received, []);
  }
});

const malformed: [string, Buffer][] = [
  ['a PUBLISH of QoS 3 [MQTT-3.3.1-4]', packet(0x36, 't', u16(1), 0)],
  ['a QoS 0 message marked as duplicate [MQTT-3.3.1-2]', packet(0x38, 't', 0)],
  ['a PUBLISH with packet id 0 [MQTT-2.2.1-3]', packet(0x32, 't', u16(0), 0)],
  ['a PUBLISH without its packet id [MQTT-2.2.1-3]', packet(0x32, 't')],
  ['a PUBACK with packet id 0 [MQTT-2.2.1-3]', packet(0x40, u16(0))],
  ['a PUBACK without packet id', packet(0x40, 0)],
  ['a PUBREL with wrong flags [MQTT-3.6.1-1]', packet(0x60, u16(1))],
  ['a PUBACK with flags [MQTT-2.1.3-1]', packet(0x41, u16(1))],
];
for (const [name, bytes] of malformed) {
  for (const version of versions) {
    test(`v${version}: ${name} ends the connection`, async ({ join }) => {
      const client = await join('c', version);
      client.write(bytes);
      if (version === 5) assert.is((await client.next('disconnect')).reasonCode, 0x81);
      await client.ended();
    });
  }
}

const wrongCodes: [string, Buffer][] = [
  ['PUBACK 0x92 [MQTT-3.4.2-1]', packet(0x40, u16(1), 0x92)],
  ['PUBREC 0x01 [MQTT-3.5.2-1]', packet(0x50, u16(1), 0x01)],
  ['PUBREL 0x80 [MQTT-3.6.2-1]', packet(0x62, u16(1), 0x80)],
  ['PUBCOMP 0x10 [MQTT-3.7.2-1]', packet(0x70, u16(1), 0x10)],
];
for (const [name, bytes] of wrongCodes) {
  test(`${name} is a protocol error`, async ({ join }) => {
    const client = await join('c');
    client.write(bytes);
    assert.is((await client.next('disconnect')).reasonCode, 0x82);
    await client.ended();
  });
}

test('before MQTT 5 acknowledgements have no reason code', async ({ join }) => {
  const client = await join('c', 4);
  client.write(packet(0x40, u16(1), 0));
  await client.ended();
});

test('3.1: PUBREL may be marked as a duplicate', async ({ join }) => {
  const client = await join('c', 3);
  client.write(packet(0x6a, u16(3)));
  assert.is((await client.next('pubcomp')).messageId, 3);
});

test.run();
