import * as assert from 'uvu/assert';
import { kibibytes } from '../../core/units.ts';
import { brokerSuite, lasting, versions } from './broker-suite.ts';

const test = brokerSuite('flow control and sizes');

for (const [kind, options] of [
  ['session that ends with its connection', { clean: true, properties: {} }],
  ['session that lasts', lasting],
] as const) {
  test(`a ${kind} gets no more at a time than its receive maximum [MQTT-3.3.4-9]`, async ({ join }) => {
    const properties = { ...options.properties, receiveMaximum: 2 };
    const [sub, pub] = [await join('sub', 5, { ...options, properties }), await join('pub')];
    await sub.subscribe('t', 2);
    for (const text of ['1', '2', '3', '4']) await pub.deliver('t', text, { qos: text === '2' ? 2 : 1 });
    const [first, second] = [await sub.next('publish'), await sub.next('publish')];
    assert.equal(await sub.messages(), []);
    // A QoS 2 message counts until PUBCOMP.
    sub.send({ cmd: 'pubrec', messageId: second.messageId ?? 0 });
    await sub.next('pubrel');
    assert.equal(await sub.messages(), []);
    sub.send({ cmd: 'pubcomp', messageId: second.messageId ?? 0 });
    assert.is((await sub.next('publish')).payload.toString(), '3');
    sub.send({ cmd: 'puback', messageId: first.messageId ?? 0 });
    assert.is((await sub.next('publish')).payload.toString(), '4');
  });

  test(`a ${kind}: PUBREC with an error makes room [MQTT-3.3.4-9]`, async ({ join }) => {
    const properties = { ...options.properties, receiveMaximum: 1 };
    const [sub, pub] = [await join('sub', 5, { ...options, properties }), await join('pub')];
    await sub.subscribe('t', 2);
    for (const text of ['1', '2']) await pub.deliver('t', text, { qos: 2 });
    const { messageId = 0 } = await sub.next('publish');
    sub.send({ cmd: 'pubrec', messageId, reasonCode: 0x83 });
    assert.is((await sub.next('publish')).payload.toString(), '2');
  });

  test(`a ${kind}: other packets and QoS 0 do not wait for acknowledgements [MQTT-3.3.4-10]`, async ({
    join,
  }) => {
    const properties = { ...options.properties, receiveMaximum: 1 };
    const [sub, pub] = [await join('sub', 5, { ...options, properties }), await join('pub')];
    await sub.subscribe('t', 1);
    for (const text of ['1', '2']) await pub.deliver('t', text);
    await sub.next('publish');
    await sub.subscribe('u', 0);
    pub.publish('u', 'at once');
    assert.is((await sub.next('publish')).payload.toString(), 'at once');
  });

  test(`a ${kind}: what is larger than the client takes counts as delivered [MQTT-3.1.2-24] [MQTT-3.1.2-25]`, async ({
    join,
  }) => {
    const properties = { ...options.properties, maximumPacketSize: 60, receiveMaximum: 1 };
    const [sub, pub] = [await join('sub', 5, { ...options, properties }), await join('pub')];
    await sub.subscribe('t', 2);
    for (const qos of [0, 1, 2] as const) {
      const large = { qos, messageId: 9 };
      if (qos === 0) pub.publish('t', 'x'.repeat(60));
      else assert.is(await pub.deliver('t', 'x'.repeat(60), large), 0);
      await pub.deliver('t', 'fits', { qos: 1 });
      const { payload, messageId = 0 } = await sub.next('publish');
      assert.is(payload.toString(), 'fits');
      sub.send({ cmd: 'puback', messageId });
    }
    assert.ok(sub.frames.every((frame) => frame.length <= 60));
  });
}

