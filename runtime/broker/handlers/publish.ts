import { isUtf8 } from 'node:buffer';
import { errorText } from '../../core/errors.ts';
import type { Waiter } from '../ack-queue.ts';
import { mayPublish } from '../auth.ts';
import type { Connection } from '../connection.ts';
import { PacketFault, PacketReader } from '../decode/packet-reader.ts';
import { type Properties, readProperties } from '../decode/properties.ts';
import { frameSize } from '../frame.ts';
import { type Message, sizeOf } from '../message.ts';
import { PublishFrame } from '../publish-frame.ts';
import { type ReasonCode, reason } from '../reason.ts';
import type { Route } from '../router.ts';
import type { Session } from '../session.ts';
import type { Target } from '../subscription.ts';
import { overLimit } from '../topics.ts';

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
  /** What the acknowledgement of the packet under way will say, should it have to wait. */
  private readonly opening = { qos: 0, id: 0, code: reason.success as ReasonCode, bytes: 0 };
  private readonly ticket = (): Waiter => {
    const { qos, id, code, bytes } = this.opening;
    const { acks, session } = this.connection;
    const ack = acks.open(qos, id, code, bytes);
    if (qos === 2 && session?.durable) session.secure(id, ack);
    return ack;
  };

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
      connection.hub.counters.received.add();
      this.takeWithProperties(session);
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

  /** @throws PacketFault */
  private takeWithProperties(session: Session): void {
    const reader = new PacketReader(frame.data, frame.payloadStart - 1, frame.end);
    const properties = readProperties(reader, 'publish');
    frame.payloadStart = reader.at;
    // Only a server sends subscription identifiers. [MQTT-3.3.4-6]
    if (properties.subscriptionId !== undefined)
      throw new PacketFault('a subscription identifier from a client', reason.protocolError);
    const { qos, id } = frame;
    const topic = this.topicOf(properties);
    const route = topic === undefined ? undefined : this.allowed(session, topic, qos, id);
    if (route) this.receive(session, route, qos, id, this.toMessage(session, route, properties));
  }

  private toMessage(session: Session, { topic }: Route, properties: Properties): Message {
    const { messageExpiry, travelling } = properties;
    const now = this.connection.hub.clock.monotonic();
    return {
      topic,
      payload: frame.payload(),
      qos: frame.qos,
      retain: frame.retain,
      properties: travelling,
      expiresAt: messageExpiry === undefined ? undefined : now + messageExpiry * 1000,
      from: session.clientId,
    };
  }

  /** The packet's topic, or the one that its alias stands for.
   * @throws PacketFault */
  private topicOf({ topicAlias }: Properties): string | undefined {
    const isNamed = frame.topicEnd > frame.topicStart;
    if (topicAlias === undefined) {
      if (!isNamed) throw new PacketFault('neither a topic nor an alias', reason.protocolError);
      return this.readTopic();
    }
    // [MQTT-3.3.2-8] [MQTT-3.2.2-17]
    if (topicAlias < 1 || topicAlias > this.connection.hub.limits.topicAliases)
      throw new PacketFault('an invalid topic alias', reason.topicAliasInvalid);
    this.aliases ??= new Map();
    const topic = isNamed ? this.readTopic() : this.aliases.get(topicAlias);
    if (topic === undefined) throw new PacketFault('an unknown topic alias', reason.protocolError);
    this.aliases.set(topicAlias, topic);
    return topic;
  }

  /** @throws PacketFault */
  private readTopic(): string {
    const bytes = frame.data.subarray(frame.topicStart, frame.topicEnd);
    if (!isUtf8(bytes)) throw new PacketFault('a topic that is not UTF-8'); // [MQTT-1.5.4-1]
    return bytes.toString();
  }

  /** @returns the route of the packet's topic; undefined when it was refused */
  private routeOfFrame(session: Session): Route | undefined {
    const { last, connection } = this;
    if (last && last.epoch === connection.hub.router.epoch && frame.isFor(last.topicBytes)) return last;
    const { qos, id } = frame;
    const route = this.allowed(session, this.readTopic(), qos, id);
    if (route) this.last = route;
    return route;
  }

  private allowed(session: Session, topic: string, qos: number, id: number): Route | undefined {
    const { connection } = this;
    const { hub, identity } = connection;
    const route = hub.router.routeOf(topic);
    if (!route.isTopic) {
      const limit = overLimit(topic, hub.limits);
      if (limit) {
        hub.refuse(limit);
        connection.fail(reason.topicInvalid, `over the limit ${limit}`);
      } else connection.broken(reason.topicInvalid, 'not a topic that can be published to');
      return undefined;
    }
    if (identity && mayPublish(hub.authority, identity, topic)) return route;
    hub.counters.denied.add();
    this.answer(session, qos, id, hub.denial);
    return undefined;
  }

  private receive(session: Session, route: Route, qos: number, id: number, message: Message): void {
    const { connection } = this;
    const { hub } = connection;
    if (qos === 2) {
      // A message whose id is still held is the same one again. [MQTT-4.3.3-10]
      if (!session.hold(id)) return this.again(session, id);
      // Before MQTT 5 a client is told no Receive Maximum: its ids are the limit. [MQTT-3.3.4-7]
      if (connection.version === 5 && session.held > hub.limits.inflight) {
        session.forget(id); // it was not taken: when the client is back it sends it again
        hub.refuse('inflight');
        return connection.fail(reason.receiveMaximumExceeded, 'more messages under way than allowed');
      }
    }
    if (message.retain && qos > 0 && connection.version === 5) {
      const limit = hub.retained.limitFor(message);
      if (limit) {
        hub.refuse(limit);
        connection.acks.now(() => this.answer(session, qos, id, reason.quotaExceeded));
        return;
      }
    }
    const { router } = hub;
    if (qos === 0) {
      router.deliver(route, message, session); // QoS 0 is told to nobody: its loss neither
      return;
    }
    const hasReceivers = route.targets.length + route.shares.length + route.locals.length > 0;
    this.opening.qos = qos;
    this.opening.id = id;
    this.opening.code = hasReceivers ? reason.success : reason.noMatchingSubscribers;
    this.opening.bytes = sizeOf(message);
    if (router.deliver(route, message, session, this.ticket)) return;
    if (connection.acks.length === 0) this.answer(session, qos, id, this.opening.code);
    else this.ticket().settle();
  }

  /** An acknowledgement that has waited for the disk, or for its turn. */
  settled(qos: number, id: number, code: ReasonCode, error: unknown): void {
    const { connection } = this;
    const { session } = connection;
    if (!session) return;
    if (qos === 2) session.secured(id);
    if (error === undefined) this.answer(session, qos, id, code);
    else this.notKept(session, qos, id, error);
  }

  /** The client has not heard of its message, perhaps because it is not safe yet: then it waits like the first one did. */
  private again(session: Session, id: number): void {
    const { connection } = this;
    session.whenSafe(id, connection.acks.open(2, id, reason.success, 0));
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
