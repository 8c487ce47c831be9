import type { IPublishPacket } from 'mqtt-packet';
import { encode, type ProtocolVersion } from './codec.ts';
import type { Outgoing } from './outgoing.ts';

export type QoS = 0 | 1 | 2;
export type MessageProperties = NonNullable<IPublishPacket['properties']>;

/** An application message inside the broker, shared by everyone that it goes to. */
export type Message = {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly retain: boolean;
  /** MQTT 5 properties that travel on: content type, response topic, correlation data, payload format, user properties. */
  readonly properties: MessageProperties | undefined;
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
  const { message, qos, retain, subscriptionIds } = d;
  const { expiresAt } = message;
  const properties = {
    ...message.properties,
    ...(expiresAt === undefined
      ? {}
      : { messageExpiryInterval: Math.max(1, Math.ceil((expiresAt - now) / 1000)) }),
    // The typings allow one only; the wire and the encoder take several [MQTT-3.3.4-3].
    ...(subscriptionIds ? { subscriptionIdentifier: subscriptionIds as unknown as number } : {}),
    ...(alias ? { topicAlias: alias.id } : {}),
  };
  const packet: IPublishPacket = {
    cmd: 'publish',
    topic: alias?.known ? '' : message.topic,
    payload: message.payload,
    qos,
    retain,
    dup,
    properties,
    ...(qos > 0 ? { messageId: id } : {}),
  };
  return encode(packet, 5);
}

/** Bytes that a queued message is counted with. */
export function sizeOf({ payload, topic, properties }: Message): number {
  return payload.length + topic.length + 64 + (properties ? propertyBytes(properties) : 0);
}

function propertyBytes({ userProperties, correlationData, contentType, responseTopic }: MessageProperties) {
  let sum = (correlationData?.length ?? 0) + (contentType?.length ?? 0) + (responseTopic?.length ?? 0);
  for (const [name, values] of Object.entries(userProperties ?? {}))
    for (const value of Array.isArray(values) ? values : [values]) sum += name.length + value.length + 32;
  return sum;
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
