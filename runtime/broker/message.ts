import type { IPublishPacket } from 'mqtt-packet';
import { encode, type ProtocolVersion } from './codec.ts';

export type QoS = 0 | 1 | 2;
export type MessageProperties = NonNullable<IPublishPacket['properties']>;

/** An application message inside the broker, shared by everyone that it goes to. */
export type Message = {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly retain: boolean;
  /** MQTT 5 properties that travel on: expiry, content type, response topic, correlation data, user properties. */
  readonly properties?: MessageProperties;
  /** Monotonic ms when it ceases to matter. */
  readonly expiresAt?: number;
  /** Client that published it. */
  readonly from?: string;
};

/** How one subscriber gets a message. */
export type Delivery = {
  readonly message: Message;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly subscriptionIds?: readonly number[];
};

/** Encodes PUBLISH. A message without properties, the usual one, is written directly.
 * @param now monotonic ms, for what is left of the expiry */
export function encodePublish(
  d: Delivery,
  version: ProtocolVersion,
  id: number,
  dup: boolean,
  now: number,
): Buffer {
  const { message } = d;
  if (version === 5 && (message.properties || d.subscriptionIds)) {
    return encode({ ...packetOf(d, now), ...(d.qos > 0 ? { messageId: id } : {}), dup }, version);
  }
  const topicBytes = Buffer.byteLength(message.topic);
  const rest = 2 + topicBytes + (d.qos > 0 ? 2 : 0) + (version === 5 ? 1 : 0) + message.payload.length;
  const head = 1 + lengthBytes(rest);
  const buffer = Buffer.allocUnsafe(head + rest);
  buffer[0] = 0x30 | (dup ? 8 : 0) | (d.qos << 1) | (d.retain ? 1 : 0);
  writeLength(buffer, rest);
  let at = buffer.writeUInt16BE(topicBytes, head);
  at += buffer.write(message.topic, at);
  if (d.qos > 0) at = buffer.writeUInt16BE(id, at);
  if (version === 5) buffer[at++] = 0;
  message.payload.copy(buffer, at);
  return buffer;
}

/** Bytes that a queued message is counted with. */
export function sizeOf({ message }: Delivery): number {
  return message.payload.length + message.topic.length + 64;
}

export function isExpired(message: Message, now: number): boolean {
  return message.expiresAt !== undefined && now >= message.expiresAt;
}

function packetOf({ message, qos, retain, subscriptionIds }: Delivery, now: number): IPublishPacket {
  const left =
    message.expiresAt === undefined ? undefined : Math.max(1, Math.ceil((message.expiresAt - now) / 1000));
  const properties = {
    ...message.properties,
    ...(left === undefined ? {} : { messageExpiryInterval: left }),
    // The typings allow one only; the wire and the encoder take several [MQTT-3.3.4-3].
    ...(subscriptionIds ? { subscriptionIdentifier: subscriptionIds as unknown as number } : {}),
  };
  return {
    cmd: 'publish',
    topic: message.topic,
    payload: message.payload,
    qos,
    retain,
    dup: false,
    properties,
  };
}

function lengthBytes(n: number): number {
  return n < 128 ? 1 : n < 16_384 ? 2 : n < 2_097_152 ? 3 : 4;
}

function writeLength(buffer: Buffer, length: number): void {
  let at = 1;
  let rest = length;
  do {
    const byte = rest % 128;
    rest = Math.floor(rest / 128);
    buffer[at++] = rest > 0 ? byte | 0x80 : byte;
  } while (rest > 0);
}
