import { isUtf8 } from 'node:buffer';
import type { IPublishPacket } from 'mqtt-packet';
import { errorText } from '../../core/errors.ts';
import type { Settle } from '../ack-queue.ts';
import type { Connection } from '../connection.ts';
import { frameSize } from '../frame.ts';
import type { Message, MessageProperties } from '../message.ts';
import { PublishFrame } from '../publish-frame.ts';
import { type ReasonCode, reason } from '../reason.ts';
import type { Route } from '../router.ts';
import type { Session } from '../session.ts';
import type { Target } from '../subscription.ts';

/** Most topic aliases that a client may set. */
export const TOPIC_ALIASES = 32;

const PUBACK = 0x40;
const PUBREC = 0x50;
/** First byte of a PUBLISH with QoS 0 that is neither retained nor a duplicate. */
const PLAIN = 0x30;

/** Packets are read one at a time, each before the next: one frame serves them all. */
const frame = new PublishFrame();

/** PUBLISH from one client. What is said again and again on one topic is looked up once.
 * @source MQTT 5 §3.3, §4.3 */
export class PublishPath {
  private readonly connection: Connection;
  private last: Route | undefined;
  /** Topics by alias, set by the client. [MQTT-3.3.2-8] */
  private aliases: Map<number, string> | undefined;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** Takes the packet at `data[start, end)`.
   * @returns where it has read up to: packets behind it of the same kind and topic are forwarded along with it */
  take(session: Session, data: Buffer, start: number, end: number): number {
    const { connection } = this;
    const isFive = connection.version === 5;
    if (!frame.read(data, start, end, isFive)) {
      connection.broken(reason.malformedPacket, 'a malformed PUBLISH');
      return end;
    }
    if (frame.hasProperties || (isFive && frame.topicStart === frame.topicEnd)) {
      this.takeWithProperties(session, data, start, end);
      return end;
    }
    const route = this.routeOfFrame(session);
    if (!route) {
      connection.hub.counters.received.add();
      return end;
    }
    if (data[start] === PLAIN && route.locals.length === 0 && route.shares.length === 0)
      return this.forward(session, route, isFive);
    connection.hub.counters.received.add();
    const { qos, retain, id } = frame;
    this.receive(session, route, qos, id, {
      topic: route.topic,
      payload: frame.payload(),
      qos,
      retain,
      properties: undefined,
      expiresAt: undefined,
      from: session.clientId,
    });
    return end;
  }

  /** Sends QoS 0 packets on as they came, a whole run of one topic at a time: nothing is made for any of them. */
  private forward(session: Session, route: Route, isFive: boolean): number {
    const { hub } = this.connection;
    const { data, start } = frame;
    let end = frame.end;
    let count = 1;
    // The run must not outgrow what one subscriber may be sent at a time.
    const most = Math.min(data.length, start + 8192);
    for (;;) {
      if (data[end] !== PLAIN) break;
      const size = frameSize(data, end, data.length);
      if (size <= 0 || end + size > most) break;
      if (!frame.read(data, end, end + size, isFive) || frame.hasProperties) break;
      if (!frame.isFor(route.topicBytes)) break;
      end += size;
      count++;
    }
    hub.counters.received.add(count);
    for (let i = 0; i < route.targets.length; i++) {
      const target = route.targets[i] as Target;
      const match = target.session === session ? target.own : target.match;
      const { outlet } = target.session;
      if (!match || !outlet) continue;
      if (outlet.congested) hub.counters.dropped.add(count);
      else if (match.ids || !outlet.forward(data, start, end, count, isFive))
        this.deliverEach(target, session, route, start, end);
    }
    return end;
  }

  /** The same for a subscriber whose packets have another format. */
  private deliverEach(target: Target, session: Session, route: Route, start: number, end: number): void {
    const { data } = frame;
    const isFive = this.connection.version === 5;
    const match = target.session === session ? target.own : target.match;
    const now = (): number => this.connection.hub.clock.monotonic();
    for (let at = start; at < end && match; ) {
      const size = frameSize(data, at, end);
      frame.read(data, at, at + size, isFive);
      const message = {
        topic: route.topic,
        payload: frame.payload(),
        qos: 0,
        retain: false,
        properties: undefined,
        expiresAt: undefined,
        from: session.clientId,
      } as const;
      target.session.deliver(message, match, 0, now);
      at += size;
    }
  }

