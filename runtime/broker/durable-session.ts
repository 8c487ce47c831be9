import type { Logger } from '../core/log.ts';
import type { Counter } from '../core/metrics.ts';
import type { BrokerLimits } from './config.ts';
import type { Entry, Journal } from './journal.ts';
import { type Delivery, isExpired, type Message, type QoS } from './message.ts';
import type { BrokerStore, OutgoingRow } from './persistence.ts';
import { deliveryOf } from './record.ts';
import { SeqQueue } from './seq-queue.ts';
import { Session } from './session.ts';
import type { Match } from './subscription.ts';

/** A QoS 1 or 2 message on its way to the client. `storing`: its packet id is on its way to the disk first. */
type Inflight = {
  readonly seq: number;
  /** Absent once the client has it (`released`), and for what a restart finds so. */
  delivery: Delivery | undefined;
  state: 'storing' | 'sent' | 'released';
};

export type DurableDeps = {
  readonly limits: BrokerLimits;
  readonly dropped: Counter;
  readonly store: BrokerStore;
  readonly journal: Journal;
  readonly log: Logger;
  /** Monotonic ms. */
  readonly now: () => number;
  /** ms since epoch. */
  readonly wallClock: () => number;
};

/** A session that outlives its connection and the process: its messages lie in the journal. */
export class DurableSession extends Session {
  readonly durable = true;
  readonly sid: number;
  private readonly deps: DurableDeps;
  private readonly inflight = new Map<number, Inflight>();
  private readonly backlog = new SeqQueue();
  /** Packet ids of QoS 2 messages that the client has sent and not released. */
  private readonly ids = new Set<number>();
  /** QoS 2 messages that are done although earlier ones are not. */
  private readonly doneAhead = new Set<number>();
  /** Packet ids of requests other than messages. */
  private readonly reserved = new Set<number>();
  private isDiscarded = false;
  private readonly isTaken = (id: number): boolean => this.inflight.has(id) || this.reserved.has(id);

  constructor(clientId: string, sid: number, deps: DurableDeps) {
    super(clientId);
    this.sid = sid;
    this.deps = deps;
  }

  get queued(): number {
    return this.backlog.length;
  }

  get held(): number {
    return this.ids.size;
  }

  /** QoS 0 alone comes this way; the journal {@link offer}s the others. */
  deliver(message: Message, match: Match, qos: QoS): void {
    const { outlet } = this;
    if (!outlet || qos > 0) return;
    if (outlet.congested) return this.deps.dropped.add();
    const retain = match.retainAsPublished && message.retain;
    outlet.publish({ message, qos, retain, subscriptionIds: match.ids }, 0, false);
  }

  /** Takes a message of the journal: sends it, or keeps its number for later. */
  offer(seq: number, size: number): void {
    const { limits, dropped, journal } = this.deps;
    const isFull = (): boolean =>
      this.backlog.length >= limits.queueCount || this.backlog.bytes + size > limits.queueBytes;
    if (isFull() && (limits.queueDrop === 'newest' || size > limits.queueBytes)) {
      dropped.add();
      journal.done(seq);
      return;
    }
    while (isFull()) {
      dropped.add();
      journal.done(this.backlog.shift());
      journal.touch(this);
    }
    this.backlog.push(seq, size);
    this.pump();
  }

  pump(): void {
    const { outlet } = this;
    const { journal, now } = this.deps;
    let storing: OutgoingRow[] | undefined;
    while (outlet && this.inflight.size < outlet.receiveMaximum) {
      const seq = this.backlog.shift();
      if (seq < 0) break;
      const delivery = this.deliveryFrom(journal.entry(seq));
      if (!delivery || isExpired(delivery.message, now())) {
        this.finish(seq);
        continue;
      }
      const id = this.nextId(this.isTaken);
      if (delivery.qos === 2) {
        storing ??= [];
        storing.push({ sid: this.sid, seq, packetId: id, state: 'sent' });
        this.inflight.set(id, { seq, delivery, state: 'storing' });
      } else if (outlet.publish(delivery, id, false)) this.inflight.set(id, { seq, delivery, state: 'sent' });
      else this.finish(seq); // too large for the client: as if delivered [MQTT-3.1.2-25]
    }
    if (storing) this.sendStored(storing);
  }

  resume(): void {
    for (const [id, { delivery, state }] of this.inflight) {
      if (state === 'released') this.outlet?.pubrel(id);
      else if (state === 'sent' && delivery) this.outlet?.publish(delivery, id, true);
    }
    this.pump();
  }

  acknowledge(id: number): boolean {
    const inflight = this.inflight.get(id);
    if (!inflight) return false;
    this.inflight.delete(id);
    if (inflight.state === 'released' || inflight.delivery?.qos === 2) this.noteDone(inflight.seq, id);
    this.finish(inflight.seq);
    this.pump();
    return true;
  }

  release(id: number): boolean {
    const inflight = this.inflight.get(id);
    if (!inflight || inflight.state === 'storing') return false;
    if (inflight.state === 'released') {
      this.outlet?.pubrel(id);
      return true;
    }
    inflight.state = 'released';
    inflight.delivery = undefined;
    const row: OutgoingRow = { sid: this.sid, seq: inflight.seq, packetId: id, state: 'released' };
    // Told before it is on disk, a restart would send the message once more under an id that the client has forgotten.
    this.deps.store
      .durable(() => this.deps.store.rows.putOutgoing(row))
      .then(
        () => {
          if (this.inflight.get(id) === inflight) this.outlet?.pubrel(id);
        },
        () => {
          inflight.state = 'sent'; // the client asks again
        },
      );
    return true;
  }

