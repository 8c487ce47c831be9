import * as assert from 'uvu/assert';
import { seconds } from '../../core/units.ts';
import { TestClient } from '../test-client.ts';
import { brokerSuite, lasting, lastingFor, versions } from './broker-suite.ts';

const test = brokerSuite('sessions');

const expiring = (sessionExpiryInterval: number, clean = false) => ({
  clean,
  properties: { sessionExpiryInterval },
});

for (const version of versions) {
  test(`v${version}: a session is resumed with its subscriptions and messages [MQTT-3.1.2-5] [MQTT-3.2.2-3] [MQTT-4.5.0-1]`, async ({
    broker,
    join,
  }) => {
    const first = await join('c', version, lastingFor(version));
    await first.subscribe('t', 1);
    first.drop();
    await first.ended();
    const pub = await join('pub');
    await pub.deliver('t', 'while away');
    const second = new TestClient(broker, version);
    assert.is((await second.connect('c', lastingFor(version))).sessionPresent, version !== 3);
    assert.is((await second.next('publish')).payload.toString(), 'while away');
  });

  test(`v${version}: clean start discards the session, also for later [MQTT-3.1.2-4] [MQTT-3.2.2-2]`, async ({
    broker,
    join,
  }) => {
    const first = await join('c', version, lastingFor(version));
    await first.subscribe('t', 1);
    first.drop();
    await first.ended();
    await (await join('pub')).deliver('t', 'while away');
    const second = new TestClient(broker, version);
    assert.is((await second.connect('c', { clean: true })).sessionPresent, false);
    assert.equal(await second.messages(), []);
    second.send({ cmd: 'disconnect' });
    await second.ended();
    const third = new TestClient(broker, version);
    assert.is((await third.connect('c', lastingFor(version))).sessionPresent, false);
  });

  test(`v${version}: QoS 0 is not kept for a client that is away (§4.1)`, async ({ join }) => {
    const first = await join('c', version, lastingFor(version));
    await first.subscribe('t', 2);
    first.drop();
    await first.ended();
    const pub = await join('pub');
    pub.publish('t', 'lost');
    await pub.deliver('t', 'kept');
    const second = await join('c', version, lastingFor(version));
    assert.is((await second.next('publish')).payload.toString(), 'kept');
  });
}

test('no session present where there is none [MQTT-3.1.2-6] [MQTT-3.2.2-3]', async ({ broker }) => {
  const connack = await new TestClient(broker, 5).connect('c', lasting);
  assert.is(connack.sessionPresent, false);
});

test('a session without expiry ends with its connection [MQTT-4.1.0-2]', async ({ broker, join }) => {
  const first = await join('c', 5, { clean: false });
  await first.subscribe('t', 1);
  first.send({ cmd: 'disconnect' });
  await first.ended();
  const second = new TestClient(broker, 5);
  assert.is((await second.connect('c', { clean: false })).sessionPresent, false);
});

test('a session lives until its expiry has passed, not longer [MQTT-3.1.2-23] [MQTT-4.1.0-2]', async ({
  broker,
  clock,
  join,
}) => {
  for (const [wait, present] of [
    [9_999, true],
    [10_000, false],
  ] as const) {
    const first = await join('c', 5, expiring(10, true));
    first.drop();
    await first.ended();
    await clock.advance(wait);
    const second = new TestClient(broker, 5);
    assert.is((await second.connect('c', expiring(10))).sessionPresent, present, `${wait}`);
  }
});

test('a reconnect stops the expiry, and the next disconnect starts it anew', async ({
  clock,
  join,
  broker,
}) => {
  for (let i = 0; i < 3; i++) {
    const client = new TestClient(broker, 5);
    assert.is((await client.connect('c', expiring(10))).sessionPresent, i > 0);
    await clock.advance(20_000);
    client.drop();
    await client.ended();
    await clock.advance(6_000);
  }
  await join('other');
});

test('3.1.1: a session that is not clean outlives any expiry of MQTT 5 [MQTT-3.1.2-4]', async ({
  broker,
  clock,
  join,
}) => {
  const first = await join('c', 4, { clean: false });
  first.drop();
  await first.ended();
  await clock.advance(6 * 86_400_000);
  assert.is((await new TestClient(broker, 4).connect('c', { clean: false })).sessionPresent, true);
});

test('no session outlives the longest expiry that is allowed, and the client is told [MQTT-3.2.2-21]', async ({
  start,
  clock,
}) => {
  const broker = start({ limits: { sessionExpiry: seconds(100) } });
  const first = new TestClient(broker, 5);
  const { properties } = await first.connect('c', expiring(0xffff_ffff));
  assert.is(properties?.sessionExpiryInterval, 100);
  first.drop();
  await first.ended();
  await clock.advance(100_000);
  assert.is((await new TestClient(broker, 5).connect('c', lasting)).sessionPresent, false);
});

test('DISCONNECT changes the expiry [MQTT-3.1.2-23]', async ({ broker, clock, join }) => {
  const first = await join('c', 5, expiring(10));
  first.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 100 } });
  await first.ended();
  await clock.advance(99_000);
  const second = new TestClient(broker, 5);
  assert.is((await second.connect('c', expiring(10))).sessionPresent, true);
  second.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 0 } });
  await second.ended();
  assert.is((await new TestClient(broker, 5).connect('c', expiring(10))).sessionPresent, false);
});

test('DISCONNECT cannot make a session last that was to end: 0x82 (§3.14.2.2.2)', async ({ join }) => {
  const client = await join('c');
  client.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 5 } });
  assert.is((await client.next('disconnect')).reasonCode, 0x82);
  await client.ended();
});

for (const version of versions) {
  test(`v${version}: a second connection with the client id takes the session over [MQTT-3.1.4-3]`, async ({
    join,
  }) => {
    const first = await join('c', version, lastingFor(version));
    await first.subscribe('t', 1);
    const second = await join('c', version, lastingFor(version));
    if (version === 5) assert.is((await first.next('disconnect')).reasonCode, 0x8e);
    await first.ended();
    await (await join('pub')).deliver('t', 'x');
    assert.is((await second.next('publish')).payload.toString(), 'x');
    assert.equal(first.received, []);
  });
}

test('a clean start of a client that is connected ends the older connection and its session [MQTT-3.1.4-3] [MQTT-3.1.2-4]', async ({
  join,
}) => {
  const first = await join('c', 5, lasting);
  await first.subscribe('t', 1);
  const second = await join('c', 5);
  await first.ended();
  await (await join('pub')).deliver('t', 'x');
  assert.equal(await second.messages(), []);
});

test('a session waits for the user who left it, not for another with the same client id', async ({
  broker,
  join,
}) => {
  const alice = await join('c', 4, { clean: false, username: 'alice' });
  alice.drop();
  await alice.ended();
  const bob = new TestClient(broker, 4);
  assert.is((await bob.connect('c', { clean: false, username: 'bob' })).sessionPresent, false);
});

test('a session that MQTT 3.1.1 left is resumed with MQTT 5, and the other way round', async ({
  broker,
  join,
}) => {
  const four = await join('c', 4, { clean: false });
  await four.subscribe('t', 1);
  four.drop();
  await four.ended();
  const five = new TestClient(broker, 5);
  assert.is((await five.connect('c', lasting)).sessionPresent, true);
  five.drop();
  await five.ended();
  const again = new TestClient(broker, 4);
  assert.is((await again.connect('c', { clean: false })).sessionPresent, true);
  await (await join('pub')).deliver('t', 'x');
  assert.is((await again.next('publish')).payload.toString(), 'x');
});

test.run();
