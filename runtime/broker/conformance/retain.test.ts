import * as assert from 'uvu/assert';
import { brokerSuite, lasting, versions } from './broker-suite.ts';

const test = brokerSuite('retained messages');

for (const version of versions) {
  test(`v${version}: the last retained message of each topic greets who subscribes, marked [MQTT-3.3.1-5] [MQTT-3.3.1-9]`, async ({
    join,
  }) => {
    const [pub, sub] = [await join('pub', version), await join('sub', version)];
    for (const [topic, text] of [
      ['a/x', 'old'],
      ['a/y', 'other'],
      ['a/x', 'new'],
      ['b', 'elsewhere'],
    ] as const)
      await pub.deliver(topic, text, { retain: true });
    await sub.subscribe('a/+', 1);
    const came = [await sub.next('publish'), await sub.next('publish')];
    assert.equal(
      came.map(({ topic, payload, retain, qos }) => [topic, payload.toString(), retain, qos]).sort(),
      [
        ['a/x', 'new', true, 1],
        ['a/y', 'other', true, 1],
      ],
    );
    assert.equal(await sub.messages(), []);
  });

  test(`v${version}: SUBACK comes before the retained messages (§3.8.4)`, async ({ join }) => {
    const [pub, sub] = [await join('pub', version), await join('sub', version)];
    await pub.deliver('t', 'x', { retain: true });
    await sub.subscribe('t');
    await sub.next('publish');
    assert.equal(
      sub.frames.map((frame) => (frame[0] as number) >> 4),
      [2, 9, 3],
    );
  });

  test(`v${version}: to who is there already a message goes unmarked [MQTT-3.3.1-12]`, async ({ join }) => {
    const client = await join('c', version);
    await client.subscribe('t');
    client.publish('t', 'x', { retain: true });
    assert.is((await client.next('publish')).retain, false);
  });

  test(`v${version}: an empty message clears the topic, is delivered, and is not kept [MQTT-3.3.1-6] [MQTT-3.3.1-7]`, async ({
    join,
  }) => {
    const [pub, early, late] = [
      await join('pub', version),
      await join('early', version),
      await join('late', version),
    ];
    await pub.deliver('t', 'x', { retain: true });
    await early.subscribe('t');
    await early.next('publish');
    pub.publish('t', '', { retain: true });
    const { retain, payload } = await early.next('publish');
    assert.equal([retain, payload.length], [false, 0]);
    await late.subscribe('t');
    assert.equal(await late.messages(), []);
  });

  test(`v${version}: a message that is not retained leaves the one that is [MQTT-3.3.1-8]`, async ({
    join,
  }) => {
    const [pub, sub] = [await join('pub', version), await join('sub', version)];
    await pub.deliver('t', 'kept', { retain: true });
    await pub.deliver('t', 'passing');
    await pub.deliver('t', '');
    await sub.subscribe('t');
    assert.equal(await sub.messages(), ['t kept']);
  });

  test(`v${version}: a retained message comes with the lower QoS of both sides [MQTT-3.8.4-8]`, async ({
    join,
  }) => {
    const pub = await join('pub', version);
    for (const qos of [0, 1, 2] as const) {
      if (qos === 0) pub.publish('t/0', 'x', { retain: true });
      else await pub.deliver(`t/${qos}`, 'x', { qos, retain: true });
    }
    await pub.settled();
    const sub = await join('sub', version);
    await sub.subscribe('t/#', 1);
    const came = [await sub.next('publish'), await sub.next('publish'), await sub.next('publish')];
    assert.equal(came.map(({ topic, qos }) => `${topic} ${qos}`).sort(), ['t/0 0', 't/1 1', 't/2 1']);
  });

  test(`v${version}: the session’s end leaves retained messages (§4.1)`, async ({ join }) => {
    const pub = await join('pub', version);
    await pub.deliver('t', 'x', { retain: true });
    pub.drop();
    await pub.ended();
    const sub = await join('sub', version);
    await sub.subscribe('t');
    assert.equal(await sub.messages(), ['t x']);
  });
}