  /** Properties, aliases: the general decoder reads the packet. */
  private takeWithProperties(session: Session, data: Buffer, start: number, end: number): void {
    const { connection } = this;
    const { hub } = connection;
    hub.counters.received.add();
    const packet = connection.decodeWhole(data, start, end);
    if (packet instanceof Error) return connection.broken(reason.malformedPacket, packet.message);
    if (packet.cmd !== 'publish') return connection.broken(reason.malformedPacket, 'not a PUBLISH');
    const { properties = {}, qos, messageId = 0 } = packet;
    // Only a server sends subscription identifiers. [MQTT-3.3.4-6]
    if (properties.subscriptionIdentifier !== undefined)
      return connection.broken(reason.protocolError, 'a subscription identifier from a client');
    const topic = this.resolveTopic(packet);
    if (topic === undefined) return connection.broken(reason.topicAliasInvalid, 'an invalid topic alias');
    if (topic === '') return connection.broken(reason.protocolError, 'neither a topic nor an alias');
    const { responseTopic } = properties;
    // [MQTT-3.3.2-14] the response topic has no wildcards
    if (responseTopic !== undefined && /[+#]/.test(responseTopic))
      return connection.broken(reason.protocolError, 'wildcards in the response topic');
    const route = this.allowed(session, topic, qos, messageId);
    if (route) this.receive(session, route, qos, messageId, toMessage(connection, session, topic, packet));
  }

  private resolveTopic({ topic, properties }: IPublishPacket): string | undefined {
    const alias = properties?.topicAlias;
    if (alias === undefined) return topic;
    if (alias < 1 || alias > TOPIC_ALIASES) return undefined;
    this.aliases ??= new Map();
    if (topic === '') return this.aliases.get(alias);
    this.aliases.set(alias, topic);
    return topic;
  }

  /** @returns the route of the packet's topic; undefined when it was refused */
  private routeOfFrame(session: Session): Route | undefined {
    const { last, connection } = this;
    if (last && last.epoch === connection.hub.router.epoch && frame.isFor(last.topicBytes)) return last;
    const bytes = frame.data.subarray(frame.topicStart, frame.topicEnd);
    if (!isUtf8(bytes)) {
      connection.broken(reason.malformedPacket, 'a topic that is not UTF-8'); // [MQTT-1.5.4-1]
      return undefined;
    }
    const { qos, id } = frame;
    const route = this.allowed(session, bytes.toString(), qos, id);
    if (route) this.last = route;
    return route;
  }

  private allowed(session: Session, topic: string, qos: number, id: number): Route | undefined {
    const { connection } = this;
    const { hub, identity } = connection;
    const route = hub.router.routeOf(topic);
    if (!route.isTopic) {
      connection.broken(reason.topicInvalid, 'not a topic that can be published to');
      return undefined;
    }
    // `$SYS` is the broker's own. [MQTT-4.7.2-1]
    if (!topic.startsWith('$SYS/') && identity && hub.authority.authorize(identity, 'publish', topic))
      return route;
    hub.counters.denied.add();
    this.answer(session, qos, id, reason.notAuthorized);
    return undefined;
  }

  private receive(session: Session, route: Route, qos: number, id: number, message: Message): void {
    const { connection } = this;
    if (qos === 2) {
      // A message whose id is still held is the same one again. [MQTT-4.3.3-10]
      if (!session.hold(id)) return this.again(session, id);
      // Before MQTT 5 a client is not told how many it may send.
      if (connection.version === 5 && session.held > connection.hub.limits.inflight) {
        session.forget(id);
        return connection.broken(reason.receiveMaximumExceeded, 'more messages under way than allowed');
      }
    }
    const gate = connection.hub.router.deliver(route, message, session);
    if (qos === 0) {
      gate?.onOpen(() => {}); // QoS 0 is told to nobody: its loss neither
      return;
    }
    const hasReceivers = route.targets.length + route.shares.length + route.locals.length > 0;
    const code = hasReceivers ? reason.success : reason.noMatchingSubscribers;
    if (!gate) {
      if (connection.acks.length === 0) this.answer(session, qos, id, code);
      else connection.acks.now(() => this.answer(session, qos, id, code));
      return;
    }
    const settle = connection.acks.later((error) => {
      if (error === undefined) this.answer(session, qos, id, code);
      else this.notKept(session, qos, id, error);
      connection.unthrottle();
    });
    gate.onOpen(qos === 2 && session.durable ? both(settle, session.secure(id)) : settle);
    connection.throttle();
  }

  /** The client has not heard of its message, perhaps because it is not safe yet: then it waits like the first one did. */
  private again(session: Session, id: number): void {
    const settle = this.connection.acks.later((error) => {
      if (error === undefined) this.answer(session, 2, id, reason.success);
      else this.notKept(session, 2, id, error);
    });
    session.whenSafe(id, settle);
  }

  private notKept(session: Session, qos: number, id: number, error: unknown): void {
    const { connection } = this;
    connection.hub.log.error('a message could not be kept', {
      client: session.clientId,
      reason: errorText(error),
    });
    if (connection.version === 5) this.answer(session, qos, id, reason.unspecified);
    // Before MQTT 5 there is no way to say no: without an answer the client sends it again when it is back.
    else {
      if (qos === 2) session.forget(id);
      connection.fail(reason.unspecified);
    }
  }

  private answer(session: Session, qos: number, id: number, code: ReasonCode): void {
    if (qos === 0) return;
    // A PUBREC with an error ends the exchange, and the id is free again. [MQTT-4.3.3-9]
    if (qos === 2 && code >= 0x80 && this.connection.version === 5) session.forget(id);
    this.connection.sendAck(qos === 1 ? PUBACK : PUBREC, id, code);
  }
}

function both(first: Settle, second: Settle): Settle {
  return (error) => {
    first(error);
    second(error);
  };
}

function toMessage(connection: Connection, session: Session, topic: string, packet: IPublishPacket): Message {
  const { topicAlias: _, messageExpiryInterval: expiry, ...rest } = packet.properties ?? {};
  const properties: MessageProperties = rest;
  return {
    topic,
    // A copy: the packet is a window on the socket's buffer, and the message may live long.
    payload: Buffer.from(packet.payload),
    qos: packet.qos,
    retain: packet.retain,
    from: session.clientId,
    properties: Object.keys(properties).length > 0 ? properties : undefined,
    expiresAt: expiry === undefined ? undefined : connection.hub.clock.monotonic() + expiry * 1000,
  };
}
