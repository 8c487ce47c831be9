import type { IConnackPacket, IDisconnectPacket, IPublishPacket } from 'mqtt-packet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seconds } from '../core/units.ts';
import { TestClient } from './test-client.ts';
import { TestNode } from './test-node.ts';
import { settled } from './test-store.ts';

type Context = { node: TestNode };
const test = suite<Context>('sessions');

test.before.each((context) => {
  context.node = new TestNode();
});
test.after.each(({ node }) => node.stop());

const five = (sessionExpiryInterval: number) => ({ clean: false, properties: { sessionExpiryInterval } });

async function isPresent(node: TestNode, clientId: string, version: 4 | 5 = 5): Promise<boolean> {
  const client = new TestClient(node.broker, version);
  const connack = (await client.connect(clientId, { clean: false })) as IConnackPacket;
  client.drop();
  await settled();
  return connack.sessionPresent;
}

/** A client that has come, and gone a moment ago; everything is on disk. */
async function gone(node: TestNode, clientId: string, expiry: number): Promise<void> {
  const client = new TestClient(node.broker, 5);
  await client.connect(clientId, five(expiry));
  client.drop();
  await settled();
  await node.commit();
}

test('a session and its subscriptions with their options are there after a kill', async ({ node }) => {
  const client = new TestClient(node.broker, 5);
  await client.connect('c', five(100));
  const suback = client.subscribe('own/#', 1, { nl: true, rap: true }, { subscriptionIdentifier: 7 });
  await settled();
  assert.equal(client.received, [], 'SUBACK waits for the disk');
  await node.commit();
  await suback;
  await node.kill();
  const again = new TestClient(node.broker, 5);
  assert.is(((await again.connect('c', five(100))) as IConnackPacket).sessionPresent, true);
  const other = await node.client('other', 5);
  again.publish('own/x', 'mine', { qos: 1, messageId: 1, retain: true });
  other.publish('own/x', 'theirs', { qos: 1, messageId: 1, retain: true });
  const got = await again.next('publish');
  assert.equal(
    [got.payload.toString(), got.retain, Number(got.properties?.subscriptionIdentifier)],
    ['theirs', true, 7],
  );
});

test('a subscription that was ended does not come back', async ({ node }) => {
  const client = await node.subscriber('c', 't', 1);
  client.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['t'] });
  await settled();
  assert.equal(client.received, [], 'UNSUBACK waits for the disk');
  await node.commit();
  await client.next('unsuback');
  await node.kill();
  const again = await node.client('c');
  (await node.client('p')).publish('t', 'x', { qos: 1, messageId: 1 });
  await again.settled();
  assert.equal(again.received, []);
});

test('an UNSUBSCRIBE that the disk refused is not said to be done when it comes again', async ({ node }) => {
  const client = await node.subscriber('c', 't', 1);
  client.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['t'] });
  await settled();
  await node.refuse();
  await client.ended();
  const again = await node.client('c');
  again.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['t'] });
  await again.settled();
  assert.equal(again.received, []);
  await node.commit();
  await again.next('unsuback');
  assert.equal(node.store.disk().subscriptions(), []);
});

test('a subscription that the disk refuses is not granted', async ({ node }) => {
  const client = await node.client('c');
  void client.subscribe('t', 1).catch(() => {});
  await settled();
  await node.refuse();
  await client.ended();
  assert.equal(client.received, []);
});

test('a session ends when its time is over, also while the process was away', async ({ node }) => {
  await gone(node, 'short', 50);
  await gone(node, 'long', 500);
  await node.clock.advance(20_000);
  await node.kill(20_000);
  assert.is(await isPresent(node, 'long'), true);
  await node.clock.advance(9000);
  await node.commit();
  await node.clock.advance(2000);
  await node.commit();
  assert.equal(
    node.store
      .disk()
      .sessions()
      .map(({ clientId }) => clientId),
    [],
    'the short one is over, and the long one was resumed without an expiry',
  );
});

test('a session whose time was over before the start is gone', async ({ node }) => {
  await gone(node, 'c', 50);
  await node.kill(51_000);
  assert.is(await isPresent(node, 'c'), false);
  await node.commit();
  assert.equal(node.store.disk().sessions(), []);
});

test('who was connected at the kill left then: the time counts from the next start, once', async ({
  node,
}) => {
  const client = new TestClient(node.broker, 5);
  await client.connect('c', five(50));
  await node.commit();
  await node.kill(1_000_000);
  await node.clock.advance(30_000);
  await node.commit();
  await node.kill();
  await node.clock.advance(21_000);
  assert.is(await isPresent(node, 'c'), false);
});

test('what is dropped for a client that is away does not make its session live longer', async () => {
  const node = new TestNode({ queueCount: 1 });
  await node.away('c', 't', 1, 5);
  const pub = await node.client('pub', 5);
  await node.commit();
  await node.clock.advance(900_000);
  for (const n of [1, 2, 3]) pub.publish('t', `${n}`, { qos: 1, messageId: n });
  await settled();
  await node.commit();
  await node.kill(99_000);
  assert.is(await isPresent(node, 'c'), true);
  await node.stop();
});

test('and a second kill does neither', async () => {
  const node = new TestNode({ queueCount: 1 });
  await node.away('c', 't', 1, 5);
  const pub = await node.client('pub', 5);
  await node.commit();
  await node.clock.advance(900_000);
  for (const n of [1, 2, 3]) pub.publish('t', `${n}`, { qos: 1, messageId: n });
  await settled();
  await node.commit();
  await node.kill(101_000);
  assert.is(await isPresent(node, 'c'), false);
  await node.stop();
});

