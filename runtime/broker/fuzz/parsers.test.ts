import mqtt, { type IPublishPacket, type Packet } from 'mqtt-packet';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { testSeed } from '../../core/test-random.ts';
import { FrameReader, frameSize } from '../frame.ts';
import { PublishFrame } from '../publish-frame.ts';
import { faultOf } from './fault-of.ts';
import { mutate, split } from './mutations.ts';
import { Random } from './random.ts';
import { ValidSessions } from './valid-sessions.ts';

/** Packets that are compared. */
const CASES = process.env.EDGECORE_LONG === 'true' ? 1_000_000 : 20_000;
const versions = [3, 4, 5] as const;

const test = suite<{ seed: number }>('our parsers and that of mqtt-packet');

test.before((context) => {
  context.seed = testSeed();
  process.stdout.write(`EDGECORE_SEED=${context.seed} `);
});

/** What mqtt-packet says of one packet. */
function theirs(frame: Buffer, version: 3 | 4 | 5): Packet | undefined {
  const parser = mqtt.parser({ protocolVersion: version });
  let packet: Packet | undefined;
  let isBroken = false;
  parser.on('packet', (whole: Packet) => {
    packet ??= whole;
  });
  parser.on('error', () => {
    isBroken = true;
  });
  try {
    if (parser.parse(frame) > 0) isBroken = true;
  } catch {
    isBroken = true;
  }
  return isBroken ? undefined : packet;
}

/** Cuts a stream into packets as the simplest reader would do it. */
function framesOf(stream: Buffer, most = Number.POSITIVE_INFINITY): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < stream.length && frames.length < most; ) {
    const size = frameSize(stream, at, stream.length);
    if (size <= 0 || at + size > stream.length) break;
    frames.push(stream.subarray(at, at + size));
    at += size;
  }
  return frames;
}

test('what is cut from chunks is what is cut from the whole', ({ seed }) => {
  const random = new Random(seed);
  const sessions = new ValidSessions(random);
  for (let n = 0; n < CASES / 4; n++) {
    const packets = sessions.make(random.pick(versions), random);
    if (random.oneIn(2)) mutate(packets, random, () => sessions.make(5, random));
    const cut: Buffer[] = [];
    let came = 0;
    const reader = new FrameReader(1_000_000, {
      take: (data, start, end) => {
        cut.push(Buffer.from(data.subarray(start, end)));
        // Nothing behind the packet may be seen that did not come.
        assert.ok(end <= data.length && data.length - start <= came);
        if (random.oneIn(3)) reader.hold();
        return end;
      },
    });
    for (const chunk of split(packets, random)) {
      came += chunk.length;
      let fault = reader.push(chunk);
      for (let before = -1; !fault && before < cut.length; ) {
        before = cut.length;
        fault = reader.goOn();
      }
      if (fault) break;
    }
    assert.equal(
      cut.map((frame) => frame.toString('hex')),
      framesOf(Buffer.concat(packets)).map((frame) => frame.toString('hex')),
      `EDGECORE_SEED=${seed} case ${n}`,
    );
  }
});

// Where mqtt-packet takes what the specification forbids, and the broker does not: strings that are not UTF-8 or hold
// U+0000 (1.5.4), packet id 0 (2.2.1), lengths with needless bytes (1.5.5), properties of other packets, those that come
// twice, with impossible values or reach beyond their length (2.2.2), bytes behind the last field, DUP with QoS 0 (3.3.1),
// a will of QoS 3 (3.1.2), MQIsdp of another version than 3, SUBSCRIBE to nothing (3.8.3). Never the other way round.
test('what mqtt-packet does not take the broker does not take either', ({ seed }) => {
  const random = new Random(seed);
  const sessions = new ValidSessions(random);
  const publish = new PublishFrame();
  let [taken, refused, lenient] = [0, 0, 0];
  for (let n = 0; taken + refused < CASES; n++) {
    const version = random.pick(versions);
    const packets = sessions.make(version, random);
    const isValid = random.oneIn(4);
    if (!isValid) mutate(packets, random, () => sessions.make(version, random));
    for (const frame of framesOf(Buffer.concat(packets), 30)) {
      const packet = theirs(frame, version);
      const wrong = faultOf(frame, version);
      const where = `EDGECORE_SEED=${seed} case ${n} v${version} ${frame.toString('hex')}`;
      if (isValid) assert.ok(packet && wrong === undefined, `${where}: ${wrong}`);
      if (packet && wrong === undefined) taken++;
      else refused++;
      if (packet && wrong !== undefined) lenient++;
      if (packet?.cmd === 'publish') samePublish(publish, packet, frame, version, wrong !== undefined, where);
      else if ((frame[0] as number) >> 4 === 3 && publish.read(frame, 0, frame.length, version === 5))
        assert.ok(publish.hasProperties, `${where}: only the frame takes it`);
    }
  }
  assert.ok(taken > CASES / 10 && refused > CASES / 20, `${taken} taken, ${refused} refused`);
  process.stdout.write(`${taken} taken, ${refused} refused, ${lenient} of them not by mqtt-packet `);
});

/** The frame that is read in place says the same as the general parser. */
function samePublish(
  publish: PublishFrame,
  packet: IPublishPacket,
  frame: Buffer,
  version: 3 | 4 | 5,
  isWrong: boolean,
  where: string,
): void {
  const isRead = publish.read(frame, 0, frame.length, version === 5);
  if (!isRead) {
    assert.ok(isWrong || (packet.dup && packet.qos === 0), `${where}: only the frame refuses it`);
    return;
  }
  if (isWrong) return;
  const { qos, dup, retain, id, topicStart, topicEnd, payloadStart, hasProperties } = publish;
  assert.equal([qos, dup, retain], [packet.qos, packet.dup, packet.retain], where);
  assert.is(id, packet.messageId ?? 0, where);
  assert.is(frame.toString('utf8', topicStart, topicEnd), packet.topic, where);
  if (!hasProperties) assert.is(frame.toString('hex', payloadStart), packet.payload.toString('hex'), where);
}

test.run();
