import * as assert from 'uvu/assert';
import { brokerSuite, lasting } from './broker-suite.ts';
import { packet, properties, u16 } from './bytes.ts';

const test = brokerSuite('topic aliases');

const alias = (topicAlias: number) => ({ properties: { topicAlias } });

test('an alias stands for the topic that it came with, for every QoS [MQTT-3.3.2-12]', async ({ join }) => {
  const [sub, pub] = [await join('sub'), await join('pub')];
  await sub.subscribe('#', 2);
  pub.publish('a', '1', alias(1));
  pub.publish('b', '2', alias(32));
  pub.publish('', '3', alias(1));
  await pub.deliver('', '4', { qos: 1, ...alias(32) });
  await pub.deliver('', '5', { qos: 2, ...alias(1) });
  assert.equal(await sub.messages(), ['a 1', 'b 2', 'a 3', 'b 4', 'a 5']);
  assert.ok(
    sub.frames.every((frame) => !frame.includes(properties(0x23, u16(1)))),
    'it goes no further',
  );
});

test('an alias can be given to another topic (§3.3.2.3.4)', async ({ join }) => {
  const [sub, pub] = [await join('sub'), await join('pub')];
  await sub.subscribe('#');
  for (const topic of ['a', '', 'b', '']) pub.publish(topic, 'x', alias(1));
  assert.equal(await sub.messages(), ['a x', 'a x', 'b x', 'b x']);
});

test('each client has aliases of its own', async ({ join }) => {
  const [sub, one, two] = [await join('sub'), await join('one'), await join('two')];
  await sub.subscribe('#');
  one.publish('a', 'x', alias(1));
  two.publish('b', 'x', alias(1));
  one.publish('', 'y', alias(1));
  two.publish('', 'y', alias(1));
  await Promise.all([one.settled(), two.settled()]);
  assert.equal((await sub.messages()).sort(), ['a x', 'a y', 'b x', 'b y']);
});

const invalid: [string, string, number, number][] = [
  ['0 [MQTT-3.3.2-8]', 't', 0, 0x94],
  ['beyond the maximum [MQTT-3.3.2-9] [MQTT-3.2.2-17]', 't', 33, 0x94],
  ['that was not set (§3.3.2.3.4)', '', 5, 0x82],
];
for (const [name, topic, id, code] of invalid) {
  test(`an alias ${name} ends the connection`, async ({ join }) => {
    const client = await join('c');
    client.publish(topic, 'x', alias(id));
    assert.is((await client.next('disconnect')).reasonCode, code);
    await client.ended();
  });
}

test('a PUBLISH without topic and alias is a protocol error (§3.3.2.1)', async ({ join }) => {
  for (const props of [properties(), properties(0x01, 1)]) {
    const client = await join('c');
    client.write(packet(0x30, '', props, Buffer.from('x')));
    assert.is((await client.next('disconnect')).reasonCode, 0x82);
  }
});

test('before MQTT 5 an empty topic is none [MQTT-4.7.3-1]', async ({ join }) => {
  const client = await join('c', 4);
  client.write(packet(0x30, '', Buffer.from('x')));
  await client.ended();
});

test('where no aliases are offered none is taken [MQTT-3.2.2-18]', async ({ start, join }) => {
  const client = await join('c', 5, {}, start({ limits: { topicAliases: 0 } }));
  client.publish('t', 'x', alias(1));
  assert.is((await client.next('disconnect')).reasonCode, 0x94);
});

test('aliases end with their connection [MQTT-3.3.2-7]', async ({ join }) => {
  const first = await join('c', 5, lasting);
  first.publish('t', 'x', alias(1));
  await first.settled();
  first.drop();
  await first.ended();
  const second = await join('c', 5, lasting);
  second.publish('', 'x', alias(1));
  assert.is((await second.next('disconnect')).reasonCode, 0x82);
});

test('a refused message sets its alias all the same', async ({ join }) => {
  const [sub, pub] = [await join('sub'), await join('pub')];
  await sub.subscribe('#');
  pub.publish('$SYS/forbidden', 'x', alias(1));
  pub.publish('', 'y', alias(1));
  await pub.settled();
  assert.equal(pub.received, []);
  assert.equal(await sub.messages(), []);
});

test('a client that takes aliases gets a topic once, then its number [MQTT-3.1.2-26] [MQTT-3.3.2-11]', async ({
  join,
}) => {
  const sub = await join('sub', 5, { properties: { topicAliasMaximum: 2 } });
  await sub.subscribe('#');
  const pub = await join('pub');
  for (const topic of ['a', 'b', 'c', 'a', 'b', 'c']) pub.publish(topic, 'x');
  const came: [string, number | undefined][] = [];
  for (let i = 0; i < 6; i++) {
    const { topic, properties: props } = await sub.next('publish');
    came.push([topic, props?.topicAlias]);
  }
  assert.equal(came, [
    ['a', 1],
    ['b', 2],
    ['c', undefined],
    ['', 1],
    ['', 2],
    ['c', undefined],
  ]);
});

test('a client that wants none gets none [MQTT-3.1.2-27]', async ({ join }) => {
  const [sub, pub] = [await join('sub'), await join('pub')];
  await sub.subscribe('t', 1);
  for (let i = 0; i < 2; i++) {
    await pub.deliver('t', 'x');
    const { topic, properties: props } = await sub.next('publish');
    assert.equal([topic, props?.topicAlias], ['t', undefined]);
  }
});

test('an alias whose packet was too large for the client is not taken for known [MQTT-3.1.2-25]', async ({
  join,
}) => {
  const sub = await join('sub', 5, { properties: { topicAliasMaximum: 5, maximumPacketSize: 40 } });
  await sub.subscribe('#');
  const pub = await join('pub');
  pub.publish('topic', 'x'.repeat(100));
  pub.publish('topic', 'y');
  pub.publish('topic', 'z');
  const [first, second] = [await sub.next('publish'), await sub.next('publish')];
  assert.equal([first.topic, first.payload.toString(), first.properties?.topicAlias], ['topic', 'y', 1]);
  assert.equal([second.topic, second.payload.toString(), second.properties?.topicAlias], ['', 'z', 1]);
});

test('a packet that fits only without setting an alias goes without', async ({ join }) => {
  const [topic, room] = ['a-topic', 40 - 1 - 1 - 2 - 7 - 1];
  const sub = await join('sub', 5, { properties: { topicAliasMaximum: 5, maximumPacketSize: 40 } });
  await sub.subscribe('#');
  const pub = await join('pub');
  pub.publish(topic, 'x'.repeat(room));
  const came = await sub.next('publish');
  assert.equal([came.topic, came.payload.length, came.properties?.topicAlias], [topic, room, undefined]);
  assert.is(sub.frames.at(-1)?.length, 40);
});

test('what is sent again after a reconnect uses no alias of the connection before [MQTT-3.3.2-7]', async ({
  join,
}) => {
  const options = { ...lasting, properties: { ...lasting.properties, topicAliasMaximum: 5 } };
  const first = await join('c', 5, options);
  await first.subscribe('t', 1);
  const pub = await join('pub');
  for (const text of ['1', '2']) await pub.deliver('t', text);
  assert.equal([(await first.next('publish')).topic, (await first.next('publish')).topic], ['t', '']);
  first.drop();
  await first.ended();
  const second = await join('c', 5, options);
  assert.equal([(await second.next('publish')).topic, (await second.next('publish')).topic], ['t', '']);
});

test.run();
