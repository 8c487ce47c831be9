import type { ProtocolVersion } from '../codec.ts';
import type { QoS } from '../message.ts';
import { reason } from '../reason.ts';
import { type ConnectPacket, readConnect } from './connect-packet.ts';
import { PacketFault, PacketReader } from './packet-reader.ts';
import { readProperties } from './properties.ts';

export type AckPacket = {
  readonly cmd: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
  readonly id: number;
  readonly code: number;
};

export type SubscribeRequest = {
  readonly filter: string;
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** Retain handling. */
  readonly handling: 0 | 1 | 2;
};

export type SubscribePacket = {
  readonly cmd: 'subscribe';
  readonly id: number;
  readonly subscriptionId: number | undefined;
  readonly requests: readonly SubscribeRequest[];
};

export type UnsubscribePacket = {
  readonly cmd: 'unsubscribe';
  readonly id: number;
  readonly filters: readonly string[];
};

export type DisconnectPacket = {
  readonly cmd: 'disconnect';
  readonly code: number;
  readonly sessionExpiry: number | undefined;
};

/** What a client may send, but for PUBLISH, which has a path of its own. */
export type ClientPacket =
  | ConnectPacket
  | AckPacket
  | SubscribePacket
  | UnsubscribePacket
  | DisconnectPacket
  | { readonly cmd: 'pingreq' }
  | { readonly cmd: 'auth' };

/** Reason codes that a client may send. @source MQTT 5 §2.4 */
const codes: Readonly<Record<AckPacket['cmd'] | 'disconnect' | 'auth', readonly number[]>> = {
  puback: [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
  pubrec: [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
  pubrel: [0x00, 0x92],
  pubcomp: [0x00, 0x92],
  disconnect: [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99],
  auth: [0x00, 0x18, 0x19],
};

/** First bytes: type and flags. @source MQTT 5 table 2-1 and 2-2 */
const CONNECT = 0x10;
const PUBACK = 0x40;
const PUBREC = 0x50;
const PUBREL = 0x62;
const PUBCOMP = 0x70;
const SUBSCRIBE = 0x82;
const UNSUBSCRIBE = 0xa2;
const PINGREQ = 0xc0;
const DISCONNECT = 0xe0;
const AUTH = 0xf0;

/** Reads the packet at `data[start, end)`, of which is known only that it is whole.
 * @param version undefined before CONNECT has told it
 * @throws PacketFault */
export function readClientPacket(
  data: Buffer,
  start: number,
  end: number,
  version: ProtocolVersion | undefined,
): ClientPacket {
  const first = data[start] as number;
  let at = start + 1;
  while ((data[at++] as number) >= 0x80);
  const reader = new PacketReader(data, at, end);
  switch (version === 3 ? withoutDup(first) : first) {
    case CONNECT:
      return readConnect(reader);
    case PUBACK:
      return readAck('puback', reader, version);
    case PUBREC:
      return readAck('pubrec', reader, version);
    case PUBREL:
      return readAck('pubrel', reader, version);
    case PUBCOMP:
      return readAck('pubcomp', reader, version);
    case SUBSCRIBE:
      return readSubscribe(reader, version);
    case UNSUBSCRIBE:
      return readUnsubscribe(reader, version);
    case PINGREQ:
      reader.finish();
      return { cmd: 'pingreq' };
    case DISCONNECT:
      return readDisconnect(reader, version);
    case AUTH:
      return readAuth(reader, version);
    default: // reserved types and flags [MQTT-2.1.3-1], and what only a server sends
      throw new PacketFault(`not a packet of a client: 0x${first.toString(16)}`);
  }
}

/** MQTT 3.1 marks these three when they are sent again; later it is a reserved flag. @source MQTT 3.1 §2.1 */
function withoutDup(first: number): number {
  const without = first & ~8;
  return [PUBREL, SUBSCRIBE, UNSUBSCRIBE].includes(without) ? without : first;
}

function readAck(
  cmd: AckPacket['cmd'],
  reader: PacketReader,
  version: ProtocolVersion | undefined,
): AckPacket {
  const id = reader.packetId();
  const code = version === 5 && !reader.isAtEnd ? readCode(reader, codes[cmd]) : reason.success;
  if (version === 5 && !reader.isAtEnd) readProperties(reader, 'ack');
  reader.finish();
  return { cmd, id, code };
}

function readSubscribe(reader: PacketReader, version: ProtocolVersion | undefined): SubscribePacket {
  const id = reader.packetId();
  const { subscriptionId } = version === 5 ? readProperties(reader, 'subscribe') : {};
  const requests: SubscribeRequest[] = [];
  while (!reader.isAtEnd) requests.push(readRequest(reader, version));
  return { cmd: 'subscribe', id, subscriptionId, requests };
}

/** @source MQTT 5 §3.8.3.1 */
function readRequest(reader: PacketReader, version: ProtocolVersion | undefined): SubscribeRequest {
  const filter = reader.text();
  const options = reader.byte();
  const [qos, handling] = [options & 3, (options >> 4) & 3];
  // [MQTT-3.8.3-5], [MQTT-3.8.3-4] of 3.1.1
  if (options & (version === 5 ? 0xc0 : 0xfc)) throw new PacketFault('reserved subscription options');
  if (qos === 3) throw new PacketFault('a subscription of QoS 3', reason.protocolError);
  if (handling === 3) throw new PacketFault('retain handling 3', reason.protocolError);
  const [noLocal, retainAsPublished] = [(options & 4) !== 0, (options & 8) !== 0];
  return { filter, qos: qos as QoS, noLocal, retainAsPublished, handling: handling as 0 | 1 | 2 };
}

function readUnsubscribe(reader: PacketReader, version: ProtocolVersion | undefined): UnsubscribePacket {
  const id = reader.packetId();
  if (version === 5) readProperties(reader, 'unsubscribe');
  const filters: string[] = [];
  while (!reader.isAtEnd) filters.push(reader.text());
  return { cmd: 'unsubscribe', id, filters };
}

function readDisconnect(reader: PacketReader, version: ProtocolVersion | undefined): DisconnectPacket {
  const code = version === 5 && !reader.isAtEnd ? readCode(reader, codes.disconnect) : reason.success;
  const properties = version === 5 && !reader.isAtEnd ? readProperties(reader, 'disconnect') : {};
  reader.finish();
  return { cmd: 'disconnect', code, sessionExpiry: properties.sessionExpiry };
}

function readAuth(reader: PacketReader, version: ProtocolVersion | undefined): { cmd: 'auth' } {
  if (version !== 5) throw new PacketFault('AUTH before MQTT 5');
  if (!reader.isAtEnd) readCode(reader, codes.auth);
  if (!reader.isAtEnd) readProperties(reader, 'auth');
  reader.finish();
  return { cmd: 'auth' };
}

function readCode(reader: PacketReader, allowed: readonly number[]): number {
  const code = reader.byte();
  if (!allowed.includes(code))
    throw new PacketFault(`reason code 0x${code.toString(16)}`, reason.protocolError);
  return code;
}
