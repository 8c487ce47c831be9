import type { IPublishPacket, IPubrelPacket } from 'mqtt-packet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bytes } from '../core/units.ts';
import type { TestClient } from './test-client.ts';
import { TestNode } from './test-node.ts';
import { settled } from './test-store.ts';

type Context = { node: TestNode; pub: TestClient };
const test = suite<Context>('durable session');

test.before.each(async (context) => {
  context.node = new TestNode();
  context.pub = await context.node.client('pub', 5);
});
test.after.each(({ node }) => node.stop());

const text = ({ payload }: IPublishPacket): string => payload.toString();

async function publish(client: TestClient, qos: 1 | 2, ...payloads: string[]): Promise<void> {
  for (const payload of payloads)
    client.publish('t', payload, { qos, messageId: 100 + Number(payload) || 99 });
  await settled();
}

/** What has come, in order. */
async function publishes(client: TestClient): Promise<IPublishPacket[]> {
  await client.settled();
  const found = client.received.filter(({ cmd }) => cmd === 'publish') as IPublishPacket[];
  const others = client.received.filter(({ cmd }) => cmd !== 'publish');
  client.received.splice(0, client.received.length, ...others);
  return found;
}
const texts = async (client: TestClient): Promise<string[]> => (await publishes(client)).map(text);

for (const qos of [1, 2] as const) {
  test(`QoS ${qos}: what was acknowledged for a client that is away is there after a kill, in order`, async ({
    node,
    pub,
  }) => {
    await node.away('sub', 't', qos);
    await publish(pub, qos, '1', '2', '3');
    await pub.settled();
    assert.equal(pub.received, [], 'nothing is acknowledged before it is on disk');
    await node.commit();
    for (const _ of [1, 2, 3]) await pub.next(qos === 1 ? 'puback' : 'pubrec');
    await node.kill();
    const sub = await node.client('sub');
    await node.commit();
    assert.equal(await texts(sub), ['1', '2', '3']);
  });
}

test('a QoS 1 message under way when the process is killed is sent again', async ({ node, pub }) => {
  const sub = await node.subscriber('sub', 't', 1);
  await publish(pub, 1, '1', '2');
  await node.commit();
  const [first] = await publishes(sub);
  sub.send({ cmd: 'puback', messageId: first?.messageId ?? 0 });
  await sub.settled();
  await node.commit();
  await node.kill();
  assert.equal(await texts(await node.client('sub')), ['2']);
});

test('nothing is written of what every subscriber acknowledges before the commit', async ({ node, pub }) => {
  const [a, b] = [await node.subscriber('a', 't', 1), await node.subscriber('b', '#', 1)];
  await publish(pub, 1, '1');
  for (const sub of [a, b])
    sub.send({ cmd: 'puback', messageId: (await sub.next('publish')).messageId ?? 0 });
  assert.is((await pub.next('puback')).messageId, 101);
  await node.commit();
  assert.equal([node.store.count('putBatch'), node.store.count('removeBatch')], [0, 0]);
});

test('QoS 0 between clients that keep nothing does not touch the disk', async ({ node }) => {
  const before = node.store.count();
  const [sub, other] = [
    await node.client('s', 5, { sessionExpiryInterval: 0 }),
    await node.client('o', 5, { sessionExpiryInterval: 0 }),
  ];
  const suback = sub.subscribe('t', 2);
  await suback;
  for (let n = 0; n < 50; n++) other.publish('t', `${n}`);
  other.publish('t', 'one', { qos: 1, messageId: 1 });
  await other.next('puback');
  await node.commit();
  assert.is((await texts(sub)).length, 51);
  assert.is(node.store.count() - before, 1, 'the cursor of the durable publisher alone');
});

