import { randomUUID } from 'node:crypto';
import type { IConnectPacket } from 'mqtt-packet';
import type { ProtocolVersion } from '../codec.ts';
import type { Connection } from '../connection.ts';
import type { Message } from '../message.ts';
import { connackReturnCode, type ReasonCode, reason } from '../reason.ts';
import { isTopic } from '../topics.ts';

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
  const { session, present } = hub.join(connection, clientId, clean);
  connection.session = session;
  // Before MQTT 5 a session that is not clean lives until the server ends it. [MQTT-3.1.2-6]
  session.expirySeconds = five
    ? expiryOf(properties.sessionExpiryInterval)
    : clean
      ? 0
      : Number.POSITIVE_INFINITY;
  session.will = packet.will && { message: willMessage(packet, clientId), delaySeconds: willDelay(packet) };
  const returnCode = { returnCode: 0, reasonCode: 0, sessionPresent: present };
  connection.send({
    cmd: 'connack',
    ...returnCode,
    ...(five ? { properties: offer(connection, assigned) } : {}),
  });
  connection.accepted(packet.keepalive ?? 0);
  session.resume(hub.clock.monotonic());
}

/** What the broker tells an MQTT 5 client of itself; features that it has are told by silence. */
function offer({ hub: { limits } }: Connection, assigned: string | undefined) {
  return {
    receiveMaximum: limits.inflight,
    maximumPacketSize: limits.packetBytes,
    topicAliasMaximum: TOPIC_ALIASES,
    ...(assigned === undefined ? {} : { assignedClientIdentifier: assigned }),
  };
}

/** Most topic aliases that a client may set. */
export const TOPIC_ALIASES = 32;

function expiryOf(interval: number | undefined): number {
  if (interval === NEVER) return Number.POSITIVE_INFINITY;
  return interval ?? 0;
}

function willDelay({ will }: IConnectPacket): number {
  return will?.properties?.willDelayInterval ?? 0;
}

function willMessage({ will }: IConnectPacket, from: string): Message {
  const { willDelayInterval: _, ...properties } = will?.properties ?? {};
  return {
    topic: will?.topic ?? '',
    payload: Buffer.from(will?.payload ?? ''),
    qos: will?.qos ?? 0,
    retain: will?.retain ?? false,
    from,
    ...(Object.keys(properties).length > 0 ? { properties } : {}),
  };
}

function refuse(connection: Connection, code: ReasonCode): void {
  const returnCode = connackReturnCode(code);
  connection.send({ cmd: 'connack', sessionPresent: false, returnCode, reasonCode: code });
  connection.close();
}
