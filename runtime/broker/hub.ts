import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { Counter, MetricSource } from '../core/metrics.ts';
import { millis } from '../core/units.ts';
import type { Authority } from './auth.ts';
import type { BrokerLimits } from './config.ts';
import type { Connection } from './connection.ts';
import type { Message } from './message.ts';
import { reason } from './reason.ts';
import { Retained } from './retained.ts';
import { Session } from './session.ts';
import {
  type ClientSubscription,
  joinMatch,
  type LocalSubscription,
  type Match,
  type Subscription,
} from './subscription.ts';
import { TopicTrie } from './topics.ts';

export type BrokerCounters = Readonly<
  Record<'received' | 'sent' | 'dropped' | 'bytesIn' | 'bytesOut' | 'malformed' | 'denied', Counter>
>;

export type HubDeps = {
  readonly limits: BrokerLimits;
  readonly authority: Authority;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricSource;
};

/** What the connections share: sessions, subscriptions, retained messages, and the way of a message. */
export class Hub {
  readonly limits: BrokerLimits;
  readonly authority: Authority;
  readonly clock: Clock;
  readonly log: Logger;
  readonly counters: BrokerCounters;
  readonly retained = new Retained();
  private readonly sessions = new Map<string, Session>();
  private readonly connections = new Map<Session, Connection>();
  private readonly trie = new TopicTrie<Subscription>();
  /** Whose turn it is in each shared subscription. */
  private readonly turns = new Map<string, number>();

  constructor(deps: HubDeps) {
    this.limits = deps.limits;
    this.authority = deps.authority;
    this.clock = deps.clock;
    this.log = deps.log;
    this.counters = makeCounters(deps.metrics);
    deps.metrics.gauge('edgecore_mqtt_clients', 'Connected MQTT clients.', () => this.connections.size);
    deps.metrics.gauge(
      'edgecore_mqtt_sessions',
      'MQTT sessions, with or without connection.',
      () => this.sessions.size,
    );
    deps.metrics.gauge('edgecore_mqtt_retained', 'Retained messages.', () => this.retained.size);
  }

  get clients(): number {
    return this.connections.size;
  }

  /** Binds a connection to its client's session, taking over from an older connection. [MQTT-3.1.4-3]
   * @returns whether there was a session to resume */
  join(connection: Connection, clientId: string, clean: boolean): { session: Session; present: boolean } {
    const known = this.sessions.get(clientId);
    if (known) this.connections.get(known)?.fail(reason.sessionTakenOver);
    const kept = this.sessions.get(clientId); // a session that ended with its connection is gone by now
    // A session of another user is not given away: messages wait in it that only that one may read.
    const resumes = !clean && kept?.identity?.username === connection.identity?.username;
    if (kept && !resumes) this.discard(kept);
    const present = kept !== undefined && resumes;
    const session = present ? kept : new Session(clientId, this.limits, this.counters.dropped);
    this.sessions.set(clientId, session);
    this.connections.set(session, connection);
    session.outlet = connection;
    session.identity = connection.identity;
    return { session, present };
  }

  /** A connection ended: its will is published, and its session lives on as long as it was asked to. */
  left(connection: Connection): void {
    const { session } = connection;
    if (!session || this.connections.get(session) !== connection) return;
    this.connections.delete(session);
    session.outlet = undefined;
    this.scheduleWill(session);
    if (session.expirySeconds === 0) return this.discard(session);
    const life = Math.min(session.expirySeconds * 1000, this.limits.sessionExpiry);
    this.clock.after(millis(life), () => {
      if (!session.outlet && this.sessions.get(session.clientId) === session) this.discard(session);
    });
  }

  subscribe(name: string, subscription: ClientSubscription): boolean {
    const { session } = subscription;
    const earlier = session.subscriptions.get(name);
    if (earlier) this.trie.remove(earlier.filter.levels, earlier);
    session.subscriptions.set(name, subscription);
    this.trie.add(subscription.filter.levels, subscription);
    return earlier !== undefined;
  }

