import { randomUUID } from 'node:crypto';
import type { IConnectPacket } from 'mqtt-packet';
import type { ProtocolVersion } from '../codec.ts';
import type { Connection } from '../connection.ts';
import { type Message, makeMessage } from '../message.ts';
import { connackReturnCode, type ReasonCode, reason } from '../reason.ts';
import { OWN_CLIENT } from '../sessions.ts';
import { TopicAliases } from '../topic-aliases.ts';
import { isTopic } from '../topics.ts';
import { TOPIC_ALIASES } from './publish.ts';

const MAX_RECEIVE = 65_535;
const NEVER = 0xffff_ffff;

/** CONNECT, step by step: each step may refuse, and then nothing of the session has changed.
 * @source MQTT 5 §3.1.4, MQTT 3.1.1 §3.1.4 */
export function handleConnect(connection: Connection, packet: IConnectPacket): void {
  connection.version = (packet.protocolVersion ?? 4) as ProtocolVersion;
  const refusal =
    checkVersion(packet) ?? checkClientId(packet) ?? checkMethod(packet) ?? checkWill(connection, packet);
  if (refusal !== undefined) return refuse(connection, refusal);
  const assigned = packet.clientId === '' ? `auto-${randomUUID()}` : undefined;
  const clientId = assigned ?? packet.clientId;
  const denied = authenticate(connection, packet, clientId) ?? checkCapacity(connection);
  if (denied !== undefined) return refuse(connection, denied);
  establish(connection, packet, clientId, assigned);
}

function checkVersion(packet: IConnectPacket): ReasonCode | undefined {
  return [3, 4, 5].includes(packet.protocolVersion ?? 4) ? undefined : reason.unsupportedProtocol; // [MQTT-3.1.2-2]
}

/** [MQTT-3.1.3-8] no id without clean session in 3.1.1; 3.1 wants an id in any case */
function checkClientId(packet: IConnectPacket): ReasonCode | undefined {
  if (packet.clientId.startsWith(OWN_CLIENT)) return reason.clientIdInvalid;
  if (packet.clientId !== '') return undefined;
  const allowed = packet.protocolVersion === 5 || (packet.protocolVersion === 4 && packet.clean);
  return allowed ? undefined : reason.clientIdInvalid;
}

/** Enhanced authentication is not offered. [MQTT-4.12.0-1] */
function checkMethod(packet: IConnectPacket): ReasonCode | undefined {
  return packet.properties?.authenticationMethod === undefined ? undefined : reason.badAuthMethod;
}

function checkWill(connection: Connection, { will }: IConnectPacket): ReasonCode | undefined {
  if (!will) return undefined;
  return isTopic(will.topic, connection.hub.limits.topicLevels) ? undefined : reason.topicInvalid;
}

function authenticate(
  connection: Connection,
  packet: IConnectPacket,
  clientId: string,
): ReasonCode | undefined {
  const { username, password, will } = packet;
  const { authority, counters } = connection.hub;
  const answer = authority.authenticate({ clientId, username, password, peer: connection.peer });
  const identity = answer === 'bad-credentials' ? undefined : answer;
  const allowed = identity && (!will || authority.authorize(identity, 'publish', will.topic));
  connection.identity = identity;
  if (allowed) return undefined;
  counters.denied.add();
  return answer === 'bad-credentials' ? reason.badUserNameOrPassword : reason.notAuthorized;
}

function checkCapacity({ hub }: Connection): ReasonCode | undefined {
  return hub.clients < hub.limits.clients ? undefined : reason.serverBusy;
}

function establish(
  connection: Connection,
  packet: IConnectPacket,
  clientId: string,
  assigned: string | undefined,
): void {
  const { hub } = connection;
  const { properties = {}, clean = true } = packet;
  const five = packet.protocolVersion === 5;
  connection.receiveMaximum = Math.min(properties.receiveMaximum ?? MAX_RECEIVE, hub.limits.inflight);
  connection.maximumPacketSize = properties.maximumPacketSize ?? Number.POSITIVE_INFINITY;
  connection.isBridge = (packet as { bridgeMode?: boolean }).bridgeMode === true;
  connection.wantsReasons = properties.requestProblemInformation !== false;
  const aliases = Math.min(properties.topicAliasMaximum ?? 0, TOPIC_ALIASES);
  if (aliases > 0) connection.aliases = new TopicAliases(aliases);
  // Before MQTT 5 a session that is not clean lives until the server ends it. [MQTT-3.1.2-6]
  const life = clean ? 0 : Number.POSITIVE_INFINITY;
  const expirySeconds = five ? expiryOf(properties.sessionExpiryInterval) : life;
  const will = packet.will && {
    message: willMessage(connection, packet, clientId),
    delaySeconds: willDelay(packet),
  };
  const { session, present } = hub.join(connection, { clientId, clean, expirySeconds, will });
  connection.session = session;
  const keepalive = Math.min(packet.keepalive || Number.POSITIVE_INFINITY, hub.limits.keepAlive);
  const returnCode = { returnCode: 0, reasonCode: 0, sessionPresent: present };
  connection.send({
    cmd: 'connack',
    ...returnCode,
    ...(five ? { properties: offer(connection, packet, assigned) } : {}),
  });
  // Before MQTT 5 a client cannot be told another keep-alive than its own.
  connection.accepted(five && Number.isFinite(keepalive) ? keepalive : (packet.keepalive ?? 0));
  session.resume();
}

/** What the broker tells an MQTT 5 client of itself; features that it has are told by silence. */
function offer({ hub: { limits } }: Connection, packet: IConnectPacket, assigned: string | undefined) {
  const asked = packet.properties?.sessionExpiryInterval;
  const life = limits.sessionExpiry / 1000;
  const keepAlive = packet.keepalive || Number.POSITIVE_INFINITY;
  return {
    // [MQTT-3.2.2-21] the client keeps what the server says
    ...(keepAlive > limits.keepAlive ? { serverKeepAlive: limits.keepAlive } : {}),
    ...(asked !== undefined && asked > life ? { sessionExpiryInterval: life } : {}),
    receiveMaximum: limits.inflight,
    maximumPacketSize: limits.packetBytes,
    topicAliasMaximum: TOPIC_ALIASES,
    ...(assigned === undefined ? {} : { assignedClientIdentifier: assigned }),
  };
}

function expiryOf(interval: number | undefined): number {
  if (interval === NEVER) return Number.POSITIVE_INFINITY;
  return interval ?? 0;
}

function willDelay({ will }: IConnectPacket): number {
  return will?.properties?.willDelayInterval ?? 0;
}

function willMessage({ hub }: Connection, { will }: IConnectPacket, from: string): Message {
  const { willDelayInterval: _, messageExpiryInterval: expiry, ...properties } = will?.properties ?? {};
  return makeMessage({
    topic: will?.topic ?? '',
    payload: Buffer.from(will?.payload ?? ''),
    qos: will?.qos ?? 0,
    retain: will?.retain ?? false,
    from,
    properties: Object.keys(properties).length > 0 ? properties : undefined,
    expiresAt: expiry === undefined ? undefined : hub.clock.monotonic() + expiry * 1000,
  });
}

function refuse(connection: Connection, code: ReasonCode): void {
  const returnCode = connackReturnCode(code);
  connection.send({ cmd: 'connack', sessionPresent: false, returnCode, reasonCode: code });
  connection.close();
}
