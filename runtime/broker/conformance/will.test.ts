import * as assert from 'uvu/assert';
import { memoryBrokerStore } from '../memory-store.ts';
import type { QoS } from '../message.ts';
import { TestClient } from '../test-client.ts';
import { brokerSuite, versions } from './broker-suite.ts';
import { connectHead, packet, properties } from './bytes.ts';

const test = brokerSuite('wills');

const will = (more: { topic?: string; qos?: QoS; retain?: boolean; properties?: object } = {}) => ({
  will: { topic: 'will', payload: Buffer.from('gone'), qos: 0 as QoS, retain: false, ...more },
});
const delayed = (willDelayInterval: number, sessionExpiryInterval: number, clean = true) => ({
  clean,
  properties: { sessionExpiryInterval },
  ...will({ properties: { willDelayInterval } }),
});

for (const version of versions) {
  test(`v${version}: the will is published when the connection is lost [MQTT-3.1.2-8]`, async ({ join }) => {
    const watcher = await join('watcher', version);
    await watcher.subscribe('will', 2);
    for (const qos of [0, 1, 2] as const) {
      const client = await join('c', version, will({ qos }));
      client.drop();
      const came = await watcher.next('publish');
      assert.equal([came.payload.toString(), came.qos], ['gone', qos]);
    }
  });

  test(`v${version}: the will is published when the client breaks the protocol [MQTT-3.1.2-8]`, async ({
    join,
  }) => {
    const watcher = await join('watcher', version);
    await watcher.subscribe('will');
    const client = await join('c', version, will());
    client.write(packet(0x00));
    assert.is((await watcher.next('publish')).topic, 'will');
  });

  test(`v${version}: the will is published when the keep alive runs out [MQTT-3.1.2-8] [MQTT-3.1.2-22]`, async ({
    clock,
    join,
  }) => {
    const watcher = await join('watcher', version);
    await watcher.subscribe('will');
    await join('c', version, { ...will(), keepalive: 10 });
    await clock.advance(14_999);
    assert.equal(await watcher.messages(), []);
    await clock.advance(1);
    assert.is((await watcher.next('publish')).topic, 'will');
  });

  test(`v${version}: the will is published when the session is taken over [MQTT-3.1.2-8]`, async ({
    join,
  }) => {
    const watcher = await join('watcher', version);
    await watcher.subscribe('will');
    await join('c', version, will());
    await join('c', version);
    assert.is((await watcher.next('publish')).topic, 'will');
  });

  test(`v${version}: DISCONNECT drops the will [MQTT-3.1.2-10] [MQTT-3.14.4-3]`, async ({ join }) => {
    const watcher = await join('watcher', version);
    await watcher.subscribe('will');
    const client = await join('c', version, will());
    client.send({ cmd: 'disconnect' });
    await client.ended();
    assert.equal(await watcher.messages(), []);
  });

  test(`v${version}: a will is published once [MQTT-3.1.2-10]`, async ({ join }) => {
    const watcher = await join('watcher', version);
    await watcher.subscribe('will');
    const first = await join('c', version, will());
    first.drop();
    await watcher.next('publish');
    const second = await join('c', version);
    second.drop();
    await second.ended();
    assert.equal(await watcher.messages(), []);
  });
}

test('DISCONNECT with 0x04 publishes the will (§3.14.2.1)', async ({ join }) => {
  const watcher = await join('watcher');
  await watcher.subscribe('will');
  const client = await join('c', 5, will());
  client.send({ cmd: 'disconnect', reasonCode: 4 });
  assert.is((await watcher.next('publish')).topic, 'will');
});

test('a will waits for its delay (§3.1.3.2.2)', async ({ clock, join }) => {
  const watcher = await join('watcher');
  await watcher.subscribe('will');
  const client = await join('c', 5, delayed(10, 100));
  client.drop();
  await client.ended();
  await clock.advance(9_999);
  assert.equal(await watcher.messages(), []);
  await clock.advance(1);
  assert.is((await watcher.next('publish')).topic, 'will');
});

test('a will does not wait longer than its session lives (§3.1.3.2.2)', async ({ clock, join }) => {
  const watcher = await join('watcher');
  await watcher.subscribe('will');
  const client = await join('c', 5, delayed(10, 3));
  client.drop();
  await client.ended();
  await clock.advance(3_000);
  assert.is((await watcher.next('publish')).topic, 'will');
  const other = await join('other', 5, delayed(10, 0));
  other.drop();
  assert.is((await watcher.next('publish')).topic, 'will');
});

