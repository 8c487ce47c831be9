import type { Logger } from '../core/log.ts';
import type { Waiter } from './ack-queue.ts';
import type { DurableSession } from './durable-session.ts';
import { type Message, type QoS, sizeOf } from './message.ts';
import type { BrokerStore } from './persistence.ts';
import { encodeRecords, type MessageRecord, type RecordTarget } from './record.ts';
import { RecordPage } from './record-page.ts';
import type { Session } from './session.ts';
import type { Match } from './subscription.ts';

/** A message that waits for durable sessions. */
type Entry = MessageRecord & {
  /** Sessions that have not taken it. */
  pending: number;
  /** Who is to know when it is safe. */
  waiter: Waiter | undefined;
  /** Monotonic ms when it came, if it is QoS 1 and the clients of all its sessions were there. */
  sentAt: number;
};

/** The durable sessions that a message is for. */
export type Receivers = {
  readonly parts: readonly { readonly session: Session; readonly match: Match; readonly qos: QoS }[];
  readonly sessions: readonly DurableSession[];
  readonly targets: readonly RecordTarget[];
};

export function receiversOf(parts: Receivers['parts'], retain: boolean): Receivers {
  const sessions = parts.map(({ session }) => session as DurableSession);
  const targets = parts.map(({ match, qos }, i) => ({
    sid: sessions[i]?.sid ?? 0,
    qos,
    retain: match.retainAsPublished && retain,
    subscriptionIds: match.ids,
  }));
  return { parts, sessions, targets };
}

/** Messages of one commit. */
type Batch = {
  readonly first: number;
  /** While it is not on disk, and a moment longer. */
  entries: Entry[] | undefined;
  /** What was read lately. */
  page: RecordPage | undefined;
  /** Deliveries that are not done, over all its messages. */
  pending: number;
  /** `stored`: in a row of its own; `volatile`: in memory alone, because nobody waits for it or the disk refused it. */
  state: 'open' | 'stored' | 'volatile';
  isWritten: boolean;
  /** A session whose client is there waits for it, and will ask for its messages soon. */
  isAwaited: boolean;
};

/** Of a message that has no moment. */
const NEVER = Number.MIN_SAFE_INTEGER;
/** In a flood no more than these are put off: there are always some on their way. */
const MOST_PUT_OFF = 64;
/** Batches that stay in memory after they were written or read. */
const CACHED = 4;

/** Keeps the messages of durable sessions: one row a commit, written only for what nobody has taken by then.
 *
 * A publisher is told that its message is safe when the commit is on disk, or earlier when every session that it is for has
 * acknowledged it: then nothing is written at all. */
export class Journal {
  private readonly store: BrokerStore;
  private readonly log: Logger;
  /** ms since epoch minus monotonic ms. */
  private readonly epoch: () => number;
  /** Monotonic ms. */
  private readonly now: () => number;
  private readonly batches: Batch[] = [];
  private readonly cache: Batch[] = [];
  /** Sessions whose progress the next commit writes. */
  private dirty: Set<DurableSession> | undefined;
  private open: Batch | undefined;
  /** Number of the next message. */
  next = 1;

  constructor(deps: { store: BrokerStore; log: Logger; epoch: () => number; now: () => number }) {
    this.store = deps.store;
    this.log = deps.log;
    this.epoch = deps.epoch;
    this.now = deps.now;
  }

  /** Keeps a message for its sessions and lets each of them send it.
   * @param waiter is told when it is safe, or of the error that keeps it from being so */
  add(message: Message, { sessions, targets }: Receivers, waiter: Waiter | undefined): void {
    const batch = this.openBatch();
    const entry: Entry = {
      seq: this.next++,
      message,
      targets,
      pending: targets.length,
      waiter,
      sentAt: NEVER,
    };
    batch.entries?.push(entry);
    batch.pending += targets.length;
    const size = sizeOf(message);
    if (waiter) this.store.arrived(size);
    // The packet id of a QoS 2 message is on disk before it is sent, and means nothing without the message.
    let isSent = message.qos < 2;
    for (let i = 0; i < sessions.length; i++) {
      const session = sessions[i] as DurableSession;
      if (session.outlet) batch.isAwaited = true;
      else isSent = false;
      session.offer(entry.seq, size);
    }
    if (isSent) entry.sentAt = Math.round(this.now());
  }

