import type { Clock, Timer } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { Counter } from '../core/metrics.ts';
import { millis } from '../core/units.ts';
import type { BrokerLimits } from './config.ts';
import { type DurableDeps, DurableSession } from './durable-session.ts';
import { FullQueues } from './full-queues.ts';
import type { Journal } from './journal.ts';
import type { BrokerStore, SessionRow } from './persistence.ts';
import type { Router } from './router.ts';
import type { Session } from './session.ts';
import type { ClientSubscription } from './subscription.ts';
import { parseFilter } from './topics.ts';
import { TransientSession } from './transient-session.ts';

export type SessionsDeps = {
  readonly limits: BrokerLimits;
  readonly store: BrokerStore;
  readonly journal: Journal;
  readonly router: Router;
  readonly dropped: Counter;
  readonly clock: Clock;
  readonly log: Logger;
};

/** What a subscription's row holds besides the filter. */
type StoredOptions = Pick<ClientSubscription, 'qos' | 'noLocal' | 'retainAsPublished'> & { id?: number };

/** How the client ids of this process's own sessions begin: no client may have one. */
export const OWN_CLIENT = '$bridge/';

/** Bounds of a session of this process, and who counts what it drops. */
type OwnDeps = Pick<DurableDeps, 'limits' | 'dropped'>;

/** A board without a battery begins in 1970. */
const CLOCK_IS_SET = Date.UTC(2020, 0, 1);
/** setTimeout's longest wait. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** The sessions of all clients, by client id, and how long they live. */
export class Sessions {
  private readonly deps: SessionsDeps;
  private readonly fullQueues: FullQueues;
  private readonly byClient = new Map<string, Session>();
  private readonly expiries = new Map<Session, Timer>();
  private readonly own = new Map<string, OwnDeps>();
  private nextSid = 1;
  /** Subscriptions of all clients. */
  subscriptions = 0;

  constructor(deps: SessionsDeps) {
    this.deps = deps;
    this.fullQueues = new FullQueues(deps.clock, deps.log);
  }

  get size(): number {
    return this.byClient.size;
  }

  /** Messages that wait for their clients. */
  get queued(): number {
    let sum = 0;
    for (const { queued } of this.byClient.values()) sum += queued;
    return sum;
  }

  get(clientId: string): Session | undefined {
    return this.byClient.get(clientId);
  }

  /** A new session; the client had none, or wants none of it. */
  create(clientId: string, expirySeconds: number): Session {
    const { limits, dropped, clock } = this.deps;
    const { fullQueues } = this;
    const now = (): number => clock.monotonic();
    const session =
      expirySeconds > 0
        ? new DurableSession(clientId, this.nextSid++, this.durableDeps(clientId))
        : new TransientSession(clientId, { limits, dropped, fullQueues, now });
    session.expirySeconds = expirySeconds;
    this.byClient.set(clientId, session);
    return session;
  }

  /** Tells of a session of this process, before {@link load}; one that is no longer told of goes then. */
  declareOwn(clientId: string, deps: OwnDeps): void {
    this.own.set(clientId, deps);
  }

  /** The session of this process with that id: it has no client, and never expires. */
  ofProcess(clientId: string): DurableSession {
    const known = this.byClient.get(clientId) ?? this.create(clientId, Number.POSITIVE_INFINITY);
    const session = known as DurableSession;
    session.identity = undefined; // what it may read is not for the rules to say
    this.resumed(session);
    return session;
  }

  /** Its client is back. */
  resumed(session: Session): void {
    this.expiries.get(session)?.cancel();
    this.expiries.delete(session);
    if (session instanceof DurableSession) session.leftAt = 0;
    this.keep(session);
  }

  /** Its connection ended: it lives on as long as it was asked to. */
  left(session: Session): void {
    if (session.expirySeconds === 0) return this.discard(session);
    if (session instanceof DurableSession) session.leftAt = this.deps.clock.now();
    this.keep(session);
    this.expireAfter(session, Math.min(session.expirySeconds * 1000, this.deps.limits.sessionExpiry));
  }

  discard(session: Session): void {
    this.expiries.get(session)?.cancel();
    this.expiries.delete(session);
    for (const subscription of session.subscriptions.values()) this.deps.router.remove(subscription);
    this.subscriptions -= session.subscriptions.size;
    session.subscriptions.clear();
    session.discard();
    if (this.byClient.get(session.clientId) === session) this.byClient.delete(session.clientId);
  }

  /** @returns resolves when a durable session's subscription is on disk; undefined for any other */
  subscribe(name: string, subscription: ClientSubscription): Promise<void> | undefined {
    const { session, qos, noLocal, retainAsPublished, id } = subscription;
    const { router, store } = this.deps;
    const earlier = session.subscriptions.get(name);
    if (earlier) router.remove(earlier);
    else this.subscriptions++;
    session.subscriptions.set(name, subscription);
    router.add(subscription);
    if (!(session instanceof DurableSession)) return undefined;
    const options: StoredOptions = { qos, noLocal, retainAsPublished, ...(id === undefined ? {} : { id }) };
    const row = { sid: session.sid, filter: name, options: JSON.stringify(options) };
    return store.durable(() => {
      session.writeCursor();
      store.rows.putSubscription(row);
    });
  }