test('a client that is back in time takes its will back [MQTT-3.1.3-9]', async ({ clock, join }) => {
  const watcher = await join('watcher');
  await watcher.subscribe('will');
  const first = await join('c', 5, delayed(10, 100));
  first.drop();
  await first.ended();
  await clock.advance(5_000);
  await join('c', 5, { clean: false, properties: { sessionExpiryInterval: 100 } });
  await clock.advance(60_000);
  assert.equal(await watcher.messages(), []);
});

test('a clean start ends the session, and its delayed will comes at once [MQTT-3.1.2-8]', async ({
  clock,
  join,
}) => {
  const watcher = await join('watcher');
  await watcher.subscribe('will');
  const first = await join('c', 5, delayed(10, 100));
  first.drop();
  await first.ended();
  await join('c', 5);
  assert.is((await watcher.next('publish')).topic, 'will');
  await clock.advance(60_000);
  assert.equal(await watcher.messages(), []);
});

test('a take-over with clean start publishes a delayed will, one that resumes does not (§3.1.4)', async ({
  clock,
  join,
}) => {
  const watcher = await join('watcher');
  await watcher.subscribe('will');
  await join('c', 5, delayed(10, 100));
  await join('c', 5, delayed(10, 100, false));
  await clock.advance(60_000);
  assert.equal(await watcher.messages(), []);
  await join('c', 5);
  assert.is((await watcher.next('publish')).topic, 'will');
});

test('properties of the will arrive, its expiry counted from then on, its user properties in order [MQTT-3.1.3-10] (§3.1.3.2.4)', async ({
  broker,
  clock,
  join,
}) => {
  const watcher = await join('watcher');
  await watcher.subscribe('will');
  const client = new TestClient(broker, 5);
  const travelling = Buffer.concat([
    properties(0x26, 'b', '1').subarray(1),
    properties(0x26, 'a', '2').subarray(1),
    properties(0x26, 'b', '3').subarray(1),
    properties(0x03, 'text/plain').subarray(1),
  ]);
  const expiry = Buffer.of(0x02, 0, 0, 0, 60);
  client.write(packet(0x10, connectHead(5, 0x06), 'c', properties(expiry, travelling), 'will', 'gone'));
  await client.next('connack');
  await clock.advance(3_600_000);
  client.drop();
  const came = await watcher.next('publish');
  assert.is(came.properties?.messageExpiryInterval, 60);
  assert.is(came.properties?.contentType, 'text/plain');
  assert.ok((watcher.frames.at(-1) as Buffer).includes(travelling), 'byte for byte');
});

const refused: [string, string][] = [
  ['wildcards', 'will/#'],
  ['nothing in it', ''],
  ['the broker’s own topics', '$SYS/broker/uptime'],
];
for (const [name, topic] of refused) {
  test(`a will topic with ${name} refuses the connection`, async ({ broker }) => {
    for (const version of versions) {
      const client = new TestClient(broker, version);
      const flags = packet(
        0x10,
        connectHead(version, 0x06),
        'c',
        ...(version === 5 ? [properties()] : []),
        topic,
        'x',
      );
      client.write(flags);
      const { returnCode, reasonCode } = await client.next('connack');
      assert.ok((returnCode ?? reasonCode ?? 0) > 0);
      await client.ended();
    }
  });
}

test('a power cut takes all clients along: their wills come at the next start, the expiry counted from then on', async ({
  start,
  clock,
  join,
}) => {
  const store = memoryBrokerStore();
  const withExpiry = will({ retain: true, properties: { messageExpiryInterval: 60, willDelayInterval: 9 } });
  await join('c', 5, withExpiry, start({ store }));
  const later = will({ topic: 'later', properties: { willDelayInterval: 9 } });
  await join('d', 5, { ...later, properties: { sessionExpiryInterval: 100 } }, start({ store }));
  await clock.advance(3_600_000);
  const after = start({ store });
  await after.start();
  const watcher = await join('watcher', 5, {}, after);
  await watcher.subscribe('#');
  const { retain, properties: props } = await watcher.next('publish');
  assert.equal([retain, props?.messageExpiryInterval], [true, 60]);
  await clock.advance(9_000);
  assert.is((await watcher.next('publish')).topic, 'later');
});

test('the broker’s own end publishes no wills', async ({ start, join }) => {
  const broker = start({});
  const seen: string[] = [];
  broker.subscribe('will', (topic) => void seen.push(topic));
  await join('c', 5, will(), broker);
  await broker.stop();
  assert.equal(seen, []);
});

test.run();
