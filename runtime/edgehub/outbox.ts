import type { Clock, Timer } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import { isRecord, type Message, type MessageDraft, newMessage } from '../core/message.ts';
import type { Counter, MetricSource } from '../core/metrics.ts';
import { BoundedQueue } from '../core/queue.ts';
import { mebibytes, millis, seconds } from '../core/units.ts';

/** The part of the store that the outbox uses. */
export interface OutboxStore {
  durable(work: () => void): Promise<void>;
  lazy(work: () => void): void;
  readonly outbox: {
    add(entry: {
      subject: string | null;
      message: string;
      bytes: number;
      created: number;
    }): number | undefined;
    list(
      after: number,
      limit: number,
    ): { seq: number; subject: string | null; message: string; bytes: number }[];
    remove(seq: number): number | undefined;
    totals(): { count: number; bytes: number };
  };
}

export type OutboxDeps = {
  readonly store: OutboxStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricSource;
  /** Hands a message to the link; false when there is none.
   * @param received is called when the cloud has been seen to receive it */
  readonly send: (message: Message, received?: () => void) => boolean;
};

type Flight = {
  readonly seq: number;
  readonly subject: string | null;
  readonly message: Message;
  attempts: number;
  timer: Timer;
};

/** How many messages may wait for the cloud's answer at a time. */
const WINDOW = 16;
const ANSWER_TIMEOUT = seconds(20);
/** An entry that was refused or left unanswered this often on a working link is given up: it must not hold up the rest. */
const ATTEMPTS = 5;
/** The wait after a first refusal; it doubles, so that an API server that restarts is outlasted. */
const REFUSAL_WAIT = seconds(5);
const LIMIT_COUNT = 20_000;
const LIMIT_BYTES = mebibytes(20);
/** Messages that are kept in memory alone while there is no link. */
const OFFERS = { count: 1000, bytes: mebibytes(1), drop: 'oldest' } as const;

/** What must reach the cloud and would die with the process: stored first, sent in order, forgotten when answered.
 *
 * Entries with a subject stand for a state: the last one wins, and two of one subject are never under way together,
 * so that an older state cannot overtake a newer one. Entries without count each. When the box is full the oldest goes. */
export class Outbox {
  private readonly deps: OutboxDeps;
  private readonly flights = new Map<string, Flight>();
  private readonly dropped: Counter;
  private readonly totals: { count: number; bytes: number };
  private readonly offers: BoundedQueue<Message>;
  /** Offers that are handed to the link and not received yet. */
  private offered = 0;
  /** Tells one link from the next. */
  private link = 0;
  private up = false;

  constructor(deps: OutboxDeps) {
    this.deps = deps;
    const lost = deps.metrics.counter(
      'edgecore_outbox_offers_dropped_total',
      'Messages that were not to be stored, dropped while there was no link.',
    );
    this.offers = new BoundedQueue(OFFERS, sizeOf, () => lost.add());
    this.totals = deps.store.outbox.totals();
    const { metrics } = deps;
    this.dropped = metrics.counter('edgecore_outbox_dropped_total', 'Entries dropped: box full or given up.');
    metrics.gauge('edgecore_outbox_entries', 'Entries that wait for the cloud.', () => this.totals.count);
    metrics.gauge('edgecore_outbox_bytes', 'Bytes that wait for the cloud.', () => this.totals.bytes);
  }

  /** Stores a message for the cloud and sends it when its turn comes.
   * @param subject what it is the state of; null when every message counts
   * @returns resolves once it is on disk */
  put(subject: string | null, draft: MessageDraft): Promise<void> {
    const { store, clock } = this.deps;
    const message = JSON.stringify(newMessage(draft, clock.now()));
    const stored = store.durable(() => {
      const superseded = store.outbox.add({ subject, message, bytes: message.length, created: clock.now() });
      this.count(superseded, -1);
      this.count(message.length, 1);
      this.trim();
    });
    return stored.then(() => this.pump());
  }

  /** Sends a message whose loss does no harm: it never touches the disk. It waits in memory, where the oldest give way,
   * while there is no link or too many are on their way: a flood must not hold up what is stored. */
  offer(draft: MessageDraft): void {
    this.offers.push(newMessage(draft, this.deps.clock.now()));
    this.sendOffers();
  }

  /** The link came up or went: unanswered entries are sent again on the next one. */
  online(up: boolean): void {
    this.up = up;
    for (const flight of this.flights.values()) flight.timer.cancel();
    this.flights.clear();
    this.link++;
    this.offered = 0;
    if (!up) return;
    this.pump();
    this.sendOffers();
  }

  /** Takes the cloud's answer to an entry.
   * @returns the message that it answers, or undefined when it answers none of ours */
  answered(reply: Message): Message | undefined {
    const flight = this.flights.get(reply.header.parent_msg_id ?? '');
    if (!flight) return undefined;
    this.land(flight);
    const failure = transientFailure(reply);
    if (failure) this.postpone(flight, failure);
    else this.forget(flight);
    this.pump();
    return flight.message;
  }

