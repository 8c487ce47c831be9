import * as assert from 'uvu/assert';
import { TestClient } from '../test-client.ts';
import { brokerSuite, versions } from './broker-suite.ts';
import { packet } from './bytes.ts';

const test = brokerSuite('keep alive');

for (const version of versions) {
  test(`v${version}: silence of one and a half keep-alives ends the connection [MQTT-3.1.2-22]`, async ({
    clock,
    join,
  }) => {
    const client = await join('c', version, { keepalive: 10 });
    await clock.advance(14_999);
    assert.is(client.closed, false);
    await clock.advance(1);
    if (version === 5) assert.is((await client.next('disconnect')).reasonCode, 0x8d);
    await client.ended();
  });

  test(`v${version}: any packet counts, PINGREQ is answered [MQTT-3.12.4-1]`, async ({ clock, join }) => {
    const client = await join('c', version, { keepalive: 10 });
    for (let i = 0; i < 5; i++) {
      await clock.advance(14_000);
      if (i % 2 === 0) await client.settled();
      else await client.deliver('t', 'x');
    }
    assert.is(client.closed, false);
  });

  test(`v${version}: what is sent to the client does not count [MQTT-3.1.2-22]`, async ({ clock, join }) => {
    const [client, pub] = [await join('c', version, { keepalive: 10 }), await join('pub')];
    await client.subscribe('t');
    for (let i = 0; i < 3; i++) {
      await clock.advance(5_000);
      await pub.deliver('t', 'x');
    }
    await client.ended();
  });

  test(`v${version}: a PINGREQ with something in it is malformed`, async ({ join }) => {
    const client = await join('c', version);
    client.write(packet(0xc0, 0));
    if (version === 5) assert.is((await client.next('disconnect')).reasonCode, 0x81);
    await client.ended();
  });
}

test('keep alive 0 lets a client be silent, before MQTT 5 for ever (§3.1.2.10)', async ({ clock, join }) => {
  const client = await join('c', 4, { keepalive: 0 });
  await clock.advance(30 * 86_400_000);
  await client.settled();
});

test('MQTT 5 clients that want more than allowed, or none, are told the broker’s keep alive [MQTT-3.2.2-21]', async ({
  start,
  clock,
}) => {
  const broker = start({ limits: { keepAlive: 60 } });
  for (const keepalive of [120, 0]) {
    const client = new TestClient(broker, 5);
    const { properties } = await client.connect('c', { keepalive });
    assert.is(properties?.serverKeepAlive, 60);
    await clock.advance(89_999);
    assert.is(client.closed, false);
    await clock.advance(1);
    assert.is((await client.next('disconnect')).reasonCode, 0x8d);
  }
});

test('a client that wants less keeps its own [MQTT-3.2.2-22]', async ({ start, clock }) => {
  const client = new TestClient(start({ limits: { keepAlive: 60 } }), 5);
  assert.is((await client.connect('c', { keepalive: 10 })).properties?.serverKeepAlive, undefined);
  await clock.advance(15_000);
  assert.is((await client.next('disconnect')).reasonCode, 0x8d);
});

test('before MQTT 5 nobody can be told another keep alive', async ({ start, clock, join }) => {
  const client = await join('c', 4, { keepalive: 120 }, start({ limits: { keepAlive: 60 } }));
  await clock.advance(179_000);
  await client.settled();
});

test('a connection that does not say CONNECT in time is closed [MQTT-3.1.4-1]', async ({ broker, clock }) => {
  const [silent, slow] = [new TestClient(broker), new TestClient(broker)];
  slow.write(Buffer.of(0x10, 0x20, 0x00));
  await clock.advance(9_999);
  assert.equal([silent.closed, slow.closed], [false, false]);
  await clock.advance(1);
  await Promise.all([silent.ended(), slow.ended()]);
});

test.run();
