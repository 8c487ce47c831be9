import type { Clock } from '../../runtime/core/clock.ts';
import type { TimeTrust } from '../../runtime/core/time-trust.ts';
import { minutes, seconds } from '../../runtime/core/units.ts';
import type { PushConfig } from './config.ts';
import type { DropReason, Waiting } from './figures.ts';
import { decodeSamples, encodeSamples, type Sample } from './sample.ts';

export type PushRow = {
  readonly seq: number;
  readonly target: string;
  readonly body: string;
  readonly count: number;
  readonly bytes: number;
  readonly created: number;
};
export type RowHead = Omit<PushRow, 'body'>;
type Gone = RowHead & { readonly reason: DropReason };

/** The part of the store that is used here. */
export interface PushStore {
  durable(work: () => void): Promise<void>;
  lazy(work: () => void): void;
  readonly push: {
    put(row: PushRow): void;
    list(target: string, after: number, limit: number): PushRow[];
    oldest(limit: number): RowHead[];
    remove(seq: number): void;
    last(): number;
    totals(): readonly { readonly target: string; readonly count: number; readonly bytes: number }[];
  };
}

export type BoxDeps = {
  readonly store: PushStore;
  readonly config: Pick<PushConfig, 'maxBytes' | 'maxAge'>;
  readonly clock: Clock;
  readonly time: TimeTrust;
  readonly dropped: (target: string, reason: DropReason, count: number) => void;
};

/** What is stored of a target, ready to be sent. */
export type Stored = { readonly head: RowHead; readonly samples: readonly Sample[] };

/** A row's columns beside its values. */
const ROW_BYTES = 96;
/** In place of an age that nobody knows. */
const NEVER = Number.MAX_SAFE_INTEGER;
const AGE_CHECK = minutes(1);
/** Rows that are looked at together. */
const PORTION = 32;

/** What waits on disk for all targets together, within bounds of bytes and age: the oldest gives way. */
export class Box {
  private readonly deps: BoxDeps;
  private readonly totals = new Map<string, { count: number; bytes: number }>();
  /** Rows that are forgotten, though the disk may still have them. */
  private readonly leaving = new Set<number>();
  /** Rows that somebody is sending. */
  private readonly travelling = new Set<number>();
  private lastSeq: number;
  private agesSeen = Number.NEGATIVE_INFINITY;

  constructor(deps: BoxDeps) {
    this.deps = deps;
    this.lastSeq = deps.store.push.last();
    this.recount();
  }

  /** The targets of which something is here. */
  get targets(): string[] {
    return [...this.totals.keys()];
  }

  waiting(target: string): Waiting {
    return this.totals.get(target) ?? { count: 0, bytes: 0 };
  }

  /** Puts samples on disk, each list in a row of its own.
   * @returns the rows, once they are safe
   * @throws EdgeError STORE_WRITE_FAILED */
  async keep(target: string, lists: readonly (readonly Sample[])[]): Promise<RowHead[]> {
    const rows = lists.map((samples) => this.rowOf(target, samples));
    const gone: Gone[] = [];
    await this.deps.store.durable(() => {
      gone.length = 0;
      for (const row of rows) this.deps.store.push.put(row);
      const coming = rows.reduce((sum, { bytes }) => sum + bytes, 0);
      this.makeRoom(this.bytes + coming - this.deps.config.maxBytes, gone);
      this.expire(gone);
    });
    for (const row of rows) this.count(row, 1);
    for (const row of gone) this.lose(row, row.reason);
    return rows.map(({ body: _, ...head }) => head);
  }

  /** At most `limit` rows of a target after `seq`, which stay until they are forgotten or put back; one that cannot be read
   * is passed over. */
  take(target: string, after: number, limit: number): Stored[] {
    if (this.waiting(target).count === 0) return [];
    return this.deps.store.push.list(target, after, limit).flatMap(({ body, ...head }) => {
      if (this.leaving.has(head.seq)) return [];
      try {
        const samples = decodeSamples(body);
        this.travelling.add(head.seq);
        return [{ head, samples }];
      } catch {
        this.forget([head]);
        return [];
      }
    });
  }