  unsubscribe(session: Session, name: string): boolean {
    const subscription = session.subscriptions.get(name);
    if (!subscription) return false;
    session.subscriptions.delete(name);
    this.trie.remove(subscription.filter.levels, subscription);
    return true;
  }

  subscribeLocal(subscription: LocalSubscription): () => void {
    this.trie.add(subscription.filter.levels, subscription);
    return () => this.trie.remove(subscription.filter.levels, subscription);
  }

  /** Whether a client may be sent what is on a topic. */
  mayRead({ identity }: Session, topic: string): boolean {
    return identity !== undefined && this.authority.authorize(identity, 'deliver', topic);
  }

  /** Brings a message to everyone who subscribed to it and may read it.
   * @returns a promise when handlers of this process have yet to make it safe; undefined when nobody has */
  route(message: Message): { matched: boolean; done: Promise<void> | undefined } {
    if (message.retain) this.retained.keep(message);
    const found = new Map<Session, Match>();
    const shares = new Map<string, ClientSubscription[]>();
    const pending: Promise<void>[] = [];
    let matched = false;
    this.trie.match(message.topic, (subscription) => {
      matched = true;
      if (subscription.kind === 'local') callLocal(subscription, message, pending);
      else if (!this.mayRead(subscription.session, message.topic)) return;
      else if (subscription.filter.share === undefined) joinMatch(found, subscription, message);
      else addShare(shares, subscription);
    });
    for (const [name, members] of shares) joinMatch(found, this.nextOf(name, members), message);
    const now = this.clock.monotonic();
    for (const [session, { qos, retain, ids }] of found) {
      session.deliver({ message, qos, retain, ...(ids.length > 0 ? { subscriptionIds: ids } : {}) }, now);
    }
    return { matched, done: pending.length > 0 ? Promise.all(pending).then(() => {}) : undefined };
  }

  /** Ends every connection. */
  closeAll(): void {
    for (const connection of this.connections.values()) {
      if (connection.session) connection.session.will = undefined;
      connection.fail(reason.serverShuttingDown);
    }
  }

  private discard(session: Session): void {
    for (const subscription of session.subscriptions.values()) {
      this.trie.remove(subscription.filter.levels, subscription);
    }
    session.subscriptions.clear();
    this.sessions.delete(session.clientId);
  }

  /** @source MQTT 5 §3.1.3.2.2: at the delay's end or the session's, whichever comes first; not when the client is back */
  private scheduleWill(session: Session): void {
    const { will } = session;
    session.will = undefined;
    if (!will) return;
    const delay = Math.min(will.delaySeconds, session.expirySeconds);
    if (delay === 0) {
      this.route(will.message);
      return;
    }
    this.clock.after(millis(delay * 1000), () => {
      if (!session.outlet) this.route(will.message);
    });
  }

  /** The members of a shared subscription take turns; one that is connected goes before one that is not. */
  private nextOf(name: string, members: readonly ClientSubscription[]): ClientSubscription {
    const turn = ((this.turns.get(name) ?? -1) + 1) % members.length;
    this.turns.set(name, turn);
    const inTurn = [...members.slice(turn), ...members.slice(0, turn)];
    return inTurn.find((s) => s.session.outlet) ?? (inTurn[0] as ClientSubscription);
  }
}

function addShare(shares: Map<string, ClientSubscription[]>, subscription: ClientSubscription): void {
  const name = `${subscription.filter.share}/${subscription.filter.levels.join('/')}`;
  shares.set(name, [...(shares.get(name) ?? []), subscription]);
}

function callLocal({ handler }: LocalSubscription, message: Message, pending: Promise<void>[]): void {
  const { topic, payload, qos, retain, from } = message;
  const done = handler(topic, payload, { qos, retain, from });
  if (done) pending.push(done);
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
  };
}
