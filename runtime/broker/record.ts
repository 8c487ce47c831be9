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

/** Everything but topic and payload, as JSON: it is short, and most of it is mostly absent. */
type Head = {
  s?: number;
  q: QoS;
  r?: 1;
  /** ms since epoch of its expiry. */
  e?: number;
  f?: string;
  /** Properties in base64. */
  p?: string;
  /** Per target: sid, qos, retain, subscription ids. */
  t?: (number | number[])[];
};

/** Encodes messages one behind the other: u32 length of head, of topic and of payload, then the three.
 * @param epoch ms since epoch minus monotonic ms, since an expiry is kept as wall-clock time */
export function encodeRecords(records: readonly MessageRecord[], epoch: number): Buffer {
  const parts = records.map((record) => encodeRecord(record, epoch));
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}

export function encodeRecord(record: MessageRecord, epoch: number): Buffer {
  const { message } = record;
  const head = JSON.stringify(headOf(record, epoch));
  const headBytes = Buffer.byteLength(head);
  const topicBytes = Buffer.byteLength(message.topic);
  const bytes = Buffer.allocUnsafe(12 + headBytes + topicBytes + message.payload.length);
  bytes.writeUInt32LE(headBytes, 0);
  bytes.writeUInt32LE(topicBytes, 4);
  bytes.writeUInt32LE(message.payload.length, 8);
  bytes.write(head, 12);
  bytes.write(message.topic, 12 + headBytes);
  message.payload.copy(bytes, 12 + headBytes + topicBytes);
  return bytes;
}

/** @throws Error when the bytes are not what {@link encodeRecords} made */
export function decodeRecords(bytes: Uint8Array, epoch: number): MessageRecord[] {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: MessageRecord[] = [];
  for (let at = 0; at < body.length; ) {
    const head = at + 12;
    const topic = head + body.readUInt32LE(at);
    const payload = topic + body.readUInt32LE(at + 4);
    const end = payload + body.readUInt32LE(at + 8);
    if (end > body.length) throw new Error('a stored message is cut');
    const parsed = JSON.parse(body.toString('utf8', head, topic)) as Head;
    records.push({
      seq: parsed.s ?? 0,
      message: messageOf(parsed, body.toString('utf8', topic, payload), body.subarray(payload, end), epoch),
      targets: targetsOf(parsed.t ?? []),
    });
    at = end;
  }
  return records;
}

export function deliveryOf(message: Message, { qos, retain, subscriptionIds }: RecordTarget): Delivery {
  return { message, qos, retain, subscriptionIds };
}

function headOf({ seq, message, targets }: MessageRecord, epoch: number): Head {
  const { qos, retain, expiresAt, from, properties } = message;
  return {
    ...(seq > 0 ? { s: seq } : {}),
    q: qos,
    ...(retain ? { r: 1 } : {}),
    ...(expiresAt === undefined ? {} : { e: Math.round(expiresAt + epoch) }),
    ...(from === undefined ? {} : { f: from }),
    ...(properties ? { p: properties.toString('base64') } : {}),
    ...(targets.length > 0
      ? { t: targets.flatMap((t) => [t.sid, t.qos, t.retain ? 1 : 0, [...(t.subscriptionIds ?? [])]]) }
      : {}),
  };
}

function messageOf(head: Head, topic: string, payload: Buffer, epoch: number): Message {
  return {
    topic,
    payload,
    qos: head.q,
    retain: head.r === 1,
    properties: head.p === undefined ? undefined : Buffer.from(head.p, 'base64'),
    expiresAt: head.e === undefined ? undefined : head.e - epoch,
    from: head.f,
  };
}

function targetsOf(flat: readonly (number | number[])[]): RecordTarget[] {
  const targets: RecordTarget[] = [];
  for (let i = 0; i < flat.length; i += 4) {
    const ids = flat[i + 3] as number[];
    targets.push({
      sid: flat[i] as number,
      qos: flat[i + 1] as QoS,
      retain: flat[i + 2] === 1,
      subscriptionIds: ids.length > 0 ? ids : undefined,
    });
  }
  return targets;
}
