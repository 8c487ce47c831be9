import { randomUUID } from 'node:crypto';
import type { IConnackPacket } from 'mqtt-packet';
import { mayPublish } from '../auth.ts';
import { encode } from '../codec.ts';
import type { Connection } from '../connection.ts';
import type { ConnectPacket, WillFields } from '../decode/connect-packet.ts';
import { makeMessage } from '../message.ts';
import { connackReturnCode, type ReasonCode, reason } from '../reason.ts';
import type { Will } from '../session.ts';
import { OWN_CLIENT } from '../sessions.ts';
import { TopicAliases } from '../topic-aliases.ts';
import { isTopic, overLimit } from '../topics.ts';

const MAX_RECEIVE = 65_535;
const NEVER = 0xffff_ffff;
/** Of a CONNACK with all its properties, and some more. */
const LARGEST_CONNACK = 128;

/** CONNECT, step by step: each step may refuse, and then nothing of the session has changed.
 * @source MQTT 5 §3.1.4, MQTT 3.1.1 §3.1.4 */
export function handleConnect(connection: Connection, packet: ConnectPacket): void {
  connection.version = packet.version;
  // Our answer, whatever it is, has to be that small, too.
  connection.maximumPacketSize = packet.properties.maximumPacketSize ?? Number.POSITIVE_INFINITY;
  const refusal = checkClientId(connection, packet) ?? checkMethod(packet) ?? checkWill(connection, packet);
  if (refusal !== undefined) return refuse(connection, refusal);
  const assigned = packet.clientId === '' ? `auto-${randomUUID()}` : undefined;
  const clientId = assigned ?? packet.clientId;
  const denied = authenticate(connection, packet, clientId) ?? checkCapacity(connection, packet, clientId);
  if (denied !== undefined) return refuse(connection, denied);
  if (!takesAnswer(connection, packet, assigned)) return refuse(connection, reason.packetTooLarge);
  establish(connection, packet, clientId, assigned);
}

/** [MQTT-3.1.3-8] no id without clean session in 3.1.1; 3.1 wants an id in any case */
function checkClientId({ hub }: Connection, packet: ConnectPacket): ReasonCode | undefined {
  const longest = Math.max(Buffer.byteLength(packet.clientId), Buffer.byteLength(packet.username ?? ''));
  if (longest > hub.limits.clientIdBytes) {
    hub.refuse('clientIdBytes');
    return reason.clientIdInvalid;
  }
  if (packet.clientId.startsWith(OWN_CLIENT)) return reason.clientIdInvalid;
  if (packet.clientId !== '') return undefined;
  const allowed = packet.version === 5 || (packet.version === 4 && packet.clean);
  return allowed ? undefined : reason.clientIdInvalid;
}

/** Enhanced authentication is not offered. [MQTT-4.12.0-1] */
function checkMethod(packet: ConnectPacket): ReasonCode | undefined {
  return packet.properties.authenticationMethod === undefined ? undefined : reason.badAuthMethod;
}

function checkWill(connection: Connection, { will }: ConnectPacket): ReasonCode | undefined {
  if (!will) return undefined;
  const over = overLimit(will.topic, connection.hub.limits);
  if (over) {
    connection.hub.refuse(over);
    return reason.topicInvalid;
  }
  return isTopic(will.topic, connection.hub.limits.topicLevels) ? undefined : reason.topicInvalid;
}

function authenticate(
  connection: Connection,
  packet: ConnectPacket,
  clientId: string,
): ReasonCode | undefined {
  const { username, password, will } = packet;
  const { authority, counters } = connection.hub;
  const answer = authority.authenticate({ clientId, username, password, peer: connection.peer });
  const identity = answer === 'bad-credentials' ? undefined : answer;
  const allowed = identity && (!will || mayPublish(authority, identity, will.topic));
  connection.identity = identity;
  if (allowed) return undefined;
  counters.denied.add();
  return answer === 'bad-credentials' ? reason.badUserNameOrPassword : reason.notAuthorized;
}

/** A client that takes its own connection over needs no more room. */
function checkCapacity({ hub }: Connection, packet: ConnectPacket, clientId: string): ReasonCode | undefined {
  const { limits, sessions } = hub;
  if (hub.clients >= limits.clients && !hub.isConnected(clientId)) {
    hub.refuse('clients');
    return reason.serverBusy;
  }
  if (expiryFor(packet) > 0 && sessions.size >= limits.sessions && !sessions.get(clientId)) {
    hub.refuse('sessions');
    return reason.quotaExceeded;
  }
  return undefined;
}

