import type { IPublishPacket } from 'mqtt-packet';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encode } from '../codec.ts';
import { PacketDecoder, type RemotePacket } from './packet-decoder.ts';

const publish: IPublishPacket = {
  cmd: 'publish',
  topic: 'a/b',
  payload: Buffer.from('on'),
  qos: 1,
  dup: false,
  retain: true,
  messageId: 7,
};

/** Decodes a packet that others surround. */
function decode(bytes: Buffer, version: 4 | 5): RemotePacket {
  const data = Buffer.concat([Buffer.from([0xc0, 0]), bytes, Buffer.from([0xc0, 0])]);
  return new PacketDecoder(version).decode(data, 2, 2 + bytes.length);
}

for (const version of [4, 5] as const) {
  test(`PUBLISH of version ${version}`, () => {
    assert.equal(decode(encode(publish, version), version), {
      cmd: 'publish',
      topic: 'a/b',
      payload: Buffer.from('on'),
      qos: 1,
      retain: true,
      messageId: 7,
      properties: undefined,
      expirySeconds: undefined,
    });
  });
}

test('properties that travel on keep their bytes and their order, the others do not travel', () => {
  const pairs = Buffer.from('26000162000131260001610001322600016200013303000174', 'hex');
  const expiry = Buffer.from('020000003c', 'hex');
  const head = Buffer.from('0003612f620007', 'hex');
  const rest = Buffer.concat([
    head,
    Buffer.of(pairs.length + expiry.length),
    expiry,
    pairs,
    Buffer.from('on'),
  ]);
  const packet = decode(Buffer.concat([Buffer.of(0x32, rest.length), rest]), 5);
  assert.is(packet.cmd, 'publish');
  if (packet.cmd !== 'publish') return;
  assert.equal([packet.properties, packet.expirySeconds, packet.payload.toString()], [pairs, 60, 'on']);
});

test('any other packet is read from its own bytes alone', () => {
  const packet = decode(encode({ cmd: 'suback', messageId: 3, granted: [1, 128] }, 4), 4);
  assert.equal(packet.cmd === 'suback' && [packet.messageId, packet.granted], [3, [1, 128]]);
});

const malformed: readonly (readonly [string, string])[] = [
  ['no topic', '30040000006f'],
  ['a topic that is not UTF-8', '30050002c3280061'],
  ['packet id 0', '320600016100000000'],
  ['properties longer than the packet', '300500016105aa'],
  ['wrong flags', '60020001'],
];

for (const [what, hex] of malformed) {
  test(`refused: ${what}`, () => {
    assert.throws(() => decode(Buffer.from(hex, 'hex'), 5));
  });
}

test.run();
