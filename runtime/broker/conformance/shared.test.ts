import * as assert from 'uvu/assert';
import { brokerSuite, lasting, versions } from './broker-suite.ts';

const test = brokerSuite('shared subscriptions');

for (const version of versions) {
  test(`v${version}: each message goes to one member, in turns [MQTT-4.8.2-4] (§4.8.2)`, async ({ join }) => {
    const [a, b, pub] = [await join('a', version), await join('b', version), await join('pub', version)];
    await a.subscribe('$share/g/t/+', 1);
    await b.subscribe('$share/g/t/+', 1);
    for (const text of ['1', '2', '3', '4']) await pub.deliver('t/x', text);
    const came = [await a.messages(), await b.messages()];
    assert.equal([came[0]?.length, came[1]?.length], [2, 2]);
    assert.equal(came.flat().sort(), ['t/x 1', 't/x 2', 't/x 3', 't/x 4']);
  });
}

test('groups, filters and plain subscriptions each get their own copy (§4.8.2)', async ({ join }) => {
  const [a, b, c] = [await join('a'), await join('b'), await join('c')];
  await a.subscribe('$share/one/t');
  await b.subscribe('$share/two/t');
  await c.subscribe('t');
  await (await join('pub')).deliver('t', 'x');
  for (const client of [a, b, c]) assert.equal(await client.messages(), ['t x']);
});

test('a client that has both gets both: the shared subscription is one of its own (§4.8.2)', async ({
  join,
}) => {
  const client = await join('c');
  await client.subscribe('t', 0, {}, { subscriptionIdentifier: 1 });
  await client.subscribe('$share/g/t', 0, {}, { subscriptionIdentifier: 2 });
  client.publish('t', 'x');
  const ids = [await client.next('publish'), await client.next('publish')].map(({ properties }) =>
    Number(properties?.subscriptionIdentifier),
  );
  assert.equal(ids.sort(), [1, 2]);
});

test('each member gets its own QoS [MQTT-4.8.2-3]', async ({ join }) => {
  const [a, b, pub] = [await join('a'), await join('b'), await join('pub')];
  await a.subscribe('$share/g/t', 0);
  await b.subscribe('$share/g/t', 1);
  await pub.deliver('t', '1', { qos: 2 });
  await pub.deliver('t', '2', { qos: 2 });
  assert.equal([(await a.next('publish')).qos, (await b.next('publish')).qos], [0, 1]);
});

test('a member that is away is passed over while another is there', async ({ join }) => {
  const [a, b] = [await join('a', 5, lasting), await join('b', 5, lasting)];
  for (const client of [a, b]) await client.subscribe('$share/g/t', 1);
  a.drop();
  await a.ended();
  const pub = await join('pub');
  for (const text of ['1', '2', '3']) await pub.deliver('t', text);
  assert.equal(await b.messages(), ['t 1', 't 2', 't 3']);
});

test('when all are away the messages wait', async ({ join }) => {
  const a = await join('a', 5, lasting);
  await a.subscribe('$share/g/t', 1);
  a.drop();
  await a.ended();
  await (await join('pub')).deliver('t', 'x');
  assert.equal(await (await join('a', 5, lasting)).messages(), ['t x']);
});

test('a QoS 2 message that a member has begun to take is finished by it [MQTT-4.8.2-4] [MQTT-4.8.2-5]', async ({
  join,
}) => {
  const [a, b] = [await join('a', 5, lasting), await join('b', 5, lasting)];
  await a.subscribe('$share/g/t', 2);
  await (await join('pub')).deliver('t', 'x', { qos: 2 });
  const { messageId } = await a.next('publish');
  await b.subscribe('$share/g/t', 2);
  a.drop();
  await a.ended();
  assert.equal(await b.messages(), []);
  const again = await (await join('a', 5, lasting)).next('publish');
  assert.equal([again.messageId, again.dup], [messageId, true]);
});

test('a member that refuses a message gets it no more, and nobody else either [MQTT-4.8.2-6]', async ({
  join,
}) => {
  const [a, b] = [await join('a'), await join('b')];
  await a.subscribe('$share/g/t', 2);
  await (await join('pub')).deliver('t', 'x', { qos: 2 });
  const { messageId = 0 } = await a.next('publish');
  await b.subscribe('$share/g/t', 2);
  a.send({ cmd: 'pubrec', messageId, reasonCode: 0x80 });
  assert.equal(await a.messages(), []);
  assert.equal(await b.messages(), []);
});

test('retained messages do not greet a member (§4.8.2)', async ({ join }) => {
  await (await join('pub')).deliver('t', 'x', { retain: true });
  const a = await join('a');
  await a.subscribe('$share/g/t');
  assert.equal(await a.messages(), []);
});

test('a member leaves with UNSUBSCRIBE of the same words (§4.8.2)', async ({ join }) => {
  const a = await join('a');
  await a.subscribe('$share/g/t');
  a.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['t', '$share/h/t', '$share/g/t'] });
  assert.equal((await a.next('unsuback')).granted, [0x11, 0x11, 0]);
  a.publish('t', 'x');
  assert.equal(await a.messages(), []);
});

test('a share needs a name without wildcards, and a filter [MQTT-4.8.2-1] [MQTT-4.8.2-2]', async ({
  join,
}) => {
  const a = await join('a');
  for (const filter of ['$share/g', '$share/g/', '$share//t', '$share/+/t', '$share/g#/t', '$share/g/a#'])
    assert.equal((await a.subscribe(filter)).granted, [0x8f], filter);
  for (const filter of ['$share/g/#', '$share/g//', '$share/g/a/+', '$shared/g/t'])
    assert.equal((await a.subscribe(filter)).granted, [0], filter);
});

test.run();
