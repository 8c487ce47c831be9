import * as assert from 'uvu/assert';
import { bytes } from '../../core/units.ts';
import { brokerSuite, versions } from './broker-suite.ts';

const test = brokerSuite('topic names and filters');

/** Filter, topics that it matches, topics that it does not. @source MQTT 5 §4.7.1 */
const rows: [string, string[], string[]][] = [
  [
    'sport/tennis/player1/#',
    ['sport/tennis/player1', 'sport/tennis/player1/ranking', 'sport/tennis/player1/score/wimbledon'],
    ['sport/tennis', 'sport/tennis/player2', 'sport/tennis/player11'],
  ],
  ['sport/#', ['sport', 'sport/', 'sport/a/b'], ['sports', 'a/sport']],
  ['#', ['a', '/', '/a', 'a/b/c'], ['$a', '$SYS/x', '$a/b']],
  ['sport/tennis/+', ['sport/tennis/a', 'sport/tennis/'], ['sport/tennis', 'sport/tennis/a/b']],
  ['+', ['finance', ' '], ['/finance', 'a/b', '$a']],
  ['+/+', ['/finance', 'a/b', '/'], ['finance', 'a/b/c', '$a/b']],
  ['/+', ['/finance', '/'], ['finance', '/a/b']],
  ['+/tennis/#', ['sport/tennis', '/tennis/x'], ['tennis', '$x/tennis']],
  ['sport/+/player1', ['sport/tennis/player1', 'sport//player1'], ['sport/a/b/player1']],
  ['$a/+', ['$a/b'], ['$a', 'a/b']],
  ['$a/#', ['$a', '$a/b/c'], ['a', '$b/a']],
  ['a//b', ['a//b'], ['a/b', 'a/x/b']],
  ['Accounts', ['Accounts'], ['ACCOUNTS', 'accounts', 'Accounts/']],
  ['a b/c', ['a b/c'], ['ab/c']],
];
for (const version of versions) {
  for (const [filter, matching, others] of rows) {
    test(`v${version}: ${filter} matches what it says and nothing else [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.2-1]`, async ({
      broker,
      join,
    }) => {
      const client = await join('c', version);
      await client.subscribe(filter);
      for (const topic of [...others, ...matching])
        broker.publish({ topic, payload: Buffer.from('x'), qos: 0, retain: false });
      assert.equal(
        await client.messages(),
        matching.map((topic) => `${topic} x`),
      );
    });

    test(`v${version}: ${filter} brings the same topics when they are retained`, async ({ broker, join }) => {
      for (const topic of [...others, ...matching])
        broker.publish({ topic, payload: Buffer.from('x'), qos: 0, retain: true });
      const client = await join('c', version);
      await client.subscribe(filter);
      const came = (await client.messages()).filter((text) => !text.startsWith('$SYS/broker'));
      assert.equal(came.sort(), matching.map((topic) => `${topic} x`).sort());
    });
  }

  for (const topic of ['a/+', 'a/#', '#', '+', 'a+b', 'a#']) {
    test(`v${version}: ${topic} is no topic to publish to [MQTT-3.3.2-2] [MQTT-4.7.0-1]`, async ({
      join,
    }) => {
      const client = await join('c', version);
      client.publish(topic, 'x');
      if (version === 5) assert.is((await client.next('disconnect')).reasonCode, 0x90);
      await client.ended();
    });
  }

  for (const filter of ['a#', '#/a', 'a/#/b', 'a+', '+a', 'a/b+/c', '##', '++']) {
    test(`v${version}: ${filter} is no filter [MQTT-4.7.1-1] [MQTT-4.7.1-2]`, async ({ join }) => {
      const client = await join('c', version);
      assert.equal((await client.subscribe(filter)).granted, [version === 5 ? 0x8f : 0x80]);
    });
  }

  test(`v${version}: clients can use topics that begin with $, but not the broker’s own [MQTT-4.7.2-1]`, async ({
    join,
  }) => {
    const client = await join('c', version);
    await client.subscribe('$mine/+');
    client.publish('$mine/x', 'x');
    assert.equal(await client.messages(), ['$mine/x x']);
    assert.is(await client.deliver('$SYS/broker/version', 'forged'), version === 5 ? 0x87 : 0);
    client.received.length = 0;
    await client.subscribe('$SYS/broker/version');
    assert.equal(await client.messages(), ['$SYS/broker/version edgecore']);
  });
}

test('topics and filters are at least one character long [MQTT-4.7.3-1]', async ({ join }) => {
  const client = await join('c');
  assert.equal((await client.subscribe('')).granted, [0x8f]);
  client.publish('', 'x');
  await client.next('disconnect');
});

test('a topic may have 65,535 bytes [MQTT-4.7.3-3]', async ({ start, join }) => {
  const broker = start({ limits: { topicBytes: bytes(65_535) } });
  for (const version of versions) {
    const client = await join('c', version, {}, broker);
    const topic = 'x'.repeat(65_535);
    await client.subscribe(topic);
    client.publish(topic, 'long');
    assert.is((await client.next('publish')).topic, topic);
  }
});

test('more levels than allowed are refused', async ({ start, join }) => {
  const client = await join('c', 5, {}, start({ limits: { topicLevels: 3 } }));
  assert.equal((await client.subscribe('a/b/c')).granted, [0]);
  assert.equal((await client.subscribe('a/b/c/d')).granted, [0x97]);
  client.publish('a/b/c/d', 'x');
  assert.is((await client.next('disconnect')).reasonCode, 0x90);
});

test.run();
