import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { Counter, MetricSource } from '../core/metrics.ts';
import type { Waiter } from './ack-queue.ts';
import type { Authority } from './auth.ts';
import type { BrokerLimits } from './config.ts';
import type { Connection } from './connection.ts';
import { Journal } from './journal.ts';
import type { Message } from './message.ts';
import { Flusher } from './outgoing.ts';
import type { BrokerStore } from './persistence.ts';
import { type ReasonCode, reason } from './reason.ts';
import { Retained } from './retained.ts';
import { Router } from './router.ts';
import type { Session, Will } from './session.ts';
import { Sessions } from './sessions.ts';
import { type SysFigures, SysTopics } from './sys-topics.ts';
import { Wills } from './wills.ts';

export type BrokerCounters = Readonly<
  Record<
    | 'received'
    | 'sent'
    | 'dropped'
    | 'bytesIn'
    | 'bytesOut'
    | 'malformed'
    | 'denied'
    | 'refused'
    | 'connected',
    Counter
  >
>;

/** Limits that refuse something of a client, each with a series of `edgecore_mqtt_limit_reached_total`. */
const refusing = [
  'packetBytes',
  'connectBytes',
  'connectTimeout',
  'clients',
  'connecting',
  'sessions',
  'clientIdBytes',
  'subscriptionsPerClient',
  'subscriptions',
  'topicLevels',
  'topicBytes',
  'inflight',
  'retainedCount',
  'retainedBytes',
] as const satisfies readonly (keyof BrokerLimits)[];

export type RefusingLimit = (typeof refusing)[number];

/** Complaints about clients that are written in a minute: a flood of them must not fill the journal. */
const COMPLAINTS = 10;
const COMPLAINT_WINDOW = 60_000;

export type HubDeps = {
  readonly limits: BrokerLimits;
  readonly authority: Authority;
  /** What a client is told when it may not publish or subscribe. */
  readonly denial: ReasonCode;
  /** What the broker calls itself. */
  readonly version: string;
  readonly store: BrokerStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricSource;
};

/** What the connections share, and who is connected. */
export class Hub {
  readonly limits: BrokerLimits;
  readonly authority: Authority;
  readonly denial: ReasonCode;
  readonly clock: Clock;
  readonly log: Logger;
  readonly counters: BrokerCounters;
  readonly retained: Retained;
  readonly router: Router;
  readonly sessions: Sessions;
  readonly wills: Wills;
  private readonly sysTopics: SysTopics;
  readonly flusher = new Flusher();
  /** How often each limit was reached. */
  readonly reached: Readonly<Record<RefusingLimit, Counter>>;
  private readonly connections = new Map<Session, Connection>();
  /** Without CONNECT, oldest first. */
  private readonly connecting = new Set<Connection>();
  /** Closed, with a peer that has not taken the last of it, oldest first. */
  private readonly closing = new Set<Connection>();
  private complaints = 0;
  private complainedAt = Number.NEGATIVE_INFINITY;
  /** Most clients that were connected at a time. */
  private mostClients = 0;

  constructor(deps: HubDeps) {
    const { limits, authority, denial, version, store, clock, log, metrics } = deps;
    this.limits = limits;
    this.authority = authority;
    this.denial = denial;
    this.clock = clock;
    this.log = log;
    this.counters = makeCounters(metrics);
    this.reached = makeReached(metrics);
    const epoch = (): number => clock.now() - clock.monotonic();
    const now = (): number => clock.monotonic();
    const journal = new Journal({ store, log, epoch, now });
    const refuse = (limit: RefusingLimit): void => this.refuse(limit);
    this.retained = new Retained({ store, limits, epoch, refuse });
    this.router = new Router({
      authority,
      retained: this.retained,
      journal,
      limits,
      sysWatched: (isWatched) => this.sysTopics.watched(isWatched),
      now,
    });
    const { router } = this;
    this.sessions = new Sessions({
      limits,
      store,
      journal,
      router,
      dropped: this.counters.dropped,
      clock,
      log,
    });
    this.wills = new Wills({
      store,
      clock,
      publish: (message) => void this.publish(message),
      longest: limits.sessionExpiry,
      lifeOf: (clientId) => this.sessions.get(clientId)?.expirySeconds ?? 0,
    });
    this.sysTopics = new SysTopics({
      figures: this.figures(version),
      clock,
      keep: (message) => this.retained.keepVolatile(message),
      forget: (topic) => this.retained.forgetVolatile(topic),
      publish: (message) => void this.publish(message),
    });
    this.measure(metrics);
  }