  hold(id: number): boolean {
    if (this.ids.has(id)) return false;
    this.ids.add(id);
    const { store } = this.deps;
    store.lazy(() => store.rows.putIncoming(this.sid, id));
    return true;
  }

  letGo(id: number): Promise<void> | undefined {
    if (!this.ids.delete(id)) return undefined;
    const { store } = this.deps;
    return store.durable(() => store.rows.removeIncoming(this.sid, id));
  }

  /** The other side has lost its half: what it has not released it sends anew, under ids that mean other messages.
   * @returns resolves when that is on disk */
  async forgetHeld(): Promise<void> {
    const { store } = this.deps;
    const held = [...this.ids];
    this.ids.clear();
    if (held.length > 0)
      await store.durable(() => {
        for (const id of held) store.rows.removeIncoming(this.sid, id);
      });
  }

  /** A packet id for a request of this side, SUBSCRIBE or UNSUBSCRIBE, until {@link freeId}. [MQTT-2.2.1-3] */
  reserveId(): number {
    const id = this.nextId(this.isTaken);
    this.reserved.add(id);
    return id;
  }

  freeId(id: number): void {
    this.reserved.delete(id);
  }

  discard(): void {
    const { journal, store } = this.deps;
    this.isDiscarded = true;
    for (const { seq } of this.inflight.values()) journal.done(seq);
    for (let seq = this.backlog.shift(); seq >= 0; seq = this.backlog.shift()) journal.done(seq);
    this.inflight.clear();
    store.lazy(() => store.rows.removeSession(this.sid));
  }

  /** Writes the session as it is; inside a write of the store. */
  writeCursor(): void {
    if (this.isDiscarded) return;
    const { rows } = this.deps.store;
    const cursor = this.cursor();
    rows.putSession({
      sid: this.sid,
      clientId: this.clientId,
      username: this.identity?.username ?? null,
      expiry: Number.isFinite(this.expirySeconds) ? this.expirySeconds : -1,
      leftAt: this.outlet ? 0 : this.deps.wallClock(),
      cursor,
    });
    if (this.doneAhead.size === 0) return;
    rows.trimOutgoing(this.sid, cursor);
    for (const seq of this.doneAhead) if (seq < cursor) this.doneAhead.delete(seq);
  }

  /** Takes up a message that the last process left on its way, in the order of the messages.
   *
   * Packet ids go on after the last of them: a client that has kept a cut exchange, as libmosquitto does, would take an id
   * that comes again soon for it, and hand on the old message instead of the new one. */
  restoreOutgoing({ seq, packetId, state }: OutgoingRow): void {
    this.lastId = packetId;
    if (state === 'done') this.doneAhead.add(seq);
    else this.inflight.set(packetId, { seq, delivery: undefined, state });
  }

  restoreIncoming(packetId: number): void {
    this.ids.add(packetId);
  }

  /** Takes up a message of the journal, in order.
   * @returns whether it is still wanted */
  claim(seq: number, size: number, cursor: number): boolean {
    if (seq < cursor || this.doneAhead.has(seq)) return false;
    for (const inflight of this.inflight.values()) if (inflight.seq === seq) return true;
    this.backlog.push(seq, size);
    return true;
  }

  /** After {@link claim}: what was under way gets its message back, and what has lost it ends. */
  restored(): void {
    // Nobody knows which id was the last: somewhere else than after the last start.
    this.lastId ||= (this.deps.journal.next * 251) % 65_535;
    for (const [id, inflight] of this.inflight) {
      if (inflight.state === 'released') continue;
      inflight.delivery = this.deliveryFrom(this.deps.journal.entry(inflight.seq));
      if (!inflight.delivery) this.inflight.delete(id);
    }
  }

  private deliveryFrom(entry: Entry | undefined): Delivery | undefined {
    const target = entry?.targets.find(({ sid }) => sid === this.sid);
    return entry && target && deliveryOf(entry.message, target);
  }

  private sendStored(storing: readonly OutgoingRow[]): void {
    const { store } = this.deps;
    store
      .durable(() => {
        for (const row of storing) store.rows.putOutgoing(row);
      })
      .then(
        () => {
          for (const { packetId } of storing) this.sendNow(packetId);
        },
        (error: unknown) => {
          // Back to where they were: without a kept id the message could arrive twice.
          this.deps.log.warn('QoS 2 messages wait for the disk', { client: this.clientId, error });
          for (const { packetId } of storing) this.inflight.delete(packetId);
          for (const { seq } of storing) this.backlog.push(seq, 0);
        },
      );
  }

  private sendNow(id: number): void {
    const inflight = this.inflight.get(id);
    if (inflight?.state !== 'storing' || !inflight.delivery) return;
    inflight.state = 'sent';
    if (this.outlet && !this.outlet.publish(inflight.delivery, id, false)) this.acknowledge(id);
  }

  private noteDone(seq: number, packetId: number): void {
    this.doneAhead.add(seq);
    const { store, journal } = this.deps;
    store.withCommit(() => {
      if (!this.isDiscarded && this.doneAhead.has(seq))
        store.rows.putOutgoing({ sid: this.sid, seq, packetId, state: 'done' });
    });
    journal.touch(this);
  }

  private finish(seq: number): void {
    const { journal } = this.deps;
    journal.done(seq);
    journal.touch(this);
  }

  /** The first message that is not done. */
  private cursor(): number {
    let least = this.backlog.peek();
    if (least < 0) least = this.deps.journal.next;
    for (const { seq } of this.inflight.values()) least = Math.min(least, seq);
    return least;
  }
}
