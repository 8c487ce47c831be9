import type { Clock, Timer } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { Counter } from '../core/metrics.ts';
import { seconds } from '../core/units.ts';
import type { BrokerLimits } from './config.ts';
import type { FullQueues } from './full-queues.ts';
import type { Journal } from './journal.ts';
import { type Delivery, isExpired, type Message, type QoS, sizeOf } from './message.ts';
import type { BrokerStore, OutgoingRow } from './persistence.ts';
import { deliveryOf, type MessageRecord } from './record.ts';
import { SeqQueue } from './seq-queue.ts';
import { Session } from './session.ts';
import type { Match } from './subscription.ts';

/** A QoS 1 or 2 message on its way to the client. `storing`: its packet id is on its way to the disk, and it is sent then;
 * `releasing`: that the client has it is on its way to the disk, and PUBREL is sent then. */
type Inflight = {
  readonly seq: number;
  /** Absent once the client has it (`released`), and for what a restart finds so. */
  delivery: Delivery | undefined;
  state: 'storing' | 'sent' | 'releasing' | 'released';
};

/** How long the disk has, when it refused something, until it is asked again. */
const RETRY = seconds(5);

export type DurableDeps = {
  readonly limits: BrokerLimits;
  readonly dropped: Counter;
  readonly fullQueues: FullQueues;
  readonly store: BrokerStore;
  readonly journal: Journal;
  readonly log: Logger;
  readonly clock: Clock;
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
  /** Those that are released, until the disk knows. */
  private readonly freeing = new Map<number, Promise<void>>();
  /** QoS 2 messages that are done although earlier ones are not. */
  private readonly doneAhead = new Set<number>();
  /** Packet ids of requests other than messages. */
  private readonly reserved = new Set<number>();
  private readonly taken = { has: (id: number): boolean => this.inflight.has(id) || this.reserved.has(id) };
  /** What the client has, and the disk did not want to know. */
  private readonly unreleased = new Map<number, Inflight>();
  /** Packet ids under way whose turn to be sent again, after a reconnect, has not come: the client takes fewer at a time
   * than it did, or the disk has not taken them. */
  private unsent: number[] = [];
  private retry: Timer | undefined;
  private isDiscarded = false;
  /** ms since epoch when its connection ended; 0 while there is one. */
  leftAt = 0;

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
    const { limits, journal, fullQueues } = this.deps;
    const goes = this.backlog.length + this.unsent.length === 0 && this.mayTake();
    const isFull = (): boolean =>
      !goes && (this.backlog.length >= limits.queueCount || this.backlog.bytes + size > limits.queueBytes);
    if (isFull() && (limits.queueDrop === 'newest' || size > limits.queueBytes)) {
      fullQueues.drop(this, this.deps);
      journal.done(seq);
      return;
    }
    while (isFull()) {
      fullQueues.drop(this, this.deps);
      journal.done(this.backlog.shift());
      journal.touch(this);
    }
    this.backlog.push(seq, size);
    this.pump();
  }

  pump(): void {
    const { outlet } = this;
    const { journal, clock } = this.deps;
    if (this.unsent.length > 0) this.sendAgain();
    if (this.unsent.length > 0) return; // nothing overtakes
    let storing: OutgoingRow[] | undefined;
    while (outlet && this.mayTake()) {
      const seq = this.backlog.shift();
      if (seq < 0) break;
      const delivery = this.deliveryFrom(journal.entry(seq));
      if (!delivery || isExpired(delivery.message, clock.monotonic())) {
        this.finish(seq);
        continue;
      }
      const id = this.nextId(this.taken);
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
    this.unsent = [...this.inflight.keys()];
    this.pump();
  }

  acknowledge(id: number): boolean {
    const inflight = this.inflight.get(id);
    if (!inflight || inflight.state === 'storing') return false;
    this.inflight.delete(id);
    if (this.unsent.length > 0) this.unsent = this.unsent.filter((each) => each !== id);
    if (inflight.delivery?.qos !== 1) this.noteDone(inflight.seq, id);
    this.finish(inflight.seq);
    this.pump();
    return true;
  }

  release(id: number): boolean {
    const inflight = this.inflight.get(id);
    if (!inflight || inflight.state === 'storing') return false;
    if (inflight.state === 'released') this.outlet?.pubrel(id);
    else if (inflight.state === 'sent') this.storeReleased(id, inflight);
    return true;
  }

  hold(id: number): boolean {
    if (this.ids.has(id)) return false;
    const { store } = this.deps;
    store.lazy(() => store.rows.putIncoming(this.sid, id));
    this.ids.add(id);
    return true;
  }

  letGo(id: number): Promise<void> | undefined {
    const under = this.freeing.get(id); // the client has not heard of it, and asks over a new connection
    if (under || !this.ids.delete(id)) return under;
    const { store } = this.deps;
    const freed = store
      .durable(() => store.rows.removeIncoming(this.sid, id))
      .catch((error: unknown) => {
        this.ids.add(id); // as on disk: the client asks again
        throw error;
      })
      .finally(() => this.freeing.delete(id));
    this.freeing.set(id, freed);
    return freed;
  }

  forget(id: number): void {
    if (!this.ids.delete(id)) return;
    const { store } = this.deps;
    // Behind the write that {@link hold} asked for, also after a commit that the disk refused.
    store.lazy(() => store.rows.removeIncoming(this.sid, id));
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
    const id = this.nextId(this.taken);
    this.reserved.add(id);
    return id;
  }

  freeId(id: number): void {
    this.reserved.delete(id);
  }

  discard(): void {
    const { journal, store } = this.deps;
    this.isDiscarded = true;
    this.stop();
    for (const { seq } of this.inflight.values()) journal.done(seq);
    for (let seq = this.backlog.shift(); seq >= 0; seq = this.backlog.shift()) journal.done(seq);
    this.inflight.clear();
    this.unsent = [];
    store.lazy(() => store.rows.removeSession(this.sid));
    // The client is told that it is gone: no restart may bring it back much later.
    store.atCommit(() => () => {}).catch(() => {});
  }

  /** Lets go of its timer. */
  stop(): void {
    this.retry?.cancel();
    this.retry = undefined;
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
      leftAt: this.leftAt,
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

  private mayTake(): boolean {
    const { outlet } = this;
    return outlet !== undefined && this.inflight.size < outlet.receiveMaximum && !outlet.blocked;
  }

  private deliveryFrom(entry: MessageRecord | undefined): Delivery | undefined {
    const target = entry?.targets.find(({ sid }) => sid === this.sid);
    return entry && target && deliveryOf(entry.message, target);
  }

  private sendStored(storing: readonly OutgoingRow[]): void {
    const { store, log } = this.deps;
    store
      .durable(() => {
        for (const row of storing) store.rows.putOutgoing(row);
      })
      .then(
        () => {
          for (const row of storing) this.sendNow(row);
        },
        (error: unknown) => {
          log.warn('QoS 2 messages wait for the disk', { client: this.clientId, error });
          this.takeBack();
        },
      );
  }

  private sendNow({ packetId, seq }: OutgoingRow): void {
    const inflight = this.inflight.get(packetId);
    if (inflight?.state !== 'storing' || inflight.seq !== seq || !inflight.delivery) return;
    inflight.state = 'sent';
    if (this.unsent.length > 0) return this.pump(); // in its turn
    if (this.outlet && !this.outlet.publish(inflight.delivery, packetId, false)) this.acknowledge(packetId);
  }

  /** What waits for the disk goes back to where it was, all of it, so that nothing overtakes: without a kept id a message
   * could arrive twice. */
  private takeBack(): void {
    const storing = [...this.inflight].filter(([, { state }]) => state === 'storing');
    this.unsent = this.unsent.filter((id) => this.inflight.get(id)?.state !== 'storing');
    for (const [id, { seq, delivery }] of storing.reverse()) {
      this.inflight.delete(id);
      this.backlog.unshift(seq, delivery ? sizeOf(delivery.message) : 0);
    }
    this.sendAgain(); // what stood behind them after a reconnect
    this.tryLater();
  }

  /** Told before it is on disk, a restart would send the message once more under an id that the client has forgotten. */
  private storeReleased(id: number, inflight: Inflight): void {
    const { store } = this.deps;
    inflight.state = 'releasing';
    store
      .durable(() =>
        store.rows.putOutgoing({ sid: this.sid, seq: inflight.seq, packetId: id, state: 'released' }),
      )
      .then(
        () => {
          if (this.inflight.get(id) !== inflight) return;
          inflight.state = 'released';
          inflight.delivery = undefined;
          this.outlet?.pubrel(id);
        },
        () => {
          inflight.state = 'sent';
          this.unreleased.set(id, inflight);
          this.tryLater();
        },
      );
  }

  private tryLater(): void {
    if (this.isDiscarded) return;
    this.retry ??= this.deps.clock.after(RETRY, () => {
      this.retry = undefined;
      for (const [id, inflight] of this.unreleased)
        if (this.inflight.get(id) === inflight && inflight.state === 'sent') this.storeReleased(id, inflight);
      this.unreleased.clear();
      this.pump();
    });
  }

  /** In the order in which it was sent first, and no more than the client takes. [MQTT-4.4.0-1] [MQTT-3.3.4-9] */
  private sendAgain(): void {
    const { outlet } = this;
    while (outlet && this.unsent.length > 0) {
      if (this.inflight.size - this.unsent.length >= outlet.receiveMaximum) return;
      const id = this.unsent[0] as number;
      const inflight = this.inflight.get(id);
      if (inflight?.state === 'storing') return;
      this.unsent.shift();
      if (inflight?.state === 'released') outlet.pubrel(id);
      else if (
        inflight?.state === 'sent' &&
        inflight.delivery &&
        !outlet.publish(inflight.delivery, id, true)
      )
        this.acknowledge(id); // this connection takes no packet as large [MQTT-3.1.2-25]
    }
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