  get clients(): number {
    return this.connections.size;
  }

  /** Whether a client id has a connection, which another one would take over. */
  isConnected(clientId: string): boolean {
    const session = this.sessions.get(clientId);
    return session !== undefined && this.connections.has(session);
  }

  /** A connection has come. When too many have yet to say CONNECT, the one that has waited longest gives way: who says
   * nothing cannot keep out who speaks at once. */
  arrived(connection: Connection): void {
    this.connecting.add(connection);
    this.trim(this.connecting, this.limits.connecting);
  }

  /** A connection is closed on our side. */
  lingers(connection: Connection): void {
    this.closing.add(connection);
    this.trim(this.closing, this.limits.clients);
  }

  /** Its stream has ended. */
  gone(connection: Connection): void {
    this.closing.delete(connection);
  }

  /** Something is refused because of a limit. */
  refuse(limit: RefusingLimit): void {
    this.counters.refused.add();
    this.reached[limit].add();
  }

  /** Tells the log of a client that breaks the protocol. */
  complain({ session, peer }: Connection, why: string): void {
    const now = this.clock.monotonic();
    if (now - this.complainedAt >= COMPLAINT_WINDOW) {
      this.complainedAt = now;
      this.complaints = 0;
    }
    if (++this.complaints > COMPLAINTS) return;
    const client = session?.clientId;
    this.log.warn('a client broke the protocol', { client, peer: peer.address, reason: why });
  }

  /** Takes up what the last process left. */
  load(): void {
    this.retained.load();
    this.sessions.load();
    this.wills.load();
  }

  /** Binds a connection to its client's session, taking over from an older connection. [MQTT-3.1.4-3]
   * @returns whether there was a session to resume */
  join(
    connection: Connection,
    client: { clientId: string; clean: boolean; expirySeconds: number; will: Will | undefined },
  ): { session: Session; present: boolean } {
    const { clientId, clean, expirySeconds, will } = client;
    const known = this.sessions.get(clientId);
    if (known) this.connections.get(known)?.fail(reason.sessionTakenOver);
    const kept = this.sessions.get(clientId); // a session that ended with its connection is gone by now
    // A session of another user is not given away: messages wait in it that only that one may read.
    const resumes = !clean && kept?.identity?.username === connection.identity?.username;
    if (kept && !resumes) {
      this.wills.sessionEnded(clientId);
      this.sessions.discard(kept);
    }
    const present = kept !== undefined && resumes;
    const session = present ? kept : this.sessions.create(clientId, expirySeconds);
    session.expirySeconds = expirySeconds;
    session.identity = connection.identity;
    session.outlet = connection;
    this.connecting.delete(connection);
    this.connections.set(session, connection);
    this.mostClients = Math.max(this.mostClients, this.clients);
    this.wills.connected(session, will);
    this.sessions.resumed(session);
    this.counters.connected.add();
    return { session, present };
  }

  /** A connection ended: its will is published, and its session lives on as long as it was asked to. */
  left(connection: Connection): void {
    const { session } = connection;
    this.connecting.delete(connection);
    if (!session || this.connections.get(session) !== connection) return;
    this.connections.delete(session);
    session.outlet = undefined;
    this.wills.left(session);
    this.sessions.left(session);
  }

  /** Brings a message that no client's packet carries to everyone who subscribed.
   * @returns whether there is something to wait for */
  publish(message: Message, ticket?: () => Waiter): boolean {
    this.flusher.begin();
    const waits = this.router.deliver(this.router.routeOf(message.topic), message, undefined, ticket);
    this.flusher.end();
    return waits;
  }

