import { frameSize } from './frame.ts';
import { type PacketFault, PacketFields } from './packet-fields.ts';
import { checkProperties, WILL } from './properties.ts';
import { reason } from './reason.ts';

/** Packet types that a client sends. @source MQTT 5 §2.1.2 */
const CONNECT = 1;
const PUBLISH = 3;
const PUBACK = 4;
const PUBCOMP = 7;
const SUBSCRIBE = 8;
const UNSUBSCRIBE = 10;
const PINGREQ = 12;
const DISCONNECT = 14;
const AUTH = 15;

/** Checks a whole packet of a client, field by field, before mqtt-packet reads it: that one reads past the fields of a
 * packet, takes strings that are not UTF-8, properties of other packets and packet id 0, and makes a list of a property
 * that comes twice.
 * @param version undefined before CONNECT has told it
 * @returns undefined when it is well formed */
export function checkPacket(frame: Buffer, version: number | undefined): PacketFault | undefined {
  const type = (frame[0] as number) >> 4;
  let header = 1;
  while ((frame[header++] as number) >= 0x80);
  const fields = new PacketFields(frame, header, frame.length);
  if (frameSize(frame, 0, frame.length) !== frame.length) return malformed('its length does not match');
  const fault = checkBody(type, fields, version) ?? fields.fault;
  return fault ?? (fields.left > 0 ? malformed('it is longer than its fields') : undefined);
}

function checkBody(type: number, fields: PacketFields, version: number | undefined): PacketFault | undefined {
  const isFive = version === 5;
  if (type === CONNECT && version !== undefined)
    return { code: reason.protocolError, fault: 'CONNECT twice' }; // [MQTT-3.1.0-2]
  if (type === CONNECT) return checkConnect(fields);
  if (type === PUBLISH) return checkPublish(fields, isFive);
  if (type >= PUBACK && type <= PUBCOMP) return checkAck(type, fields, isFive);
  if (type === SUBSCRIBE || type === UNSUBSCRIBE) return checkFilters(type, fields, isFive);
  if ((type === DISCONNECT || type === AUTH) && isFive) return checkReason(type, fields);
  if (type === PINGREQ || type === DISCONNECT) return undefined;
  return { code: reason.protocolError, fault: 'a packet that no client sends' };
}

/** @source MQTT 5 §3.1, MQTT 3.1.1 §3.1 */
function checkConnect(fields: PacketFields): PacketFault | undefined {
  const name = fields.string();
  const level = fields.byte();
  if (fields.fault) return fields.fault;
  if (name !== 'MQTT' && name !== 'MQIsdp') return malformed('another protocol'); // [MQTT-3.1.2-1]
  // The highest bit is how bridges of mosquitto say what they are.
  const version = level & 0x7f;
  if (name === 'MQIsdp' ? version !== 3 : version !== 4 && version !== 5)
    return { code: reason.unsupportedProtocol, fault: `protocol version ${version}` };
  const flags = fields.byte();
  const fault = checkConnectFlags(flags, version);
  if (fault) return fault;
  fields.number(2); // keep-alive
  if (version === 5) checkProperties(fields, CONNECT);
  fields.string(); // client id
  if (flags & 0x04) {
    if (version === 5) checkProperties(fields, WILL);
    fields.string();
    fields.binary();
  }
  if (flags & 0x80) fields.string();
  if (flags & 0x40) fields.binary();
  return undefined;
}

function checkConnectFlags(flags: number, version: number): PacketFault | undefined {
  if (flags & 0x01) return malformed('the reserved flag'); // [MQTT-3.1.2-3]
  const willQos = (flags >> 3) & 3;
  if (willQos === 3) return malformed('a will of QoS 3'); // [MQTT-3.1.2-12]
  if (!(flags & 0x04) && flags & 0x38) return malformed('flags of a will without one'); // [MQTT-3.1.2-11]
  // [MQTT-3.1.2-22] of 3.1.1; MQTT 5 allows a password alone
  if (version !== 5 && flags & 0x40 && !(flags & 0x80)) return malformed('a password without a user name');
  return undefined;
}

/** @source MQTT 5 §3.3 */
function checkPublish(fields: PacketFields, isFive: boolean): PacketFault | undefined {
  const qos = ((fields.data[0] as number) >> 1) & 3;
  fields.string();
  if (qos > 0) fields.id();
  if (isFive) checkProperties(fields, PUBLISH);
  fields.skipRest();
  return undefined;
}

/** Code and properties may be left out. @source MQTT 5 §3.4.2.1 */
function checkAck(type: number, fields: PacketFields, isFive: boolean): PacketFault | undefined {
  fields.id();
  if (isFive && fields.left > 0) fields.byte();
  if (isFive && fields.left > 0) checkProperties(fields, type);
  return undefined;
}

/** @source MQTT 5 §3.8, §3.10 */
function checkFilters(type: number, fields: PacketFields, isFive: boolean): PacketFault | undefined {
  fields.id();
  if (isFive) checkProperties(fields, type);
  // [MQTT-3.8.3-2] [MQTT-3.10.3-2]
  if (!fields.fault && fields.left === 0) return { code: reason.protocolError, fault: 'it names no filter' };
  while (fields.left > 0 && !fields.fault) {
    fields.string();
    if (type === SUBSCRIBE) fields.byte();
  }
  return undefined;
}

function checkReason(type: number, fields: PacketFields): PacketFault | undefined {
  if (fields.left > 0) fields.byte();
  if (fields.left > 0) checkProperties(fields, type);
  return undefined;
}

function malformed(fault: string): PacketFault {
  return { code: reason.malformedPacket, fault };
}