  /** Lazily: a row that comes back after a power cut is sent twice. */
  forget(rows: readonly RowHead[]): void {
    const here = rows.filter(({ seq }) => !this.leaving.has(seq));
    for (const row of here) {
      this.travelling.delete(row.seq);
      this.leaving.add(row.seq);
      this.count(row, -1);
    }
    this.deps.store.lazy(() => {
      for (const { seq } of here) {
        this.deps.store.push.remove(seq);
        this.leaving.delete(seq);
      }
    });
  }

  /** Gives up what has become too old, once in a while: for those who are told of no new values. */
  expireSoon(): void {
    if (!this.isAgeCheckDue) return;
    this.deps.store.lazy(() => {
      const gone: Gone[] = [];
      this.expire(gone);
      for (const row of gone) this.lose(row, row.reason);
    });
  }

  /** Whether a value is too old to be sent. */
  isOld({ at, moment }: Sample): boolean {
    const { time, clock, config } = this.deps;
    return time.isTrusted && moment === undefined && at < clock.now() - seconds(config.maxAge);
  }

  /** Rows are being sent, or no more. */
  travel(rows: readonly RowHead[], isSent: boolean): void {
    for (const { seq } of rows) this.travelling[isSent ? 'add' : 'delete'](seq);
  }

  private get bytes(): number {
    let sum = 0;
    for (const { bytes } of this.totals.values()) sum += bytes;
    return sum;
  }

  private rowOf(target: string, samples: readonly Sample[]): PushRow {
    this.lastSeq++;
    const body = encodeSamples(samples);
    const isTimed = samples.every(({ moment }) => moment === undefined);
    const created = isTimed ? Math.max(...samples.map(({ at }) => at)) : NEVER;
    const bytes = Buffer.byteLength(body) + ROW_BYTES;
    return { seq: this.lastSeq, target, body, count: samples.length, bytes, created };
  }

  private makeRoom(tooMuch: number, gone: Gone[]): void {
    for (let rest = tooMuch; rest > 0; ) {
      const oldest = this.oldest();
      if (oldest.length === 0) return;
      for (const row of oldest) {
        if (rest <= 0) return;
        this.deps.store.push.remove(row.seq);
        gone.push({ ...row, reason: 'full' });
        rest -= row.bytes;
      }
    }
  }

  /** Ages mean nothing while the clock is wrong. */
  private get isAgeCheckDue(): boolean {
    const { clock, time } = this.deps;
    return time.isTrusted && clock.monotonic() - this.agesSeen >= AGE_CHECK;
  }

  private expire(gone: Gone[]): void {
    const { clock, config, store } = this.deps;
    if (!this.isAgeCheckDue) return;
    this.agesSeen = clock.monotonic();
    const limit = clock.now() - seconds(config.maxAge);
    for (;;) {
      const old = this.oldest().filter(({ created }) => created < limit);
      for (const row of old) {
        store.push.remove(row.seq);
        gone.push({ ...row, reason: 'age' });
      }
      if (old.length < PORTION) return;
    }
  }

  private oldest(): RowHead[] {
    const limit = PORTION + this.leaving.size + this.travelling.size;
    const isHere = ({ seq }: RowHead): boolean => !this.leaving.has(seq) && !this.travelling.has(seq);
    return this.deps.store.push.oldest(limit).filter(isHere);
  }

  private lose(row: RowHead, reason: DropReason): void {
    this.count(row, -1);
    this.deps.dropped(row.target, reason, row.count);
  }

  private count({ target, count, bytes }: RowHead, sign: 1 | -1): void {
    const total = this.totals.get(target) ?? { count: 0, bytes: 0 };
    total.count = Math.max(0, total.count + sign * count);
    total.bytes = Math.max(0, total.bytes + sign * bytes);
    if (total.count > 0) this.totals.set(target, total);
    else this.totals.delete(target);
  }

  private recount(): void {
    for (const { target, count, bytes } of this.deps.store.push.totals())
      this.totals.set(target, { count, bytes });
  }
}
