import type { ProtocolVersion } from '../codec.ts';
import type { QoS } from '../message.ts';
import { reason } from '../reason.ts';
import { PacketFault, type PacketReader } from './packet-reader.ts';
import { type Properties, readProperties } from './properties.ts';

export type WillFields = {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: Properties;
};

export type ConnectPacket = {
  readonly cmd: 'connect';
  readonly version: ProtocolVersion;
  /** A mosquitto that bridges: it wants its own messages back from nobody, and retained ones marked. */
  readonly isBridge: boolean;
  readonly clean: boolean;
  /** Seconds. */
  readonly keepAlive: number;
  readonly properties: Properties;
  readonly clientId: string;
  readonly will: WillFields | undefined;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
};

/** A client of a protocol that is not spoken here; `answerIn` is the one that it may understand the refusal in. */
export class UnsupportedVersion extends PacketFault {
  readonly answerIn: ProtocolVersion;

  constructor(version: number) {
    super(`protocol version ${version}`, reason.unsupportedProtocol);
    this.answerIn = version > 5 ? 5 : 4;
  }
}

/** The first bit of the version that mosquitto's bridges set. */
const BRIDGE = 0x80;

const USERNAME = 0x80;
const PASSWORD = 0x40;
const WILL_RETAIN = 0x20;
const WILL = 0x04;
const CLEAN = 0x02;

/** Reads a CONNECT behind its fixed header.
 * @throws PacketFault
 * @source MQTT 5 §3.1, MQTT 3.1.1 §3.1 */
export function readConnect(reader: PacketReader): ConnectPacket {
  const name = reader.text();
  if (name !== 'MQTT' && name !== 'MQIsdp') throw new PacketFault('another protocol', reason.protocolError); // [MQTT-3.1.2-1]
  const byte = reader.byte();
  const version = versionOf(name, byte & ~BRIDGE);
  const flags = reader.byte();
  checkFlags(flags, version);
  const keepAlive = reader.u16();
  const properties = version === 5 ? readProperties(reader, 'connect') : {};
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined)
    throw new PacketFault('authentication data without a method', reason.protocolError);
  const packet = {
    cmd: 'connect',
    version,
    isBridge: (byte & BRIDGE) !== 0,
    clean: (flags & CLEAN) !== 0,
    keepAlive,
    properties,
    // The payload's order. [MQTT-3.1.3-1]
    clientId: reader.text(),
    will: flags & WILL ? readWill(reader, flags, version) : undefined,
    username: flags & USERNAME ? reader.text() : undefined,
    password: flags & PASSWORD ? Buffer.from(reader.binary()) : undefined,
  } as const;
  reader.finish();
  return packet;
}

/** [MQTT-3.1.2-2] */
function versionOf(name: 'MQTT' | 'MQIsdp', version: number): ProtocolVersion {
  const isKnown = name === 'MQIsdp' ? version === 3 : version === 4 || version === 5;
  if (!isKnown) throw new UnsupportedVersion(version);
  return version as ProtocolVersion;
}

function checkFlags(flags: number, version: ProtocolVersion): void {
  if (flags & 1) throw new PacketFault('the reserved flag is set'); // [MQTT-3.1.2-3]
  const qos = (flags >> 3) & 3;
  if (qos === 3) throw new PacketFault('a will of QoS 3'); // [MQTT-3.1.2-12]
  // [MQTT-3.1.2-11] [MQTT-3.1.2-13]
  if (!(flags & WILL) && (qos > 0 || flags & WILL_RETAIN))
    throw new PacketFault('flags of a will, and no will');
  // [MQTT-3.1.2-22] of 3.1.1; MQTT 5 takes a password alone
  if (version < 5 && flags & PASSWORD && !(flags & USERNAME))
    throw new PacketFault('a password without a user name');
}

function readWill(reader: PacketReader, flags: number, version: ProtocolVersion): WillFields {
  const properties = version === 5 ? readProperties(reader, 'will') : {};
  return {
    qos: ((flags >> 3) & 3) as QoS,
    retain: (flags & WILL_RETAIN) !== 0,
    properties,
    topic: reader.text(),
    payload: Buffer.from(reader.binary()),
  };
}