test('the packet id of a QoS 2 message is the same after a kill, and it is marked as a duplicate', async ({
  node,
  pub,
}) => {
  const sub = await node.subscriber('sub', 't', 2);
  await publish(pub, 2, '1');
  assert.equal(await publishes(sub), [], 'it is not sent before its id is on disk');
  await node.commit();
  const [before] = await publishes(sub);
  await node.kill();
  const again = await node.client('sub');
  const [after] = await publishes(again);
  assert.equal([after?.messageId, after?.dup, after && text(after)], [before?.messageId, true, '1']);
});

test('PUBREL leaves only when it is on disk that the client has the message, also over a reconnect', async ({
  node,
  pub,
}) => {
  const sub = await node.subscriber('sub', 't', 2);
  await publish(pub, 2, '1');
  await node.commit();
  const id = (await sub.next('publish')).messageId ?? 0;
  sub.send({ cmd: 'pubrec', messageId: id });
  await sub.settled();
  assert.equal(sub.received, []);
  sub.drop();
  await settled();
  const back = await node.client('sub');
  await back.settled();
  assert.equal(back.received, [], 'neither PUBREL nor PUBLISH: the disk has still to answer');
  await node.commit();
  assert.is(((await back.next('pubrel')) as IPubrelPacket).messageId, id);
  await node.kill();
  const third = await node.client('sub');
  assert.is((await third.next('pubrel')).messageId, id);
  third.send({ cmd: 'pubcomp', messageId: id });
  await third.settled();
  await node.commit();
  await node.kill();
  const last = await node.client('sub');
  await last.settled();
  assert.equal(last.received, []);
});

test('a QoS 2 message that is done is not sent again although an earlier one is not', async ({
  node,
  pub,
}) => {
  const sub = await node.subscriber('sub', 't', 2);
  await publish(pub, 2, '1', '2');
  await node.commit();
  const [first, second] = await publishes(sub);
  const id = second?.messageId ?? 0;
  sub.send({ cmd: 'pubrec', messageId: id });
  await settled();
  await node.commit();
  await sub.next('pubrel');
  sub.send({ cmd: 'pubcomp', messageId: id });
  await sub.settled();
  await node.commit();
  await node.kill();
  const back = await node.client('sub');
  const got = await publishes(back);
  assert.equal(
    got.map((p) => [text(p), p.messageId]),
    [['1', first?.messageId]],
  );
});

test('a number that was given to a message is not given to another after a kill', async ({ node, pub }) => {
  const sub = await node.subscriber('sub', 't', 2);
  await publish(pub, 2, '1');
  await node.commit();
  await publish(pub, 2, '2');
  await node.commit();
  const [, second] = await publishes(sub);
  const id = second?.messageId ?? 0;
  sub.send({ cmd: 'pubrec', messageId: id });
  await settled();
  await node.commit();
  sub.send({ cmd: 'pubcomp', messageId: id });
  await settled();
  await node.commit();
  await node.commit();
  assert.equal(node.store.disk().batches().length, 1, 'the batch of the second is gone');
  await node.kill();
  const later = await node.client('pub2');
  await publish(later, 2, '3');
  await node.commit();
  await later.next('pubrec');
  await node.kill();
  const back = await node.client('sub');
  await node.commit();
  assert.equal(await texts(back), ['1', '3']);
});

test('PUBCOMP leaves only when the id is free on disk; a refusal leaves it as it was', async ({
  node,
  pub,
}) => {
  await publish(pub, 2, '1');
  await pub.next('pubrec');
  pub.send({ cmd: 'pubrel', messageId: 101 });
  await pub.settled();
  assert.equal(pub.received, []);
  await node.refuse();
  await pub.ended();
  const again = await node.client('pub', 5);
  again.send({ cmd: 'pubrel', messageId: 101 });
  await node.commit();
  assert.is((await again.next('pubcomp')).reasonCode ?? 0, 0);
  assert.equal(node.store.disk().incoming(), []);
});