test('the largest packet that the client takes is sent to it, one byte more is not [MQTT-3.1.2-24]', async ({
  join,
}) => {
  for (const [name, properties] of [
    ['plain', {}],
    ['with properties', { contentType: 'text' }],
  ] as const) {
    const probe = await join('probe');
    await probe.subscribe('t');
    probe.publish('t', 'x'.repeat(50), { properties });
    await probe.next('publish');
    const size = probe.frames.at(-1)?.length ?? 0;
    const exact = await join('exact', 5, { properties: { maximumPacketSize: size } });
    await exact.subscribe('t');
    probe.publish('t', 'y'.repeat(50), { properties });
    probe.publish('t', 'z'.repeat(51), { properties });
    const came = (await exact.messages()).map((text) => text.slice(0, 3));
    assert.equal(came, ['t y'], name);
  }
});

test('of messages that arrive together a client gets those that it can take [MQTT-3.1.2-25]', async ({
  join,
}) => {
  const sub = await join('sub', 5, { properties: { maximumPacketSize: 30 } });
  await sub.subscribe('t');
  const pub = await join('pub');
  // One write, one topic: the broker may send such a run on as a whole.
  pub.stream.cork();
  for (const text of ['1', 'x'.repeat(40), '2', '3']) pub.publish('t', text);
  pub.stream.uncork();
  await pub.settled();
  assert.equal(await sub.messages(), ['t 1', 't 2', 't 3']);
});

test('a reason string that would not fit is left out of DISCONNECT [MQTT-3.14.2-3]', async ({ join }) => {
  const [small, large] = [
    await join('small', 5, { properties: { maximumPacketSize: 20 } }),
    await join('large'),
  ];
  for (const client of [small, large]) client.publish('a/#', 'x');
  assert.is((await small.next('disconnect')).properties?.reasonString, undefined);
  assert.ok((await large.next('disconnect')).properties?.reasonString);
  assert.ok(small.frames.every((frame) => frame.length <= 20));
});

test('a SUBACK that the client cannot take is not sent, the subscriptions hold [MQTT-3.1.2-24]', async ({
  join,
}) => {
  const client = await join('c', 5, { properties: { maximumPacketSize: 40 } });
  const subscriptions = Array.from({ length: 50 }, (_, n) => ({ topic: `t/${n}`, qos: 0 as const }));
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions });
  client.publish('t/7', 'x');
  assert.equal(await client.messages(), ['t/7 x']);
  assert.ok(client.frames.every((frame) => frame.length <= 40));
});

test('before MQTT 5 the broker’s own limit holds', async ({ start, join }) => {
  const broker = start({ limits: { inflight: 2 } });
  const [sub, pub] = [await join('sub', 4, {}, broker), await join('pub', 4, {}, broker)];
  await sub.subscribe('t', 1);
  for (const text of ['1', '2', '3']) await pub.deliver('t', text);
  assert.equal(await sub.messages(), ['t 1', 't 2']);
});

test('more QoS 2 messages than the broker’s receive maximum end the connection with 0x93 [MQTT-3.3.4-7]', async ({
  start,
  join,
}) => {
  const broker = start({ limits: { inflight: 2 } });
  const client = await join('c', 5, {}, broker);
  for (const messageId of [1, 2, 3]) client.publish('t', 'x', { qos: 2, messageId });
  assert.is((await client.next('disconnect')).reasonCode, 0x93);
  await client.ended();
});

test('a message beyond the receive maximum was not taken: sent again it is delivered [MQTT-4.3.3-10]', async ({
  start,
  join,
}) => {
  const broker = start({ limits: { inflight: 1 } });
  const sub = await join('sub', 5, {}, broker);
  await sub.subscribe('t');
  const first = await join('pub', 5, lasting, broker);
  first.publish('t', 'taken', { qos: 2, messageId: 1 });
  first.publish('t', 'too many', { qos: 2, messageId: 2 });
  await first.ended();
  assert.equal(await sub.messages(), ['t taken']);
  const second = await join('pub', 5, lasting, broker);
  second.send({ cmd: 'pubrel', messageId: 1 });
  await second.next('pubcomp');
  second.publish('t', 'too many', { qos: 2, messageId: 2, dup: true });
  await second.next('pubrec');
  assert.equal(await sub.messages(), ['t taken', 't too many']);
});

