import mqtt from 'mqtt-packet';
import { frameSize } from '../frame.ts';
import { reason } from '../reason.ts';

/** What the broker said to one client, as far as it tells how the connection ended. */
export type Answers = {
  /** Code of CONNACK; undefined without one. */
  readonly connack: number | undefined;
  /** Code of DISCONNECT; undefined without one. */
  readonly disconnect: number | undefined;
};

/** How a connection may end for a client of MQTT 5 that broke the protocol or went over a limit. */
const endings: readonly number[] = [
  reason.malformedPacket,
  reason.protocolError,
  reason.topicInvalid,
  reason.receiveMaximumExceeded,
  reason.topicAliasInvalid,
  reason.packetTooLarge,
  reason.sessionTakenOver,
];
const [CONNACK, DISCONNECT] = [0x20, 0xe0];

/** Reads what the broker sent, which must be right in any case.
 * @param isThorough has mqtt-packet read it too, which takes its time
 * @throws Error saying what is not */
export function readAnswers(sent: readonly Buffer[], version: 3 | 4 | 5, isThorough: boolean): Answers {
  const frames = framesOf(sent.length === 1 ? (sent[0] as Buffer) : Buffer.concat(sent));
  let [connack, disconnect]: (number | undefined)[] = [];
  for (let at = 0; at < frames.length; at++) {
    const frame = frames[at] as Buffer;
    const first = frame[0] as number;
    if (isThorough) parse(frame, version);
    if ((at === 0) !== (first === CONNACK)) throw new Error(`0x${first.toString(16)} is packet ${at}`);
    if (first === CONNACK) connack = frame[3];
    else if (connack !== 0) throw new Error(`0x${first.toString(16)} after a refusal`);
    if (first !== DISCONNECT) continue;
    disconnect = frame[2] ?? 0;
    if (version !== 5) throw new Error('DISCONNECT to a client that does not know it');
    if (at < frames.length - 1) throw new Error('more after DISCONNECT');
    if (!endings.includes(disconnect)) throw new Error(`DISCONNECT 0x${disconnect.toString(16)}`);
  }
  return { connack, disconnect };
}

function framesOf(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = frameSize(bytes, at, bytes.length);
    if (size <= 0 || at + size > bytes.length) throw new Error('the broker sent half a packet');
    frames.push(bytes.subarray(at, at + size));
    at += size;
  }
  return frames;
}

function parse(frame: Buffer, version: 3 | 4 | 5): void {
  const parser = mqtt.parser({ protocolVersion: version });
  let count = 0;
  parser.on('packet', () => count++);
  parser.on('error', (error: Error) => {
    throw new Error(`the broker sent ${frame.toString('hex')}: ${error.message}`);
  });
  parser.parse(frame);
  if (count !== 1) throw new Error('the broker sent what is no packet');
}