test('PUBREL again over a new connection is not answered before the id is free on disk either', async ({
  node,
  pub,
}) => {
  await publish(pub, 2, '1');
  await pub.next('pubrec');
  await node.commit();
  pub.send({ cmd: 'pubrel', messageId: 101 });
  await settled();
  pub.drop();
  await settled();
  const again = await node.client('pub', 5);
  again.send({ cmd: 'pubrel', messageId: 101 });
  await again.settled();
  assert.equal(again.received, []);
  await node.commit();
  assert.is((await again.next('pubcomp')).reasonCode ?? 0, 0);
  assert.equal(node.store.disk().incoming(), []);
});

test('an id whose message was refused is free, however often the disk refuses', async ({ node, pub }) => {
  await node.away('sub', 't', 2);
  await publish(pub, 2, '1');
  await node.refuse();
  assert.is((await pub.next('pubrec')).reasonCode, 0x80);
  await node.refuse();
  await node.refuse();
  await publish(pub, 2, '1');
  await node.commit();
  assert.is((await pub.next('pubrec')).reasonCode ?? 0, 0);
  pub.send({ cmd: 'pubrel', messageId: 101 });
  await node.commit();
  await pub.next('pubcomp');
  const sub = await node.client('sub');
  await node.commit();
  assert.equal(await texts(sub), ['1']);
  assert.equal(node.store.disk().incoming(), []);
});

test('a QoS 2 message that its publisher sends again after a kill is not delivered again', async ({
  node,
  pub,
}) => {
  await node.away('sub', 't', 2);
  await publish(pub, 2, '1');
  await node.commit();
  await node.kill();
  const again = await node.client('pub', 5);
  again.publish('t', '1', { qos: 2, messageId: 101, dup: true });
  await again.next('pubrec');
  await node.commit();
  const sub = await node.client('sub');
  await node.commit();
  assert.equal(await texts(sub), ['1']);
});

test('a QoS 2 message sent again over a new connection waits for the disk like the first one', async ({
  node,
  pub,
}) => {
  await node.away('sub', 't', 2);
  await publish(pub, 2, '1');
  pub.drop();
  await settled();
  const again = await node.client('pub', 5);
  again.publish('t', '1', { qos: 2, messageId: 101, dup: true });
  await again.settled();
  assert.equal(again.received, []);
  await node.commit();
  assert.is((await again.next('pubrec')).reasonCode ?? 0, 0);
});

test('when the disk refuses it, the one who sent it again is told', async ({ node, pub }) => {
  await node.away('sub', 't', 2);
  await publish(pub, 2, '1');
  pub.drop();
  await settled();
  const again = await node.client('pub', 5);
  again.publish('t', '1', { qos: 2, messageId: 101, dup: true });
  await settled();
  await node.refuse();
  assert.is((await again.next('pubrec')).reasonCode, 0x80);
  again.publish('t', '1', { qos: 2, messageId: 101 });
  await settled();
  await node.commit();
  assert.is((await again.next('pubrec')).reasonCode ?? 0, 0);
  const sub = await node.client('sub');
  await node.commit();
  assert.equal(await texts(sub), ['1'], 'once: what was refused does not arrive');
});

test('a refused commit: MQTT 5 is told, before that the connection ends; the next try is kept', async ({
  node,
  pub,
}) => {
  await node.away('sub', 't', 1);
  const four = await node.client('four');
  await publish(pub, 1, '1');
  await publish(four, 1, '2');
  await node.refuse();
  assert.is((await pub.next('puback')).reasonCode, 0x80);
  await four.ended();
  assert.equal(four.received, []);
  await publish(pub, 1, '3');
  await node.commit();
  assert.is((await pub.next('puback')).reasonCode ?? 0, 0);
  await node.kill();
  assert.equal(await texts(await node.client('sub')), ['3']);
});

test('QoS 2 messages that the disk refuses keep their order, and go when it takes them', async ({
  node,
  pub,
}) => {
  const sub = await node.subscriber('sub', 't', 1);
  await publish(pub, 1, '1');
  await node.commit();
  await node.away('late', 't', 2);
  await publish(pub, 2, '2', '3');
  await node.commit();
  await publish(pub, 2, '4');
  await node.commit();
  const late = await node.client('late');
  await node.refuse();
  await publish(pub, 2, '5');
  await node.refuse();
  assert.equal(await texts(late), []);
  await node.clock.advance(5000);
  await node.commit();
  // The fifth was refused: its publisher knows, and nobody else gets it.
  assert.equal(await texts(late), ['2', '3', '4']);
  assert.equal(await texts(sub), ['1', '2', '3', '4', '5']);
});