  /** @returns the message, read back when it is not in memory; undefined when the disk has lost it */
  entry(seq: number): MessageRecord | undefined {
    const batch = this.batchOf(seq);
    if (!batch) return undefined;
    if (batch.entries) return find(batch.entries, seq - batch.first, seq);
    return this.read(batch, (page) => page.find(seq));
  }

  /** A session has taken a message, or gives it up. */
  done(seq: number): void {
    const batch = this.batchOf(seq);
    if (!batch) return;
    batch.pending--;
    const entry = batch.entries && find(batch.entries, seq - batch.first, seq);
    if (entry && --entry.pending === 0) {
      entry.waiter?.settle();
      entry.waiter = undefined;
    }
    if (batch.pending === 0 && batch.state !== 'open') this.remove(batch);
  }

  /** Has the session's progress written with the next commit that comes. */
  touch(session: DurableSession): void {
    if (!this.dirty) {
      const dirty = new Set<DurableSession>();
      this.dirty = dirty;
      this.store.withCommit(() => {
        if (this.dirty === dirty) this.dirty = undefined;
        for (const touched of dirty) touched.writeCursor();
      });
    }
    this.dirty.add(session);
  }

  /** Takes up what the last process left.
   * @param claim is asked for each delivery whether its session still wants it
   * @returns how many messages there are */
  load(claim: (sid: number, seq: number, size: number) => boolean): number {
    let count = 0;
    for (const first of this.store.rows.batches()) {
      const batch: Batch = { ...emptyBatch(first), entries: undefined, state: 'stored', isWritten: true };
      this.batches.push(batch);
      for (const { seq, message, targets } of this.read(batch, (page) => [...page]) ?? []) {
        this.next = Math.max(this.next, seq + 1);
        const wanted = targets.filter(({ sid }) => claim(sid, seq, sizeOf(message)));
        batch.pending += wanted.length;
        if (wanted.length > 0) count++;
      }
      if (batch.pending === 0) this.remove(batch);
    }
    return count;
  }

  private openBatch(): Batch {
    return this.open ?? this.begin(this.next, []);
  }

  private begin(first: number, entries: Entry[]): Batch {
    const batch = emptyBatch(first);
    batch.entries = entries;
    batch.isAwaited = entries.length > 0;
    for (const { pending } of entries) batch.pending += pending;
    this.open = batch;
    this.batches.push(batch);
    this.store
      .atCommit(() => this.close(batch))
      .then(
        () => this.written(batch),
        (error: unknown) => this.failed(batch, error),
      );
    return batch;
  }

  /** Nothing more is added.
   * @returns what writes it; undefined when every session has taken what it had for it, or is about to */
  private close(batch: Batch): (() => void) | undefined {
    if (this.open === batch) this.open = undefined;
    const waiting = batch.entries?.filter(({ pending }) => pending > 0) ?? [];
    batch.entries = waiting;
    this.putOff(batch, waiting);
    if (waiting.length === 0) return undefined;
    batch.isWritten = true;
    const body = encodeRecords(waiting, this.epoch());
    return () => this.store.rows.putBatch({ first: batch.first, body });
  }