test('retain handling 0 sends at each SUBSCRIBE, 1 at the first, 2 never [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT-3.8.4-4]', async ({
  join,
}) => {
  await (await join('pub')).deliver('t', 'x', { retain: true });
  for (const [rh, first, second] of [
    [0, 1, 1],
    [1, 1, 0],
    [2, 0, 0],
  ] as const) {
    const client = await join(`c${rh}`);
    for (const [time, count] of [first, second].entries()) {
      await client.subscribe('t', 0, { rh });
      const came = await client.messages();
      assert.is(came.length, count, `handling ${rh}, time ${time}`);
      client.received.length = 0;
    }
  }
});

test('retain handling 1 knows a subscription of an earlier connection [MQTT-3.3.1-10]', async ({ join }) => {
  await (await join('pub')).deliver('t', 'x', { retain: true });
  const first = await join('c', 5, lasting);
  await first.subscribe('t', 0, { rh: 1 });
  await first.next('publish');
  first.drop();
  await first.ended();
  const second = await join('c', 5, lasting);
  await second.subscribe('t', 0, { rh: 1 });
  assert.equal(await second.messages(), []);
});

test('retain-as-published keeps the mark as it was sent [MQTT-3.3.1-13]', async ({ join }) => {
  const [sub, pub] = [await join('sub'), await join('pub')];
  await sub.subscribe('t', 1, { rap: true });
  for (const qos of [0, 1] as const) {
    for (const retain of [true, false]) {
      pub.publish('t', 'x', { retain, qos, messageId: 9 });
      const { retain: mark, messageId = 0 } = await sub.next('publish');
      assert.is(mark, retain);
      if (qos === 1) sub.send({ cmd: 'puback', messageId });
    }
  }
});

test('a retained message keeps its mark without retain-as-published (§3.8.3.1)', async ({ join }) => {
  await (await join('pub')).deliver('t', 'x', { retain: true });
  const sub = await join('sub');
  await sub.subscribe('t', 0, { rap: false });
  assert.is((await sub.next('publish')).retain, true);
});

test('a retained message names the subscription that it came with (§3.8.4)', async ({ join }) => {
  await (await join('pub')).deliver('t', 'x', { retain: true });
  const sub = await join('sub');
  await sub.subscribe('#', 0, { rh: 2 }, { subscriptionIdentifier: 1 });
  await sub.subscribe('t', 0, {}, { subscriptionIdentifier: 2 });
  assert.is(Number((await sub.next('publish')).properties?.subscriptionIdentifier), 2);
});

test('a retained message that has expired is gone [MQTT-3.3.2-5]', async ({ clock, join }) => {
  const pub = await join('pub');
  await pub.deliver('t', 'x', { retain: true, properties: { messageExpiryInterval: 10 } });
  await clock.advance(4_000);
  const early = await join('early');
  await early.subscribe('t');
  assert.is((await early.next('publish')).properties?.messageExpiryInterval, 6);
  await clock.advance(6_000);
  const late = await join('late');
  await late.subscribe('t');
  assert.equal(await late.messages(), []);
});

test('a will that is retained is kept, one that is not is not [MQTT-3.1.2-14] [MQTT-3.1.2-15]', async ({
  join,
}) => {
  const watcher = await join('watcher');
  await watcher.subscribe('will/+');
  for (const retain of [true, false]) {
    const will = { topic: `will/${retain}`, payload: Buffer.from('gone'), qos: 0 as const, retain };
    const client = await join(`c${retain}`, 4, { will });
    client.drop();
    await watcher.next('publish');
  }
  const late = await join('late');
  await late.subscribe('will/+');
  assert.equal(await late.messages(), ['will/true gone']);
});

test('more topics than allowed are refused, those that are there can change and go', async ({
  start,
  join,
}) => {
  const broker = start({ limits: { retainedCount: 1 } });
  const client = await join('c', 5, {}, broker);
  await client.subscribe('#');
  assert.is(await client.deliver('a', '1', { retain: true }), 0);
  assert.is(await client.deliver('b', '1', { retain: true }), 0x97);
  assert.is(await client.deliver('a', '2', { retain: true }), 0);
  assert.is(await client.deliver('a', '', { retain: true }), 0);
  assert.is(await client.deliver('b', '1', { retain: true }), 0);
});

test.run();