test('a batch that is under way when an earlier one is refused does not overtake it', async ({
  node,
  pub,
}) => {
  await node.away('sub', 't', 2);
  await publish(pub, 2, '1');
  await node.commit();
  const sub = await node.client('sub', 5);
  await publish(pub, 2, '2');
  const end = node.store.begin();
  await publish(pub, 2, '3');
  await end('refused');
  await node.commit();
  assert.equal(await texts(sub), []);
  await node.clock.advance(5000);
  await node.commit();
  assert.equal(await texts(sub), ['1', '3'], 'the second was refused, and the third has waited');
});

test('that the client has the message is written when the disk takes it, and PUBREL leaves then', async ({
  node,
  pub,
}) => {
  const sub = await node.subscriber('sub', 't', 2);
  await publish(pub, 2, '1');
  await node.commit();
  const id = (await sub.next('publish')).messageId ?? 0;
  sub.send({ cmd: 'pubrec', messageId: id });
  await settled();
  await node.refuse();
  await node.clock.advance(5000);
  await node.commit();
  assert.is((await sub.next('pubrel')).messageId, id);
});

test('a reconnect meanwhile gets the message again, because nothing says that the client has it', async ({
  node,
  pub,
}) => {
  const sub = await node.subscriber('sub', 't', 2);
  await publish(pub, 2, '1');
  await node.commit();
  const id = (await sub.next('publish')).messageId ?? 0;
  sub.send({ cmd: 'pubrec', messageId: id });
  await settled();
  await node.refuse();
  sub.drop();
  await settled();
  const back = await node.client('sub');
  const [again] = await publishes(back);
  assert.equal([again?.messageId, again?.dup], [id, true]);
});

test('a takeover while packet ids are on their way to the disk sends the messages once, to the new one', async ({
  node,
  pub,
}) => {
  const first = await node.subscriber('sub', 't', 2);
  await publish(pub, 2, '1');
  const second = await node.client('sub');
  await first.ended();
  await node.commit();
  assert.equal(first.received, []);
  assert.equal(await texts(second), ['1']);
});

test('a session that is discarded while its messages are being committed takes nothing of others along', async ({
  node,
  pub,
}) => {
  const gone = await node.subscriber('gone', 't', 2, 5);
  await node.away('other', 't', 1);
  await publish(pub, 2, '1');
  const end = node.store.begin();
  gone.send({ cmd: 'disconnect', properties: { sessionExpiryInterval: 0 } });
  await gone.ended();
  await end('kept');
  await pub.next('pubrec');
  await node.commit();
  assert.equal(
    node.store
      .disk()
      .sessions()
      .map(({ clientId }) => clientId)
      .sort(),
    ['other', 'pub'],
  );
  assert.equal(node.store.disk().outgoing(), []);
  await node.kill();
  assert.equal(await texts(await node.client('other')), ['1']);
});

test('what waits is still delivered after an unsubscribe', async ({ node, pub }) => {
  await node.away('sub', 't', 1);
  await publish(pub, 1, '1');
  await node.commit();
  const sub = await node.client('sub');
  sub.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['t'] });
  await node.commit();
  await sub.next('unsuback');
  await publish(pub, 1, '2');
  assert.equal(await texts(sub), ['1']);
  await node.kill();
  const back = await node.client('sub');
  await publish(await node.client('pub', 5), 1, '3');
  assert.equal(await texts(back), ['1']);
});