  private sendOffers(): void {
    const { link } = this;
    const received = (): void => {
      if (link !== this.link) return;
      this.offered--;
      this.sendOffers();
    };
    while (this.up && this.offered < WINDOW) {
      const next = this.offers.peek();
      if (!next || !this.deps.send(next, received)) return;
      this.offers.shift();
      this.offered++;
    }
  }

  private pump(): void {
    if (!this.up) return;
    const busy = new Set([...this.flights.values()].map((flight) => flight.seq));
    const subjects = new Set([...this.flights.values()].map((flight) => ordering(flight.subject)));
    for (const row of this.deps.store.outbox.list(0, 2 * WINDOW)) {
      if (this.flights.size >= WINDOW) return;
      if (busy.has(row.seq) || (row.subject !== null && subjects.has(ordering(row.subject)))) continue;
      if (!this.launch(row.seq, row.subject, JSON.parse(row.message) as Message, 0)) return;
      subjects.add(ordering(row.subject));
    }
  }

  private launch(seq: number, subject: string | null, message: Message, attempts: number): boolean {
    const id = message.header.msg_id;
    const timer = this.deps.clock.after(ANSWER_TIMEOUT, () => this.retry(flight, 'no answer'));
    const flight: Flight = { seq, subject, message, attempts: attempts + 1, timer };
    this.flights.set(id, flight);
    if (this.deps.send(message, wantsAnswer(message) ? undefined : () => this.received(id))) return true;
    this.land(flight);
    return false;
  }

  /** What the cloud does not answer is done when it is there. */
  private received(id: string): void {
    const flight = this.flights.get(id);
    if (!flight) return;
    this.land(flight);
    this.forget(flight);
    this.pump();
  }

  private retry(flight: Flight, why: string): void {
    this.land(flight);
    if (this.spent(flight, why)) this.forget(flight);
    // A newer state may have taken its place meanwhile: that one goes instead.
    else if (this.deps.store.outbox.list(flight.seq - 1, 1)[0]?.seq === flight.seq)
      this.launch(flight.seq, flight.subject, flight.message, flight.attempts);
    this.pump();
  }

  /** Waits in flight, so that nothing of its subject overtakes it. */
  private postpone(flight: Flight, why: string): void {
    if (this.spent(flight, why)) return this.forget(flight);
    const wait = millis(REFUSAL_WAIT * 2 ** (flight.attempts - 1));
    flight.timer = this.deps.clock.after(wait, () => this.retry(flight, why));
    this.flights.set(flight.message.header.msg_id, flight);
  }

  private spent({ attempts, message }: Flight, reason: string): boolean {
    if (attempts < ATTEMPTS) return false;
    const { resource } = message.route;
    this.deps.log.warn('the cloud does not take a message: given up', { resource, reason });
    this.dropped.add();
    return true;
  }

  private land(flight: Flight): void {
    flight.timer.cancel();
    this.flights.delete(flight.message.header.msg_id);
  }

  /** Lazily: an entry that comes back after a power cut is sent twice, and the cloud's side of it is idempotent. */
  private forget({ seq }: { seq: number; message: Message }): void {
    const { store } = this.deps;
    store.lazy(() => this.count(store.outbox.remove(seq), -1));
  }

  private trim(): void {
    const { outbox } = this.deps.store;
    while (this.totals.count > LIMIT_COUNT || this.totals.bytes > LIMIT_BYTES) {
      const [oldest] = outbox.list(0, 1);
      if (!oldest) return;
      this.count(outbox.remove(oldest.seq), -1);
      this.dropped.add();
    }
  }

  private count(size: number | undefined, sign: 1 | -1): void {
    if (size === undefined) return;
    this.totals.count += sign;
    this.totals.bytes += sign * size;
  }
}

/** Subjects that share what stands before `#` are sent one after the other: a pod's last status before its deletion. */
function ordering(subject: string | null): string | null {
  return subject && (subject.split('#', 1)[0] ?? subject);
}

/** Why the same message may be taken another time; undefined when the answer is final, be it a refusal. */
function transientFailure({ route, content }: Message): string | undefined {
  if (route.operation === 'error') return String(content);
  if (!isRecord(content)) return undefined;
  // A pod's deletion is refused with the bare error object, everything else within `Err`.
  const error = 'ErrStatus' in content ? content : content.Err;
  if (!isRecord(error)) return undefined;
  const status = isRecord(error.ErrStatus) ? error.ErrStatus : {};
  const code = Number(status.code ?? 0);
  return code >= 400 && code < 500 && code !== 429 ? undefined : String(status.message ?? 'failed');
}

/** KubeEdge's cloud never answers events and uploads of user topics: they are done once it has received them. */
function wantsAnswer({ route }: Message): boolean {
  return route.group !== 'user' && !route.resource.includes('/event/');
}

/** Bytes that a message is counted with. */
function sizeOf({ route, content }: Message): number {
  return route.resource.length + (typeof content === 'string' ? content.length : 256) + 256;
}
