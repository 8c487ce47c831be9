import * as assert from 'uvu/assert';
import { memoryBrokerStore } from '../memory-store.ts';
import type { TestClient } from '../test-client.ts';
import { brokerSuite, lasting } from './broker-suite.ts';

const test = brokerSuite('$SYS topics');

const names = [
  'bytes/received',
  'bytes/sent',
  'clients/connected',
  'clients/disconnected',
  'clients/maximum',
  'clients/total',
  'heap/current',
  'messages/received',
  'messages/sent',
  'publish/messages/dropped',
  'publish/messages/received',
  'publish/messages/sent',
  'retained messages/count',
  'store/messages/count',
  'subscriptions/count',
  'uptime',
  'version',
];

/** What has come, by name; it is taken. */
async function figures(client: TestClient): Promise<Record<string, string>> {
  await client.settled();
  const came = client.received.splice(0).flatMap((packet) => (packet.cmd === 'publish' ? [packet] : []));
  return Object.fromEntries(
    came.map(({ topic, payload }) => [topic.replace('$SYS/broker/', ''), payload.toString()]),
  );
}

test('whoever subscribes gets all of them at once, as retained messages after SUBACK', async ({ join }) => {
  const client = await join('c');
  await client.subscribe('$SYS/#', 2);
  await client.settled();
  assert.is(client.received.length, names.length);
  for (const packet of client.received) {
    assert.ok(packet.cmd === 'publish');
    assert.equal([packet.retain, packet.qos], [true, 0]);
  }
  assert.equal(Object.keys(await figures(client)).sort(), names);
});

test('they say what is', async ({ start, join }) => {
  const broker = start({ version: 'edgecore 1.2.3' });
  const away = await join('away', 5, lasting, broker);
  await away.subscribe('t', 1);
  away.drop();
  await away.ended();
  const client = await join('c', 5, {}, broker);
  await client.deliver('t', 'x', { retain: true });
  await client.subscribe('t');
  await client.next('publish');
  await client.subscribe('$SYS/broker/#');
  const {
    'bytes/received': received,
    'bytes/sent': sent,
    'heap/current': heap,
    ...rest
  } = await figures(client);
  assert.ok(Number(received) > 0 && Number(sent) > 0 && Number(heap) > 0);
  assert.equal(rest, {
    version: 'edgecore 1.2.3',
    uptime: '0 seconds',
    'clients/connected': '1',
    'clients/disconnected': '1',
    'clients/maximum': '1',
    'clients/total': '2',
    'messages/received': '1',
    'messages/sent': '1',
    'publish/messages/received': '1',
    'publish/messages/sent': '1',
    'publish/messages/dropped': '0',
    'subscriptions/count': '3',
    'retained messages/count': '1',
    'store/messages/count': '2',
  });
});

test('every ten seconds those come that have changed', async ({ clock, join }) => {
  const client = await join('c');
  for (const name of ['uptime', 'version', 'clients/+'])
    await client.subscribe(`$SYS/broker/${name}`, 0, { rap: true });
  await figures(client);
  await clock.advance(9_999);
  assert.equal(await figures(client), {});
  await join('other');
  await clock.advance(1);
  assert.equal(await figures(client), {
    uptime: '10 seconds',
    'clients/connected': '2',
    'clients/maximum': '2',
    'clients/total': '2',
  });
  await clock.advance(10_000);
  assert.equal(await figures(client), { uptime: '20 seconds' });
});

test('without subscribers nothing runs and nothing is kept', async ({ broker, clock, join }) => {
  const client = await join('c');
  const idle = clock.pending;
  await client.subscribe('#');
  await client.subscribe('+/broker/uptime');
  assert.is(clock.pending, idle);
  await client.subscribe('$SYS/broker/uptime');
  await client.subscribe('$share/g/$SYS/#');
  assert.is(clock.pending, idle + 1);
  client.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['$SYS/broker/uptime'] });
  await client.next('unsuback');
  assert.is(clock.pending, idle + 1);
  client.drop();
  await client.ended();
  assert.is(clock.pending, 0);
  const unsubscribe = broker.subscribe('$SYS/broker/clients/connected', () => {});
  assert.is(clock.pending, 1);
  unsubscribe();
  assert.is(clock.pending, 0);
});

test('a broker that has stopped lets its timer go', async ({ start, clock, join }) => {
  const broker = start({});
  broker.subscribe('$SYS/#', () => {});
  await join('c', 5, lasting, broker);
  await broker.stop();
  await clock.advance(10_000);
  assert.is(clock.pending, 0);
});

test('nothing of them reaches the disk, and nothing waits for a client that is away', async ({
  start,
  clock,
  join,
}) => {
  const store = memoryBrokerStore();
  const broker = start({ store });
  const first = await join('c', 5, lasting, broker);
  await first.subscribe('$SYS/#', 2);
  await figures(first);
  first.drop();
  await first.ended();
  await clock.advance(60_000);
  assert.equal([store.rows.retained(), store.rows.batches(), store.rows.outgoing()], [[], [], []]);
  const second = await join('c', 5, lasting, broker);
  assert.equal(await figures(second), {});
  await clock.advance(10_000);
  assert.is((await figures(second)).uptime, '70 seconds');
});

test.run();