  /** Ends every connection; wills stay unsaid, because it is us who leave. */
  closeAll(): void {
    for (const connection of [...this.connections.values()]) {
      if (connection.session) this.wills.drop(connection.session);
      connection.fail(reason.serverShuttingDown);
    }
    for (const connection of [...this.connecting]) connection.drop();
    this.wills.stop();
    this.sessions.stop();
    this.sysTopics.stop();
  }

  private figures(version: string): SysFigures {
    const { counters, clock } = this;
    const started = clock.monotonic();
    return {
      version: () => version,
      uptime: () => `${Math.floor((clock.monotonic() - started) / 1000)} seconds`,
      'clients/connected': () => this.clients,
      'clients/disconnected': () => this.sessions.size - this.clients,
      'clients/maximum': () => this.mostClients,
      'clients/total': () => this.sessions.size,
      'messages/received': () => counters.received.value,
      'messages/sent': () => counters.sent.value,
      'publish/messages/received': () => counters.received.value,
      'publish/messages/sent': () => counters.sent.value,
      'publish/messages/dropped': () => counters.dropped.value,
      'bytes/received': () => counters.bytesIn.value,
      'bytes/sent': () => counters.bytesOut.value,
      'subscriptions/count': () => this.sessions.subscriptions,
      'retained messages/count': () => this.retained.size,
      'store/messages/count': () => this.retained.size + this.sessions.queued,
      'heap/current': () => process.memoryUsage().heapUsed,
    };
  }

  private trim(connections: Set<Connection>, most: number): void {
    for (const oldest of connections) {
      if (connections.size <= most) return;
      connections.delete(oldest);
      if (connections === this.connecting) this.refuse('connecting');
      oldest.drop();
    }
  }

  private measure(metrics: MetricSource): void {
    metrics.gauge('edgecore_mqtt_clients', 'Connected MQTT clients.', () => this.clients);
    const sessions = 'MQTT sessions, with or without connection.';
    metrics.gauge('edgecore_mqtt_sessions', sessions, () => this.sessions.size);
    const connecting = 'Connections that have not sent CONNECT.';
    metrics.gauge('edgecore_mqtt_connecting', connecting, () => this.connecting.size);
    metrics.gauge('edgecore_mqtt_closing', 'Closed connections whose peer stays.', () => this.closing.size);
    const subscriptions = 'Subscriptions of all clients.';
    metrics.gauge('edgecore_mqtt_subscriptions', subscriptions, () => this.sessions.subscriptions);
    metrics.gauge('edgecore_mqtt_queued', 'Messages that wait for clients.', () => this.sessions.queued);
    metrics.gauge('edgecore_mqtt_retained', 'Retained messages.', () => this.retained.size);
    metrics.gauge('edgecore_mqtt_retained_bytes', 'Bytes of retained messages.', () => this.retained.bytes);
  }
}

function makeCounters(metrics: MetricSource): BrokerCounters {
  const counter = (name: string, help: string): Counter =>
    metrics.counter(`edgecore_mqtt_${name}_total`, help);
  return {
    received: counter('messages_received', 'PUBLISH packets from clients.'),
    sent: counter('messages_sent', 'PUBLISH packets to clients.'),
    dropped: counter('messages_dropped', 'Messages dropped: client too slow or its queue full.'),
    bytesIn: counter('bytes_received', 'Bytes from clients.'),
    bytesOut: counter('bytes_sent', 'Bytes to clients.'),
    malformed: counter('malformed', 'Connections closed because they broke the protocol.'),
    denied: counter('denied', 'Connects, publishes and subscribes that were not allowed.'),
    refused: counter('refused', 'What was refused because it was over a limit.'),
    connected: counter('connects', 'Clients that were let in.'),
  };
}

function makeReached(metrics: MetricSource): Record<RefusingLimit, Counter> {
  const help = 'What a limit of modules.eventBus.limits has refused.';
  const counters = refusing.map((limit) => [
    limit,
    metrics.counter('edgecore_mqtt_limit_reached_total', help, { limit }),
  ]);
  return Object.fromEntries(counters) as Record<RefusingLimit, Counter>;
}