test('after a reconnect no more is sent again than the client takes [MQTT-3.3.4-9]', async ({
  node,
  pub,
}) => {
  const sub = await node.subscriber('sub', 't', 1, 5);
  await publish(pub, 1, '1', '2', '3');
  await node.commit();
  const ids = (await publishes(sub)).map(({ messageId }) => messageId);
  sub.drop();
  await settled();
  const back = await node.client('sub', 5, { receiveMaximum: 2 });
  const first = await publishes(back);
  assert.equal(
    first.map((p) => [p.messageId, p.dup]),
    ids.slice(0, 2).map((id) => [id, true]),
  );
  back.send({ cmd: 'puback', messageId: ids[1] ?? 0 });
  const second = await publishes(back);
  assert.equal(
    second.map((p) => [text(p), p.messageId]),
    [['3', ids[2]]],
  );
});

for (const outcome of ['kept', 'refused'] as const) {
  test(`what waits for the disk across a reconnect is sent no faster than the client takes it: ${outcome}`, async ({
    node,
    pub,
  }) => {
    await node.away('sub', 't', 2);
    await publish(pub, 2, '1', '2');
    await node.commit();
    (await node.client('sub', 5)).drop();
    await settled();
    const back = await node.client('sub', 5, { receiveMaximum: 1 });
    await publish(pub, 2, '3');
    assert.equal(await texts(back), []);
    if (outcome === 'refused') {
      await node.refuse();
      await node.clock.advance(5000);
    }
    const got: string[] = [];
    for (let n = 0; n < 3; n++) {
      await node.commit();
      const [packet, ...more] = await publishes(back);
      if (!packet) break;
      assert.equal(more, []);
      got.push(text(packet));
      const messageId = packet.messageId ?? 0;
      back.send({ cmd: 'pubrec', messageId });
      await back.settled();
      await node.commit();
      await back.next('pubrel');
      back.send({ cmd: 'pubcomp', messageId });
      await back.settled();
    }
    // The publisher of the third was told that it is not kept.
    assert.equal(got, outcome === 'kept' ? ['1', '2', '3'] : ['1', '2']);
  });
}

test('a QoS 2 message sent again is refused along with its first copy', async ({ node, pub }) => {
  await node.away('sub', 't', 2);
  await publish(pub, 2, '1');
  await publish(pub, 2, '1');
  await node.refuse();
  for (const _ of [1, 2]) assert.is((await pub.next('pubrec')).reasonCode, 0x80);
  await publish(pub, 2, '1');
  await node.commit();
  assert.not((await pub.next('pubrec')).reasonCode);
  const sub = await node.client('sub');
  await node.commit();
  assert.equal(await texts(sub), ['1']);
});

test('a client of MQTT 3.1.1 may send any number of QoS 2 messages; one of MQTT 5 that sends too many loses none', async () => {
  const node = new TestNode({ inflight: 2 });
  await node.away('sub', 't', 1);
  const four = await node.client('four');
  await publish(four, 2, '1', '2', '3');
  await node.commit();
  for (const _ of [1, 2, 3]) await four.next('pubrec');
  const five = await node.client('five', 5);
  await publish(five, 2, '4', '5', '6');
  await five.ended();
  await node.commit();
  const again = await node.client('five', 5);
  again.send({ cmd: 'pubrel', messageId: 104 });
  again.publish('t', '6', { qos: 2, messageId: 106, dup: true });
  await settled();
  await node.commit();
  await again.next('pubrec');
  await node.kill();
  const sub = await node.client('sub');
  const got: string[] = [];
  for (let n = 0; n < 6; n++) {
    const packet = await sub.next('publish');
    got.push(text(packet));
    sub.send({ cmd: 'puback', messageId: packet.messageId ?? 0 });
  }
  assert.equal(got, ['1', '2', '3', '4', '5', '6']);
  await node.stop();
});