test('before MQTT 5 a client knows of no receive maximum, and none binds it', async ({ start, join }) => {
  const broker = start({ limits: { inflight: 2 } });
  for (const version of [3, 4] as const) {
    const client = await join(`c${version}`, version, {}, broker);
    for (let messageId = 1; messageId <= 50; messageId++) client.publish('t', 'x', { qos: 2, messageId });
    for (let messageId = 1; messageId <= 50; messageId++)
      assert.is((await client.next('pubrec')).messageId, messageId);
  }
});

test('finished messages do not count [MQTT-3.3.4-7]', async ({ start, join }) => {
  const broker = start({ limits: { inflight: 2 } });
  const client = await join('c', 5, {}, broker);
  for (let i = 0; i < 10; i++) await client.deliver('t', 'x', { qos: 2 });
  client.publish('t', 'x', { qos: 2, messageId: 100 });
  client.publish('t', 'x', { qos: 1, messageId: 101 });
  await client.next('pubrec');
  await client.next('puback');
});

test('after a reconnect no more is sent again than the client takes now, in order [MQTT-3.3.4-9] [MQTT-4.4.0-1]', async ({
  join,
}) => {
  const first = await join('c', 5, lasting);
  await first.subscribe('t', 2);
  const pub = await join('pub');
  for (const text of ['1', '2', '3', '4']) await pub.deliver('t', text, { qos: text === '3' ? 2 : 1 });
  for (let i = 0; i < 4; i++) await first.next('publish');
  first.drop();
  await first.ended();
  await pub.deliver('t', 'new');
  const properties = { ...lasting.properties, receiveMaximum: 1 };
  const second = await join('c', 5, { ...lasting, properties });
  for (const text of ['1', '2', '3', '4', 'new']) {
    const { payload, dup, qos, messageId = 0 } = await second.next('publish');
    assert.equal([payload.toString(), dup], [text, text !== 'new']);
    assert.equal(await second.messages(), []);
    if (qos === 1) second.send({ cmd: 'puback', messageId });
    else {
      second.send({ cmd: 'pubrec', messageId });
      await second.next('pubrel');
      second.send({ cmd: 'pubcomp', messageId });
    }
  }
});

test('what the client takes no more after a reconnect is given up, and the rest goes on [MQTT-3.1.2-25]', async ({
  join,
}) => {
  const first = await join('c', 5, lasting);
  await first.subscribe('t', 1);
  const pub = await join('pub');
  for (const text of ['x'.repeat(100), 'fits']) await pub.deliver('t', text);
  for (let i = 0; i < 2; i++) await first.next('publish');
  first.drop();
  await first.ended();
  const properties = { ...lasting.properties, maximumPacketSize: 50, receiveMaximum: 1 };
  const second = await join('c', 5, { ...lasting, properties });
  assert.is((await second.next('publish')).payload.toString(), 'fits');
});

for (const version of versions) {
  test(`v${version}: a packet larger than the broker takes ends the connection, 0x95 [MQTT-3.2.2-15]`, async ({
    start,
    join,
  }) => {
    const broker = start({ limits: { packetBytes: kibibytes(1) } });
    const [bad, good] = [await join('bad', version, {}, broker), await join('good', version, {}, broker)];
    await good.subscribe('t');
    const room = 1024 - (version === 5 ? 7 : 6);
    good.publish('t', 'x'.repeat(room));
    assert.is((await good.next('publish')).payload.length, room);
    bad.publish('t', 'x'.repeat(room + 1));
    if (version === 5) assert.is((await bad.next('disconnect')).reasonCode, 0x95);
    await bad.ended();
    assert.equal(await good.messages(), []);
  });
}

test.run();