/** A client that takes no packet of the size of our CONNACK cannot be told what it has to keep to. [MQTT-3.1.2-24] */
function takesAnswer(connection: Connection, packet: ConnectPacket, assigned: string | undefined): boolean {
  const most = connection.maximumPacketSize;
  return most >= LARGEST_CONNACK || encode(answer(connection, packet, assigned, false), 5).length <= most;
}

function answer(
  connection: Connection,
  packet: ConnectPacket,
  assigned: string | undefined,
  sessionPresent: boolean,
): IConnackPacket {
  const properties = packet.version === 5 ? { properties: offer(connection, packet, assigned) } : {};
  return { cmd: 'connack', returnCode: 0, reasonCode: 0, sessionPresent, ...properties };
}

function establish(
  connection: Connection,
  packet: ConnectPacket,
  clientId: string,
  assigned: string | undefined,
): void {
  const { hub } = connection;
  const { properties, clean } = packet;
  const five = packet.version === 5;
  connection.receiveMaximum = Math.min(properties.receiveMaximum ?? MAX_RECEIVE, hub.limits.inflight);
  connection.wantsReasons = properties.requestProblemInformation !== 0;
  connection.isBridge = packet.isBridge && !five;
  const aliases = Math.min(properties.topicAliasMaximum ?? 0, hub.limits.topicAliases);
  if (aliases > 0) connection.aliases = new TopicAliases(aliases);
  const expirySeconds = expiryFor(packet);
  const will = packet.will && willOf(packet.will, clientId);
  const { session, present } = hub.join(connection, { clientId, clean, expirySeconds, will });
  connection.session = session;
  const keepalive = Math.min(packet.keepAlive || Number.POSITIVE_INFINITY, hub.limits.keepAlive);
  // MQTT 3.1 has no such flag: the byte is reserved there.
  connection.send(answer(connection, packet, assigned, present && packet.version > 3));
  // Before MQTT 5 a client cannot be told another keep-alive than its own.
  connection.accepted(five && Number.isFinite(keepalive) ? keepalive : packet.keepAlive);
  session.resume();
}

/** What the broker tells an MQTT 5 client of itself; features that it has are told by silence. */
function offer(
  { hub: { limits }, packetBytes }: Connection,
  packet: ConnectPacket,
  assigned: string | undefined,
) {
  const asked = packet.properties.sessionExpiry;
  const life = limits.sessionExpiry / 1000;
  const keepAlive = packet.keepAlive || Number.POSITIVE_INFINITY;
  return {
    // [MQTT-3.2.2-21] the client keeps what the server says
    ...(keepAlive > limits.keepAlive ? { serverKeepAlive: limits.keepAlive } : {}),
    ...(asked !== undefined && asked > life ? { sessionExpiryInterval: life } : {}),
    receiveMaximum: limits.inflight,
    maximumPacketSize: packetBytes,
    topicAliasMaximum: limits.topicAliases,
    ...(assigned === undefined ? {} : { assignedClientIdentifier: assigned }),
  };
}

/** Before MQTT 5 a session that is not clean lives until the server ends it. [MQTT-3.1.2-6] */
function expiryFor({ version, clean, properties }: ConnectPacket): number {
  if (version === 5) return expiryOf(properties.sessionExpiry);
  return clean ? 0 : Number.POSITIVE_INFINITY;
}

function expiryOf(interval: number | undefined): number {
  if (interval === NEVER) return Number.POSITIVE_INFINITY;
  return interval ?? 0;
}

function willOf({ topic, payload, qos, retain, properties }: WillFields, from: string): Will {
  const { travelling, willDelay = 0, messageExpiry } = properties;
  return {
    message: makeMessage({ topic, payload, qos, retain, from, properties: travelling }),
    delaySeconds: willDelay,
    expirySeconds: messageExpiry,
  };
}

/** Says no, and ends the connection. */
export function refuse(connection: Connection, code: ReasonCode): void {
  const returnCode = connackReturnCode(code);
  connection.send({ cmd: 'connack', sessionPresent: false, returnCode, reasonCode: code });
  connection.close();
}
