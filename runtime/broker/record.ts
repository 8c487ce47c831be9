import type { Delivery, Message, QoS } from './message.ts';

/** What one session is to get of a message. */
export type RecordTarget = {
  readonly sid: number;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly subscriptionIds: readonly number[] | undefined;
};

export type MessageRecord = {
  /** Number of the message in the order of all that are kept; 0 where there is none. */
  readonly seq: number;
  readonly message: Message;
  readonly targets: readonly RecordTarget[];
};

/** Fixed part of a record, little-endian: u32 length of the whole, f64 number (of those behind the first: how much more it
 * is than the first's and the place, which is mostly nothing, and so takes no room once compressed), u8 QoS and marks, u16 targets, u32 length
 * of topic, of payload and of the rest, which is JSON and mostly absent. Behind it, for each target: u32 sid, u8 QoS and
 * mark, u8 how many subscription identifiers, u32 each; then topic, payload and rest. */
const FIXED = 27;
const NUMBER = 4;
const RETAIN = 4;

/** What most messages do not have. */
type Rest = {
  /** ms since epoch of its expiry. */
  e?: number;
  from?: string | undefined;
  /** Properties, base64. */
  p?: string;
};

/** Encodes messages one behind the other.
 * @param epoch ms since epoch minus monotonic ms, since an expiry is kept as wall-clock time */
export function encodeRecords(records: readonly MessageRecord[], epoch: number): Buffer {
  const rests = records.map(({ message }) => restOf(message, epoch));
  let size = 0;
  for (const [i, record] of records.entries()) size += sizeOfRecord(record, rests[i] ?? '');
  const bytes = Buffer.allocUnsafeSlow(size);
  let at = 0;
  const first = records[0]?.seq ?? 0;
  for (const [i, record] of records.entries()) {
    const number = i === 0 ? first : record.seq - first - i;
    at = writeRecord(bytes, at, { number, record, rest: rests[i] ?? '' });
  }
  return bytes;
}

export function encodeRecord(record: MessageRecord, epoch: number): Buffer {
  return encodeRecords([record], epoch);
}

/** @throws Error when the bytes are not what {@link encodeRecords} made */
export function decodeRecords(bytes: Uint8Array, epoch: number): MessageRecord[] {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const starts = recordStarts(body);
  return starts.map((start, i) => readRecord(body, start, seqOf(body, starts, i), epoch));
}

/** Where each record begins.
 * @throws Error when one is cut */
export function recordStarts(body: Buffer): number[] {
  const starts: number[] = [];
  for (let at = 0; at < body.length; ) {
    const size = body.length - at < FIXED ? 0 : body.readUInt32LE(at);
    if (size < FIXED || at + size > body.length) throw new Error('a stored message is cut');
    starts.push(at);
    at += size;
  }
  return starts;
}

/** The number of the record that begins at `starts[i]`. */
export function seqOf(body: Buffer, starts: readonly number[], i: number): number {
  const number = body.readDoubleLE((starts[i] as number) + NUMBER);
  return i === 0 ? number : body.readDoubleLE((starts[0] as number) + NUMBER) + i + number;
}

export function deliveryOf(message: Message, { qos, retain, subscriptionIds }: RecordTarget): Delivery {
  return { message, qos, retain, subscriptionIds };
}

function sizeOfRecord({ message, targets }: MessageRecord, rest: string): number {
  let size = FIXED + Buffer.byteLength(message.topic) + message.payload.length + Buffer.byteLength(rest);
  for (const { subscriptionIds } of targets) size += 6 + (subscriptionIds?.length ?? 0) * 4;
  return size;
}

function writeRecord(
  bytes: Buffer,
  start: number,
  { number, record, rest }: { number: number; record: MessageRecord; rest: string },
): number {
  const { message, targets } = record;
  let at = start + FIXED;
  for (const { sid, qos, retain, subscriptionIds } of targets) {
    at = bytes.writeUInt32LE(sid, at);
    at = bytes.writeUInt8(qos | (retain ? RETAIN : 0), at);
    at = bytes.writeUInt8(subscriptionIds?.length ?? 0, at);
    for (const id of subscriptionIds ?? []) at = bytes.writeUInt32LE(id, at);
  }
  const topicBytes = bytes.write(message.topic, at);
  at += topicBytes;
  at += message.payload.copy(bytes, at);
  const restBytes = rest === '' ? 0 : bytes.write(rest, at);
  at += restBytes;
  bytes.writeUInt32LE(at - start, start);
  bytes.writeDoubleLE(number, start + NUMBER);
  bytes.writeUInt8(message.qos | (message.retain ? RETAIN : 0), start + 12);
  bytes.writeUInt16LE(targets.length, start + 13);
  bytes.writeUInt32LE(topicBytes, start + 15);
  bytes.writeUInt32LE(message.payload.length, start + 19);
  bytes.writeUInt32LE(restBytes, start + 23);
  return at;
}

/** The record that begins at `start`.
 * @throws Error when it is cut, or what is rare in it is no JSON */
export function readRecord(body: Buffer, start: number, seq: number, epoch: number): MessageRecord {
  const marks = body.readUInt8(start + 12);
  const targets: RecordTarget[] = [];
  let at = start + FIXED;
  for (let left = body.readUInt16LE(start + 13); left > 0; left--) {
    const [sid, target, ids] = [body.readUInt32LE(at), body.readUInt8(at + 4), body.readUInt8(at + 5)];
    at += 6;
    const subscriptionIds =
      ids > 0 ? Array.from({ length: ids }, (_, i) => body.readUInt32LE(at + i * 4)) : undefined;
    at += ids * 4;
    targets.push({ sid, qos: (target & 3) as QoS, retain: (target & RETAIN) !== 0, subscriptionIds });
  }
  const topicEnd = at + body.readUInt32LE(start + 15);
  const payloadEnd = topicEnd + body.readUInt32LE(start + 19);
  const restEnd = payloadEnd + body.readUInt32LE(start + 23);
  if (restEnd > body.length) throw new Error('a stored message is cut');
  const rest = restEnd > payloadEnd ? (JSON.parse(body.toString('utf8', payloadEnd, restEnd)) as Rest) : {};
  const message: Message = {
    topic: body.toString('utf8', at, topicEnd),
    payload: body.subarray(topicEnd, payloadEnd),
    qos: (marks & 3) as QoS,
    retain: (marks & RETAIN) !== 0,
    properties: rest.p === undefined ? undefined : Buffer.from(rest.p, 'base64'),
    expiresAt: rest.e === undefined ? undefined : rest.e - epoch,
    from: rest.from,
  };
  return { seq, message, targets };
}

function restOf({ expiresAt, from, properties, retain }: Message, epoch: number): string {
  // Who published it matters to no-local subscriptions of retained messages alone.
  const sender = retain ? from : undefined;
  if (expiresAt === undefined && sender === undefined && !properties) return '';
  const rest: Rest = {
    ...(expiresAt === undefined ? {} : { e: Math.round(expiresAt + epoch) }),
    ...(sender === undefined ? {} : { from: sender }),
    ...(properties ? { p: properties.toString('base64') } : {}),
  };
  return JSON.stringify(rest);
}
