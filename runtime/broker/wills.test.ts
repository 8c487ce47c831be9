import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { TestClient } from './test-client.ts';
import { TestNode } from './test-node.ts';
import { settled } from './test-store.ts';

type Context = { node: TestNode };
const test = suite<Context>('wills');

test.before.each(async (context) => {
  context.node = new TestNode();
  await context.node.away('watcher', 'will/#', 1);
});
test.after.each(({ node }) => node.stop());

async function withWill(
  node: TestNode,
  clientId: string,
  delay: number,
  expiry: number,
): Promise<TestClient> {
  const client = new TestClient(node.broker, 5);
  await client.connect(clientId, {
    clean: false,
    properties: { sessionExpiryInterval: expiry },
    will: {
      topic: `will/${clientId}`,
      payload: Buffer.from('gone'),
      qos: 1,
      retain: false,
      properties: { willDelayInterval: delay },
    },
  });
  await node.commit();
  return client;
}

/** Topics of the wills that have come. */
async function published(node: TestNode): Promise<string[]> {
  const watcher = await node.client('watcher');
  await watcher.settled();
  const topics = watcher.received.map((packet) => (packet.cmd === 'publish' ? packet.topic : packet.cmd));
  watcher.drop();
  await settled();
  return topics;
}

test('the wills of those that a kill cut off are published by the next process, once', async ({ node }) => {
  await withWill(node, 'a', 0, 100);
  const polite = await withWill(node, 'b', 0, 100);
  polite.send({ cmd: 'disconnect' });
  await polite.ended();
  await node.commit();
  await node.kill();
  await node.commit();
  assert.equal(node.store.disk().wills(), []);
  assert.equal(await published(node), ['will/a']);
  await node.kill();
  assert.equal(await published(node), ['will/a'], 'it was not acknowledged; there is no second one');
});

test('a delay runs again after a kill, but not longer than the session [MQTT-3.1.3-9]', async ({ node }) => {
  await withWill(node, 'long', 60, 600);
  await withWill(node, 'short', 60, 20);
  await withWill(node, 'none', 60, 0);
  await withWill(node, 'back', 60, 600);
  await node.kill();
  await node.commit();
  assert.equal(await published(node), ['will/none']);
  (await node.client('back', 5)).send({ cmd: 'disconnect' });
  await settled();
  await node.clock.advance(20_000);
  assert.equal(await published(node), ['will/none', 'will/short']);
  await node.clock.advance(40_000);
  assert.equal(await published(node), ['will/none', 'will/short', 'will/long']);
});

test('a will of a client that is taken over is published, and the new one is kept', async ({ node }) => {
  const first = await withWill(node, 'a', 0, 100);
  const second = await withWill(node, 'a', 0, 100);
  await first.ended();
  await node.commit();
  assert.equal(await published(node), ['will/a']);
  second.drop();
  await settled();
  assert.equal(await published(node), ['will/a', 'will/a']);
});

test('a broker that stops says no will, then or later', async ({ node }) => {
  await withWill(node, 'a', 0, 100);
  await node.broker.stop();
  await node.commit();
  await node.kill();
  assert.equal(await published(node), []);
});

test.run();