  /** The last messages go into the next batch while their clients have had no time to acknowledge them. */
  private putOff(batch: Batch, waiting: Entry[]): void {
    const before = this.now() - this.store.patience;
    const least = Math.max(0, waiting.length - MOST_PUT_OFF);
    let kept = waiting.length;
    while (kept > least && (waiting[kept - 1] as Entry).sentAt > before) kept--;
    const late = waiting.splice(kept);
    const [first] = late;
    if (!first) return;
    // The new one may begin with the same message.
    if (kept === 0 && this.batches.at(-1) === batch) this.batches.pop();
    batch.pending -= this.begin(first.seq, late).pending;
    for (const { message, waiter } of late) if (waiter) this.store.arrived(sizeOf(message));
  }

  private written(batch: Batch): void {
    batch.state = batch.isWritten ? 'stored' : 'volatile';
    for (const entry of batch.entries ?? []) {
      entry.waiter?.settle();
      entry.waiter = undefined;
    }
    if (batch.pending === 0) this.remove(batch);
    else if (batch.isAwaited || batch.state === 'volatile') this.remember(batch);
    else batch.entries = undefined;
  }

  /** The disk did not take it: publishers are told, and what was promised to nobody stays in memory. A QoS 2 message that
   * its publisher will send again does not: whoever has not got it yet would get it twice. */
  private failed(batch: Batch, error: unknown): void {
    if (this.open === batch) this.open = undefined;
    batch.state = 'volatile';
    const refused = batch.entries ?? [];
    batch.entries = refused.filter(({ message, waiter }) => message.qos < 2 || !waiter);
    for (const entry of refused) {
      entry.waiter?.settle(error ?? new Error('not kept'));
      entry.waiter = undefined;
    }
    if (batch.pending === 0) this.remove(batch);
  }

  private remove(batch: Batch): void {
    const { first, state } = batch;
    const at = this.indexOf(first);
    if (this.batches[at] === batch) this.batches.splice(at, 1);
    const cached = this.cache.indexOf(batch);
    if (cached >= 0) this.cache.splice(cached, 1);
    // The number alone waits for the commit, which may be ten seconds away: in that time a client that comes back fetches
    // half a gigabyte of messages.
    if (state === 'stored') this.store.withCommit(() => this.store.rows.removeBatch(first));
  }

  /** @returns undefined when the row cannot be read: its messages are lost */
  private read<T>(batch: Batch, take: (page: RecordPage) => T): T | undefined {
    try {
      if (!batch.page) {
        batch.page = new RecordPage(this.store.rows.batch(batch.first) ?? new Uint8Array(), this.epoch());
        this.remember(batch);
      }
      return take(batch.page);
    } catch (error) {
      this.log.error('stored messages cannot be read: they are lost', { resource: `${batch.first}`, error });
      batch.entries = [];
      return undefined;
    }
  }

  /** Keeps the batches that are used in memory, and lets the others go. */
  private remember(batch: Batch): void {
    const at = this.cache.indexOf(batch);
    if (at >= 0) this.cache.splice(at, 1);
    this.cache.push(batch);
    if (this.cache.length <= CACHED) return;
    const [oldest] = this.cache.splice(0, 1);
    if (oldest?.state !== 'stored') return;
    oldest.entries = undefined;
    oldest.page = undefined;
  }

  private batchOf(seq: number): Batch | undefined {
    return this.batches[this.indexOf(seq)];
  }

  /** Index of the last batch that does not begin after `seq`, -1 when there is none. */
  private indexOf(seq: number): number {
    let [low, high] = [0, this.batches.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.batches[middle] as Batch).first <= seq) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

function emptyBatch(first: number): Batch {
  return {
    first,
    entries: [],
    page: undefined,
    pending: 0,
    state: 'open',
    isWritten: false,
    isAwaited: false,
  };
}

/** The entry `seq`, which is at `guess` unless some before it were left out. */
function find(entries: readonly Entry[], guess: number, seq: number): Entry | undefined {
  if (entries[guess]?.seq === seq) return entries[guess];
  let [low, high] = [0, entries.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const entry = entries[middle] as Entry;
    if (entry.seq === seq) return entry;
    if (entry.seq < seq) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}