for (const [drop, kept] of [
  ['oldest', ['3', '4']],
  ['newest', ['1', '2']],
] as const) {
  test(`a full queue gives up its ${drop}, also over a kill`, async () => {
    const node = new TestNode({ queueCount: 2, queueDrop: drop });
    await node.away('sub', 't', 1);
    const pub = await node.client('pub', 5);
    await publish(pub, 1, '1', '2', '3', '4');
    await node.commit();
    for (const _ of [1, 2, 3, 4]) await pub.next('puback');
    await node.kill();
    assert.equal(await texts(await node.client('sub')), [...kept]);
    await node.stop();
  });
}

for (const [drop, kept] of [
  ['oldest', ['3', '4']],
  ['newest', ['1', '2']],
] as const) {
  test(`the same by its bytes: ${drop}`, async () => {
    // A message counts with its payload, its topic and 64 bytes.
    const node = new TestNode({ queueBytes: bytes(140), queueDrop: drop });
    await node.away('sub', 't', 1);
    const pub = await node.client('pub', 5);
    await publish(pub, 1, '1', '2', '3', '4');
    await node.commit();
    assert.is(node.broker.counters.dropped.value, 2);
    assert.equal(await texts(await node.client('sub')), [...kept]);
    await node.stop();
  });
}

test('a message larger than the queue reaches a client that is there and can take it', async () => {
  const node = new TestNode({ queueBytes: bytes(140) });
  const sub = await node.subscriber('sub', 't', 1);
  const pub = await node.client('pub', 5);
  pub.publish('t', 'x'.repeat(1000), { qos: 1, messageId: 1 });
  assert.is((await texts(sub))[0]?.length, 1000);
  await node.stop();
});

test('a message that is too large for the client counts as delivered', async ({ node, pub }) => {
  const sub = await node.client('sub', 5, { maximumPacketSize: 100 });
  const suback = sub.subscribe('t', 2);
  await node.commit();
  await suback;
  for (const qos of [1, 2] as const) pub.publish('t', 'x'.repeat(200), { qos, messageId: qos });
  await settled();
  await publish(pub, 2, '3');
  await node.commit();
  assert.equal(await texts(sub), ['3']);
  await node.commit();
  const first = node.store
    .disk()
    .sessions()
    .find(({ clientId }) => clientId === 'sub');
  assert.is(first?.cursor, 3);
});

test('a message expires while it waits, also over a kill', async ({ node, pub }) => {
  await node.away('sub', 't', 1, 5);
  for (const [n, expiry] of [10, 100, undefined].entries())
    pub.publish('t', `${expiry}`, {
      qos: 1,
      messageId: n + 1,
      properties: { ...(expiry ? { messageExpiryInterval: expiry } : {}) },
    });
  await settled();
  await node.commit();
  await node.clock.advance(3000);
  await node.kill(30_000);
  const sub = await node.client('sub', 5);
  const got = await publishes(sub);
  assert.equal(
    got.map((p) => [text(p), p.properties?.messageExpiryInterval]),
    [
      ['100', 67],
      ['undefined', undefined],
    ],
  );
});

test('a long outage is paged out, and comes back in order', async () => {
  const node = new TestNode({ queueCount: 5000 });
  await node.away('a', 't', 1);
  await node.away('b', 't', 1);
  const pub = await node.client('pub', 5);
  for (let batch = 0; batch < 20; batch++) {
    for (let n = 1; n <= 10; n++) pub.publish('t', `${batch * 10 + n}`, { qos: 1, messageId: n });
    await settled();
    await node.commit();
    for (let n = 1; n <= 10; n++) await pub.next('puback');
  }
  const wanted = Array.from({ length: 200 }, (_, i) => `${i + 1}`);
  for (const id of ['a', 'b']) {
    const sub = await node.client(id);
    const got: string[] = [];
    while (got.length < 200) {
      const packet = await sub.next('publish');
      got.push(text(packet));
      sub.send({ cmd: 'puback', messageId: packet.messageId ?? 0 });
    }
    assert.equal(got, wanted);
    await sub.settled();
  }
  await node.commit();
  await node.commit();
  assert.equal(node.store.disk().batches(), [], 'and nothing of it stays');
  await node.stop();
});

test.run();
