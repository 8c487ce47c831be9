import type { IPublishPacket } from 'mqtt-packet';
import { errorText } from '../../core/errors.ts';
import type { Connection } from '../connection.ts';
import type { Message, MessageProperties } from '../message.ts';
import { type ReasonCode, reason } from '../reason.ts';
import type { Session } from '../session.ts';
import { isTopic } from '../topics.ts';
import { TOPIC_ALIASES } from './connect.ts';

/** PUBLISH from a client. @source MQTT 5 §3.3, §4.3 */
export function handlePublish(connection: Connection, session: Session, packet: IPublishPacket): void {
  const { hub } = connection;
  hub.counters.received.add();
  const topic = resolveTopic(connection, packet);
  if (topic === undefined) return connection.fail(reason.topicAliasInvalid);
  if (!isTopic(topic, hub.limits.topicLevels)) return connection.fail(reason.topicInvalid);
  // Only a server sends subscription identifiers. [MQTT-3.3.4-6]
  if (packet.properties?.subscriptionIdentifier !== undefined) return connection.fail(reason.protocolError);
  // `$SYS` is the broker's own. [MQTT-4.7.2-1]
  const { identity } = connection;
  const allowed =
    !topic.startsWith('$SYS/') && identity && hub.authority.authorize(identity, 'publish', topic);
  if (!allowed) {
    hub.counters.denied.add();
    return answer(connection, packet, reason.notAuthorized);
  }
  const message = toMessage(connection, session, topic, packet);
  if (packet.qos === 0)
    void hub.route(message).done?.catch(() => {}); // QoS 0 is told to nobody: its loss neither
  else if (packet.qos === 1) acknowledge(connection, packet, message);
  else receiveOnce(connection, session, packet, message);
}

/** [MQTT-3.3.2-8] an alias without topic stands for the one that it was set with */
function resolveTopic({ aliases }: Connection, packet: IPublishPacket): string | undefined {
  const alias = packet.properties?.topicAlias;
  if (alias === undefined) return packet.topic;
  if (alias < 1 || alias > TOPIC_ALIASES) return undefined;
  if (packet.topic === '') return aliases.get(alias);
  aliases.set(alias, packet.topic);
  return packet.topic;
}

/** QoS 2: a message whose id is still held is the same one again. [MQTT-4.3.3-10] */
function receiveOnce(
  connection: Connection,
  session: Session,
  packet: IPublishPacket,
  message: Message,
): void {
  const id = packet.messageId ?? 0;
  if (session.received.has(id)) return answer(connection, packet, reason.success);
  if (session.received.size >= connection.hub.limits.inflight)
    return connection.fail(reason.receiveMaximumExceeded);
  session.received.add(id);
  acknowledge(connection, packet, message);
}

/** PUBACK or PUBREC leaves when what the message is for has it safe. */
function acknowledge(connection: Connection, packet: IPublishPacket, message: Message): void {
  const { matched, done } = connection.hub.route(message);
  connection.acks.push(done, (error) => {
    if (error === undefined)
      answer(connection, packet, matched ? reason.success : reason.noMatchingSubscribers);
    else notKept(connection, packet, error);
    connection.unthrottle();
  });
  connection.throttle();
}

function notKept(connection: Connection, packet: IPublishPacket, error: unknown): void {
  connection.hub.log.error('a message could not be kept', {
    resource: packet.topic,
    reason: errorText(error),
  });
  if (connection.version === 5) answer(connection, packet, reason.unspecified);
  // Before MQTT 5 there is no way to say no: without an answer the client sends it again when it is back.
  else connection.fail(reason.unspecified);
}

function answer(connection: Connection, packet: IPublishPacket, code: ReasonCode): void {
  if (packet.qos === 0 || packet.messageId === undefined) return;
  // A PUBREC with an error ends the exchange, and the id is free again. [MQTT-4.3.3-9]
  if (packet.qos === 2 && code >= 0x80) connection.session?.received.delete(packet.messageId);
  const cmd = packet.qos === 1 ? 'puback' : 'pubrec';
  connection.send({
    cmd,
    messageId: packet.messageId,
    ...(connection.version === 5 ? { reasonCode: code } : {}),
  });
}

function toMessage(connection: Connection, session: Session, topic: string, packet: IPublishPacket): Message {
  const { topicAlias: _, messageExpiryInterval: expiry, ...rest } = packet.properties ?? {};
  const properties: MessageProperties = rest;
  return {
    topic,
    // A copy: the frame is a window on the socket's buffer, and the message may live long.
    payload: Buffer.from(packet.payload),
    qos: packet.qos,
    retain: packet.retain,
    from: session.clientId,
    ...(Object.keys(properties).length > 0 || expiry !== undefined ? { properties } : {}),
    ...(expiry === undefined ? {} : { expiresAt: connection.hub.clock.monotonic() + expiry * 1000 }),
  };
}
