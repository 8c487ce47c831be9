import * as assert from 'uvu/assert';
import { TestClient } from '../test-client.ts';
import { brokerSuite, versions } from './broker-suite.ts';
import { connectHead, packet, prefixed, properties, u16 } from './bytes.ts';

const test = brokerSuite('UTF-8');

/** What no text may be made of. */
const bad: [string, Buffer][] = [
  ['U+0000 [MQTT-1.5.4-2]', Buffer.of(0x61, 0x00)],
  ['a high surrogate [MQTT-1.5.4-1]', Buffer.of(0xed, 0xa0, 0x80)],
  ['a pair of surrogates [MQTT-1.5.4-1]', Buffer.of(0xed, 0xa1, 0x8c, 0xed, 0xbe, 0xb4)],
  ['an overlong form of / [MQTT-1.5.4-1]', Buffer.of(0xc0, 0xaf)],
  ['an overlong U+0000 [MQTT-1.5.4-1]', Buffer.of(0xc0, 0x80)],
  ['a sequence that is cut [MQTT-1.5.4-1]', Buffer.of(0x61, 0xe2, 0x82)],
  ['a byte that begins nothing [MQTT-1.5.4-1]', Buffer.of(0x80)],
  ['a code point beyond U+10FFFF [MQTT-1.5.4-1]', Buffer.of(0xf4, 0x90, 0x80, 0x80)],
  ['0xff [MQTT-1.5.4-1]', Buffer.of(0xff)],
];

for (const [name, text] of bad) {
  for (const version of versions) {
    const none = version === 5 ? [properties()] : [];
    const places: [string, Buffer][] = [
      ['client id [MQTT-3.1.3-4]', packet(0x10, connectHead(version, 0x02), prefixed(text))],
      ['user name [MQTT-3.1.3-12]', packet(0x10, connectHead(version, 0x82), 'c', prefixed(text))],
      [
        'will topic [MQTT-3.1.3-11]',
        packet(0x10, connectHead(version, 0x06), 'c', ...none, prefixed(text), 'x'),
      ],
    ];
    for (const [place, bytes] of places) {
      test(`v${version}: ${name} in the ${place} ends the connection`, async ({ broker }) => {
        const client = new TestClient(broker, version);
        client.write(bytes);
        await client.ended();
        assert.equal(client.frames, []);
      });
    }

    const later: [string, Buffer][] = [
      ['topic [MQTT-3.3.2-1]', packet(0x30, prefixed(text), ...none, Buffer.from('x'))],
      ['topic of QoS 1 [MQTT-3.3.2-1]', packet(0x32, prefixed(text), u16(1), ...none, Buffer.from('x'))],
      ['filter [MQTT-3.8.3-1]', packet(0x82, u16(1), ...none, prefixed(text), 0)],
      ['filter to give up [MQTT-3.10.3-1]', packet(0xa2, u16(1), ...none, prefixed(text))],
    ];
    for (const [place, bytes] of later) {
      test(`v${version}: ${name} in a ${place} ends the connection`, async ({ join }) => {
        const client = await join('c', version);
        client.write(bytes);
        if (version === 5) {
          const { reasonCode } = await client.next('disconnect');
          assert.ok(reasonCode === 0x81 || reasonCode === 0x90, `${reasonCode}`);
        }
        await client.ended();
        assert.equal(client.received, []);
      });
    }
  }
  test(`${name} in a topic that comes with an alias ends the connection`, async ({ join }) => {
    const client = await join('c');
    client.write(packet(0x30, prefixed(text), properties(0x23, u16(1)), Buffer.from('x')));
    await client.next('disconnect');
    await client.ended();
  });
}

test('a will’s payload and a password may be any bytes [MQTT-3.1.3-13]', async ({ broker, join }) => {
  const watcher = await join('watcher');
  await watcher.subscribe('will');
  const client = new TestClient(broker);
  const bytes = Buffer.of(0, 0xff, 0xed, 0xa0, 0x80);
  client.write(packet(0x10, connectHead(4, 0xc6), 'c', 'will', prefixed(bytes), 'alice', prefixed(bytes)));
  await client.next('connack');
  client.drop();
  assert.equal((await watcher.next('publish')).payload, bytes);
});

test('text of one to four bytes a character arrives as it was, also with a byte order mark in front [MQTT-1.5.4-3]', async ({
  join,
}) => {
  const topics = ['aé€😀/ÿ', '\ufeffmark', 'mark', 'e\u0301', '\u00e9', '\u{10ffff}', '\uffff'];
  for (const version of versions) {
    const client = await join(`c😀${version}`, version);
    await client.subscribe('#');
    for (const topic of topics) client.publish(topic, 'x');
    assert.equal(
      await client.messages(),
      topics.map((topic) => `${topic} x`),
    );
  }
});

test('texts are compared as they are, without any normal form [MQTT-4.7.3-4]', async ({ join }) => {
  const client = await join('c');
  await client.subscribe('\u00e9');
  await client.subscribe('\ufeffa');
  for (const topic of ['e\u0301', '\u00c9', 'a']) client.publish(topic, 'x');
  assert.equal(await client.messages(), []);
  client.publish('\u00e9', 'x');
  assert.equal(await client.messages(), ['\u00e9 x']);
});

test('client ids that differ in a byte order mark are two clients [MQTT-1.5.4-3]', async ({ join }) => {
  const [plain, marked] = [await join('id'), await join('\ufeffid')];
  await Promise.all([plain.settled(), marked.settled()]);
});

test.run();
