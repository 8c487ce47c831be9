import type { ProtocolVersion } from './codec.ts';
import type { Outgoing } from './outgoing.ts';

export type QoS = 0 | 1 | 2;

/** Properties that the broker itself writes. @source MQTT 5 table 2-4 */
const MESSAGE_EXPIRY = 2;
const SUBSCRIPTION_ID = 11;
const TOPIC_ALIAS = 35;

/** An application message inside the broker, shared by everyone that it goes to. */
export type Message = {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly retain: boolean;
  /** MQTT 5 properties that travel on, as the publisher encoded them: content type, response topic, correlation data,
   * payload format, user properties. */
  readonly properties: Buffer | undefined;
  /** Monotonic ms when it ceases to matter. */
  readonly expiresAt: number | undefined;
  /** Client that published it. */
  readonly from: string | undefined;
};

/** How one subscriber gets a message. */
export type Delivery = {
  readonly message: Message;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly subscriptionIds: readonly number[] | undefined;
};

/** A message of this process or of a will: what is not said is absent. */
export function makeMessage(
  parts: Pick<Message, 'topic' | 'payload' | 'qos' | 'retain'> & Partial<Message>,
): Message {
  const { topic, payload, qos, retain, properties, expiresAt, from } = parts;
  return { topic, payload, qos, retain, properties, expiresAt, from };
}

/** Room that a PUBLISH without properties takes. */
export function plainSize({ message, qos }: Delivery, version: ProtocolVersion): number {
  const rest = plainRest(message, qos, version);
  return 1 + lengthBytes(rest) + rest;
}

function plainRest({ topic, payload }: Message, qos: QoS, version: ProtocolVersion): number {
  return 2 + Buffer.byteLength(topic) + (qos > 0 ? 2 : 0) + (version === 5 ? 1 : 0) + payload.length;
}

/** True when the packet needs the general encoder. */
export function needsProperties(d: Delivery, version: ProtocolVersion): boolean {
  const { properties, expiresAt } = d.message;
  return (
    version === 5 && (properties !== undefined || expiresAt !== undefined || d.subscriptionIds !== undefined)
  );
}

/** Writes a PUBLISH without properties, the usual one, straight into what is sent. */
export function writePlain(
  out: Outgoing,
  d: Delivery,
  version: ProtocolVersion,
  id: number,
  dup: boolean,
): void {
  const { message, qos } = d;
  const rest = plainRest(message, qos, version);
  let at = out.reserve(1 + lengthBytes(rest) + rest);
  const block = out.block as Buffer;
  block[at++] = 0x30 | (dup ? 8 : 0) | (qos << 1) | (d.retain ? 1 : 0);
  at = writeLength(block, at, rest);
  const topicBytes = block.write(message.topic, at + 2);
  block[at] = topicBytes >> 8;
  block[at + 1] = topicBytes & 0xff;
  at += 2 + topicBytes;
  if (qos > 0) {
    block[at] = id >> 8;
    block[at + 1] = id & 0xff;
    at += 2;
  }
  if (version === 5) block[at++] = 0;
  message.payload.copy(block, at);
}

/** A PUBLISH with MQTT 5 properties.
 * @param now monotonic ms, for what is left of the expiry [MQTT-3.3.2-6]
 * @param alias stands for the topic when `known`, else it is set with it [MQTT-3.3.2-9] */
export function encodeWithProperties(
  d: Delivery,
  id: number,
  dup: boolean,
  now: number,
  alias?: { readonly id: number; readonly known: boolean },
): Buffer {
  const { message, qos, retain, subscriptionIds = [] } = d;
  const { expiresAt, payload, properties } = message;
  const topic = alias?.known ? '' : message.topic;
  const idBytes = subscriptionIds.reduce((sum, each) => sum + 1 + lengthBytes(each), 0);
  const own = (expiresAt === undefined ? 0 : 5) + (alias ? 3 : 0) + idBytes + (properties?.length ?? 0);
  const topicBytes = Buffer.byteLength(topic);
  const rest = 2 + topicBytes + (qos > 0 ? 2 : 0) + lengthBytes(own) + own + payload.length;
  const bytes = Buffer.allocUnsafe(1 + lengthBytes(rest) + rest);
  bytes[0] = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  let at = bytes.writeUInt16BE(topicBytes, writeLength(bytes, 1, rest));
  at += bytes.write(topic, at);
  if (qos > 0) at = bytes.writeUInt16BE(id, at);
  at = writeLength(bytes, at, own);
  if (expiresAt !== undefined) {
    bytes[at] = MESSAGE_EXPIRY;
    at = bytes.writeUInt32BE(Math.max(0, Math.ceil((expiresAt - now) / 1000)), at + 1);
  }
  if (alias) {
    bytes[at] = TOPIC_ALIAS;
    at = bytes.writeUInt16BE(alias.id, at + 1);
  }
  // One for each subscription that matches. [MQTT-3.3.4-3]
  for (const each of subscriptionIds) {
    bytes[at] = SUBSCRIPTION_ID;
    at = writeLength(bytes, at + 1, each);
  }
  if (properties) at += properties.copy(bytes, at);
  payload.copy(bytes, at);
  return bytes;
}

/** Bytes that a queued message is counted with. */
export function sizeOf({ payload, topic, properties }: Message): number {
  return payload.length + topic.length + (properties === undefined ? 64 : 64 + properties.length);
}

export function isExpired(message: Message, now: number): boolean {
  return message.expiresAt !== undefined && now >= message.expiresAt;
}

function lengthBytes(n: number): number {
  return n < 128 ? 1 : n < 16_384 ? 2 : n < 2_097_152 ? 3 : 4;
}

/** @returns where it ends */
function writeLength(block: Buffer, from: number, length: number): number {
  let at = from;
  let rest = length;
  while (rest > 127) {
    block[at++] = (rest & 0x7f) | 0x80;
    rest >>= 7;
  }
  block[at++] = rest;
  return at;
}