  /** @returns whether there was one, and for a durable session, what resolves when there is none on disk: one that is
   * not here may be there, when its end was refused or is still on its way */
  unsubscribe(session: Session, name: string): { existed: boolean; kept: Promise<void> | undefined } {
    const { store, router } = this.deps;
    const subscription = session.subscriptions.get(name);
    if (subscription) router.remove(subscription);
    const existed = session.subscriptions.delete(name);
    if (existed) this.subscriptions--;
    const kept =
      session instanceof DurableSession
        ? store.durable(() => store.rows.removeSubscription(session.sid, name))
        : undefined;
    return { existed, kept };
  }

  /** Takes up what the last process left: sessions with their subscriptions, and what waits for them. */
  load(): void {
    const { store, journal, log } = this.deps;
    const bySid = new Map<number, DurableSession>();
    const cursors = new Map<number, number>();
    for (const row of store.rows.sessions()) {
      const older = this.byClient.get(row.clientId);
      if (older instanceof DurableSession) {
        this.discard(older); // its end did not reach the disk
        bySid.delete(older.sid);
      }
      bySid.set(row.sid, this.restore(row));
      cursors.set(row.sid, row.cursor);
      this.nextSid = Math.max(this.nextSid, row.sid + 1);
      journal.next = Math.max(journal.next, row.cursor);
    }
    for (const { sid, filter, options } of store.rows.subscriptions()) {
      const session = bySid.get(sid);
      if (session) this.restoreSubscription(session, filter, JSON.parse(options) as StoredOptions);
    }
    for (const row of store.rows.outgoing()) {
      journal.next = Math.max(journal.next, row.seq + 1);
      if (row.seq >= (cursors.get(row.sid) ?? 0)) bySid.get(row.sid)?.restoreOutgoing(row);
    }
    for (const { sid, packetId } of store.rows.incoming()) bySid.get(sid)?.restoreIncoming(packetId);
    const count = journal.load(
      (sid, seq, size) => bySid.get(sid)?.claim(seq, size, cursors.get(sid) ?? 0) ?? false,
    );
    for (const session of bySid.values()) session.restored();
    for (const session of bySid.values())
      if (session.clientId.startsWith(OWN_CLIENT) && !this.own.has(session.clientId)) this.discard(session);
    if (bySid.size > 0) log.info('MQTT sessions restored', { count: bySid.size, messages: count });
  }

  /** Lets go of every timer. */
  stop(): void {
    for (const timer of this.expiries.values()) timer.cancel();
    for (const session of this.byClient.values()) if (session instanceof DurableSession) session.stop();
  }

  private restore(row: SessionRow): DurableSession {
    const { clock, limits } = this.deps;
    const session = new DurableSession(row.clientId, row.sid, this.durableDeps(row.clientId));
    session.expirySeconds = row.expiry < 0 ? Number.POSITIVE_INFINITY : row.expiry;
    session.identity = { clientId: row.clientId, username: row.username ?? undefined };
    this.byClient.set(row.clientId, session);
    // Who was connected when the process ended left then, and nobody knows when that was: it counts from now. So does a
    // time from before the clock was set.
    session.leftAt = row.leftAt >= CLOCK_IS_SET ? row.leftAt : clock.now();
    if (session.leftAt !== row.leftAt) this.keep(session);
    const away = Math.max(0, clock.now() - session.leftAt);
    const life = Math.min(session.expirySeconds * 1000, limits.sessionExpiry);
    this.expireAfter(session, Math.max(0, life - away));
    return session;
  }

  private restoreSubscription(session: DurableSession, name: string, options: StoredOptions): void {
    const filter = parseFilter(name, Number.POSITIVE_INFINITY);
    if (!filter) return;
    const { qos, noLocal, retainAsPublished, id } = options;
    const subscription = { kind: 'client', filter, session, qos, noLocal, retainAsPublished, id } as const;
    session.subscriptions.set(name, subscription);
    this.subscriptions++;
    this.deps.router.add(subscription);
  }

  private keep(session: Session): void {
    if (session instanceof DurableSession) this.deps.journal.touch(session);
  }

  private expireAfter(session: Session, life: number): void {
    if (!Number.isFinite(life)) return;
    const wait = Math.min(life, LONGEST_TIMER);
    const timer = this.deps.clock.after(millis(wait), () => {
      if (session.outlet || this.byClient.get(session.clientId) !== session) return;
      if (wait < life) this.expireAfter(session, life - wait);
      else this.discard(session);
    });
    this.expiries.set(session, timer);
  }

  private durableDeps(clientId: string): DurableDeps {
    const { limits, dropped, store, journal, log, clock } = this.deps;
    return {
      limits,
      dropped,
      fullQueues: this.fullQueues,
      store,
      journal,
      log,
      clock,
      ...this.own.get(clientId),
    };
  }
}