test('a time from before the clock was set is none', async ({ node }) => {
  node.clock.jump(-node.clock.now() + 5000);
  await gone(node, 'c', 500);
  await node.kill(Date.UTC(2026, 5, 1));
  assert.is(await isPresent(node, 'c'), true);
});

test('a clock that went back takes no time from a session', async ({ node }) => {
  await gone(node, 'c', 500);
  await node.kill(-1_000_000);
  await node.clock.advance(400_000);
  assert.is(await isPresent(node, 'c'), true);
});

test('one that is to live for ever lives as long as the broker allows', async () => {
  const node = new TestNode({ sessionExpiry: seconds(100) });
  await node.away('c', 't', 1);
  await node.commit();
  await node.clock.advance(60_000);
  await node.kill(30_000);
  await node.clock.advance(9000);
  assert.is(await isPresent(node, 'c', 4), true);
  await node.clock.advance(101_000);
  assert.is(await isPresent(node, 'c', 4), false);
  await node.stop();
});

test('DISCONNECT may change how long a session lives [MQTT-3.14.2-2]', async ({ node }) => {
  const [longer, ended, none] = [
    new TestClient(node.broker, 5),
    new TestClient(node.broker, 5),
    new TestClient(node.broker, 5),
  ];
  await longer.connect('longer', five(10));
  await ended.connect('ended', five(1000));
  await none.connect('none', five(0));
  longer.send({ cmd: 'disconnect', properties: { sessionExpiryInterval: 1000 } });
  ended.send({ cmd: 'disconnect', properties: { sessionExpiryInterval: 0 } });
  none.send({ cmd: 'disconnect', properties: { sessionExpiryInterval: 10 } });
  await Promise.all([longer.ended(), ended.ended(), none.ended()]);
  assert.is(((await none.next('disconnect')) as IDisconnectPacket).reasonCode, 0x82);
  await node.commit();
  await node.kill(100_000);
  assert.is(await isPresent(node, 'longer'), true);
  assert.is(await isPresent(node, 'ended'), false);
  assert.is(await isPresent(node, 'none'), false);
});

test('a session that is resumed without an expiry ends with that connection, or with the process', async ({
  node,
}) => {
  await node.away('a', 't', 1, 5);
  await node.away('b', 't', 1, 5);
  await node.commit();
  for (const id of ['a', 'b']) {
    const client = new TestClient(node.broker, 5);
    const connack = (await client.connect(id, { clean: false })) as IConnackPacket;
    assert.is(connack.sessionPresent, true);
    await node.commit();
    if (id === 'a') client.drop();
    await settled();
    await node.commit();
  }
  assert.equal(
    node.store
      .disk()
      .sessions()
      .map(({ clientId }) => clientId),
    ['b'],
  );
  await node.kill();
  assert.is(await isPresent(node, 'b'), false);
});

test('a transient session that is taken over with an expiry begins anew as a lasting one', async ({
  node,
}) => {
  const first = new TestClient(node.broker, 5);
  await first.connect('c', five(0));
  await first.subscribe('t', 1);
  const second = new TestClient(node.broker, 5);
  assert.is(((await second.connect('c', five(100))) as IConnackPacket).sessionPresent, false);
  await first.ended();
  await node.commit();
  assert.equal(
    node.store
      .disk()
      .sessions()
      .map(({ clientId }) => clientId),
    ['c'],
  );
});

test('a clean start ends the session before it, on disk too', async ({ node }) => {
  await node.away('c', 't', 1);
  (await node.client('p')).publish('t', 'x', { qos: 1, messageId: 1 });
  await settled();
  await node.commit();
  const clean = new TestClient(node.broker, 4);
  await clean.connect('c', { clean: true });
  await node.commit();
  await node.commit();
  const disk = node.store.disk();
  assert.equal([disk.subscriptions(), disk.batches()], [[], []]);
  await node.kill();
  assert.is(await isPresent(node, 'c', 4), false);
});

test('of two sessions of one client the younger is kept: the end of the older did not reach the disk', async ({
  node,
}) => {
  await node.away('c', 'old', 1);
  const row = node.store.disk().sessions()[0];
  assert.ok(row);
  node.store.rows.putSession({ ...row, sid: row.sid + 10 });
  node.store.rows.putSubscription({
    sid: row.sid + 10,
    filter: 'new',
    options: JSON.stringify({ qos: 1, noLocal: false, retainAsPublished: false }),
  });
  await node.commit();
  await node.kill();
  const pub = await node.client('p');
  for (const [n, topic] of ['old', 'new'].entries()) pub.publish(topic, topic, { qos: 1, messageId: n + 1 });
  await settled();
  await node.commit();
  const client = await node.client('c');
  await client.settled();
  assert.equal(
    client.received.map((packet) => (packet as IPublishPacket).topic),
    ['new'],
  );
  assert.equal(
    node.store
      .disk()
      .sessions()
      .filter(({ clientId }) => clientId === 'c').length,
    1,
  );
});

test('a stopped broker leaves no timer', async ({ node }) => {
  const sub = await node.subscriber('c', 't', 2);
  await gone(node, 'd', 100);
  (await node.client('p')).publish('t', 'x', { qos: 1, messageId: 1 });
  await settled();
  await node.refuse();
  await node.broker.stop();
  await sub.ended();
  await node.clock.advance(2000); // what a peer that does not read has
  assert.is(node.clock.pending, 0);
});

test.run();
