import { type Clock, sleep, type Timer } from '../../runtime/core/clock.ts';
import { errorText } from '../../runtime/core/errors.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { backoffDelays } from '../../runtime/core/retry.ts';
import { TokenBucket } from '../../runtime/core/token-bucket.ts';
import { kibibytes, type Millis, millis, seconds } from '../../runtime/core/units.ts';
import type { Box, RowHead } from './box.ts';
import { type Channel, type Notes, PushError } from './channel.ts';
import type { PushFigures } from './figures.ts';
import { type Sample, sizeOf } from './sample.ts';
import { described, type Target } from './target.ts';

export type LaneDeps = {
  readonly target: Target;
  /** @throws PushError */
  readonly open: (target: Target) => Promise<Channel>;
  /** Whether values can be sent with the time that they have now. */
  readonly knowsTime: () => boolean;
  /** A sample with its true time. */
  readonly timed: (sample: Sample) => Sample;
  readonly box: Box;
  readonly figures: PushFigures;
  /** Values a second of those that were stored. */
  readonly drainRate: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** [0, 1) */
  readonly random: () => number;
  /** What is wrong, or which properties were refused, has changed. */
  readonly changed: () => void;
};

/** What is sent together. */
type Parcel = {
  samples: readonly Sample[];
  /** What of it is on disk. */
  rows: readonly RowHead[];
  /** Monotonic, of the first. */
  readonly since: number;
  /** Sent one by one, to find the one that is refused. */
  isSingle: boolean;
};

/** A value that is not confirmed for so long is put on disk; a power cut costs at most what is younger. */
const SPILL = seconds(2);
/** When the disk takes nothing it is asked again so seldom, and this much waits in memory. */
const SPILL_AGAIN = seconds(5);
const MOST_IN_MEMORY = kibibytes(512);
/** Most values in one parcel, and rows that are read for it. */
const MOST_TOGETHER = 200;
const ROWS_TOGETHER = 16;
const RETRY = { first: seconds(1), factor: 2, cap: seconds(30), jitter: 0.2 };
const TIME_CHECK = seconds(1);
/** An outage is told after so many attempts: a restart of the target is none. */
const TELL_AFTER = 3;
/** What is under way when edgecore stops has so long. */
const STOP_LIMIT = seconds(2);

/** The values for one target, in the order in which they were read: the parcel under way, then what is on disk, then what
 * has come since. A value is forgotten when the target has confirmed it. */
export class Lane {
  readonly target: Target;
  /** What is wrong, for the operator. */
  fault: string | undefined;
  /** Why the last value of a property was refused, by `<namespace>/<device>/<property>`. */
  readonly refusals = new Map<string, string>();
  private readonly deps: LaneDeps;
  private readonly key: string;
  private readonly bucket: TokenBucket;
  private readonly abort = new AbortController();
  private head: Parcel | undefined;
  private fresh: Sample[] = [];
  private freshBytes = 0;
  private freshSince = 0;
  /** The last row that was taken from the box. */
  private cursor = 0;
  private channel: Channel | undefined;
  private isRunning = false;
  private running: Promise<void> = Promise.resolve();
  private spilling: Promise<void> | undefined;
  private timer: Timer | undefined;
  private attempts = 0;

  constructor(deps: LaneDeps) {
    this.deps = deps;
    this.target = deps.target;
    this.key = JSON.stringify(deps.target);
    const { clock, drainRate } = deps;
    this.bucket = new TokenBucket({ clock, rate: drainRate, burst: drainRate });
  }

  /** Values that are not on disk. */
  get unsaved(): { count: number; bytes: number } {
    const head = this.head && this.head.rows.length === 0 ? this.head.samples : [];
    const bytes = head.reduce((sum, sample) => sum + sizeOf(sample), this.freshBytes);
    return { count: this.fresh.length + head.length, bytes };
  }

  get isIdle(): boolean {
    return !this.isRunning && this.fresh.length === 0;
  }

  push(sample: Sample): void {
    if (this.fresh.length === 0) this.freshSince = this.deps.clock.monotonic();
    this.fresh.push(sample);
    this.freshBytes += sizeOf(sample);
    // What is being written must stay in its place.
    while (this.freshBytes > MOST_IN_MEMORY && !this.spilling) {
      const oldest = this.fresh.shift();
      if (oldest) this.freshBytes -= sizeOf(oldest);
      this.deps.figures.dropped(this.target.method, 'full', 1);
    }
    this.arm();
    this.pump();
  }

  /** Sends what there is, if nobody does so already. */
  pump(): void {
    if (this.isRunning || this.abort.signal.aborted) return;
    this.isRunning = true;
    this.running = this.run();
  }

  /** Puts on disk what is not confirmed. */
  async stop(): Promise<void> {
    this.abort.abort();
    this.timer?.cancel();
    const limit = new AbortController();
    await Promise.race([this.running, sleep(this.deps.clock, STOP_LIMIT, limit.signal)]);
    limit.abort();
    this.drop();
    await this.spilling;
    await this.spill();
    this.timer?.cancel();
    if (this.head) this.deps.box.travel(this.head.rows, false);
  }

  private async run(): Promise<void> {
    try {
      // What is read together is sent together.
      await Promise.resolve();
      await this.sendAll();
    } finally {
      this.isRunning = false;
    }
  }

  private async sendAll(): Promise<void> {
    let waits: Generator<Millis, never> | undefined;
    for (;;) {
      await this.spilling;
      if (this.abort.signal.aborted) return;
      this.head ??= this.next();
      if (!this.head) return;
      if (!this.deps.knowsTime()) {
        await sleep(this.deps.clock, TIME_CHECK, this.abort.signal);
        continue;
      }
      if (await this.attempt(this.head)) waits = undefined;
      else {
        waits ??= backoffDelays(RETRY, this.deps.random);
        await sleep(this.deps.clock, waits.next().value, this.abort.signal);
      }
    }
  }

  private next(): Parcel | undefined {
    const stored = this.deps.box.take(this.key, this.cursor, ROWS_TOGETHER);
    const since = this.deps.clock.monotonic();
    const rows: RowHead[] = [];
    const samples: Sample[] = [];
    for (const row of stored) {
      if (samples.length > 0 && samples.length + row.samples.length > MOST_TOGETHER) {
        this.deps.box.travel([row.head], false);
        continue;
      }
      rows.push(row.head);
      samples.push(...row.samples);
      this.cursor = row.head.seq;
      if (samples.length >= MOST_TOGETHER) break;
    }
    if (rows.length > 0) return { rows, samples, since, isSingle: false };
    if (this.fresh.length === 0) return undefined;
    const taken = this.fresh.splice(0, MOST_TOGETHER);
    this.freshBytes = this.fresh.reduce((sum, sample) => sum + sizeOf(sample), 0);
    const { freshSince } = this;
    this.freshSince = since;
    return { rows: [], samples: taken, since: freshSince, isSingle: false };
  }

  /** @returns whether it went on; else the target is to be left alone for a while */
  private async attempt(parcel: Parcel): Promise<boolean> {
    if (parcel.rows.length > 0) await this.pace(parcel.samples.length);
    const part = parcel.isSingle ? parcel.samples.slice(0, 1) : parcel.samples;
    let confirmed = 0;
    try {
      let rejection: (() => void) | undefined;
      await this.send(part, {
        confirmed: (count) => {
          confirmed = count;
        },
        rejected: (count, why) => {
          rejection = () => this.rejected(part, count, why);
        },
      });
      this.arrived(parcel, part.length);
      rejection?.();
      this.wentWell();
      return true;
    } catch (error) {
      this.arrived(parcel, confirmed);
      if (this.abort.signal.aborted) return false;
      if (error instanceof PushError && error.kind === 'refused') {
        this.refused(parcel, part.length - confirmed, error.message);
        return true;
      }
      this.drop();
      this.failed(errorText(error));
      this.giveUpOld(parcel);
      return false;
    }
  }

  private async send(samples: readonly Sample[], notes: Notes): Promise<void> {
    this.channel ??= await this.deps.open(this.target);
    await this.channel.send(samples.map(this.deps.timed), notes);
  }

  private async pace(count: number): Promise<void> {
    while (!this.bucket.hasToken && !this.abort.signal.aborted)
      await sleep(this.deps.clock, this.bucket.wait, this.abort.signal);
    for (let i = 0; i < count; i++) this.bucket.take();
  }

  /** The first `count` of a parcel are confirmed. */
  private arrived(parcel: Parcel, count: number): void {
    if (count === 0) return;
    this.deps.figures.confirmed(this.target.method, count);
    this.gone(parcel, count);
  }

  private gone(parcel: Parcel, count: number): void {
    let isNews = false;
    for (const { route } of parcel.samples.slice(0, count))
      isNews = this.refusals.delete(keyOf(route)) || isNews;
    parcel.samples = parcel.samples.slice(count);
    if (parcel.samples.length === 0) {
      this.deps.box.forget(parcel.rows);
      this.head = undefined;
    }
    if (isNews) this.deps.changed();
  }

  /** @param count of the values that were sent and not confirmed */
  private refused(parcel: Parcel, count: number, why: string): void {
    const [sample] = parcel.samples;
    if (count > 1 || !sample) {
      parcel.isSingle = true;
      return;
    }
    const { log, figures } = this.deps;
    const { namespace, device, property } = sample.route;
    const target = described(this.target);
    log.warn('a target refuses a value: given up', {
      target,
      device: `${namespace}/${device}`,
      property,
      reason: why,
    });
    figures.dropped(this.target.method, 'refused', 1);
    this.gone(parcel, 1);
    this.refusals.set(keyOf(sample.route), `${target} refuses a value: ${why}`);
    this.deps.changed();
  }

  /** The target has taken a parcel, and not all that is in it. */
  private rejected(samples: readonly Sample[], count: number, why: string): void {
    const target = described(this.target);
    this.deps.log.warn('a target refuses values: given up', { target, count, reason: why });
    this.deps.figures.dropped(this.target.method, 'refused', count);
    for (const { route } of samples)
      this.refusals.set(keyOf(route), `${target} refuses ${count} of ${samples.length} values: ${why}`);
    this.deps.changed();
  }

  private giveUpOld(parcel: Parcel): void {
    const { box, figures } = this.deps;
    box.expireSoon();
    const old = parcel.samples.findIndex((sample) => !box.isOld(sample));
    const count = old < 0 ? parcel.samples.length : old;
    if (count === 0) return;
    figures.dropped(this.target.method, 'age', count);
    this.gone(parcel, count);
  }

  private failed(why: string): void {
    this.attempts++;
    if (this.attempts < TELL_AFTER) return;
    const fault = `cannot be pushed to ${described(this.target)}: ${why}`;
    if (this.attempts === TELL_AFTER)
      this.deps.log.warn('values cannot be pushed: they wait', {
        target: described(this.target),
        reason: why,
      });
    if (this.fault === fault) return;
    this.fault = fault;
    this.deps.changed();
  }

  private wentWell(): void {
    const wasTold = this.fault !== undefined;
    this.attempts = 0;
    this.fault = undefined;
    if (!wasTold) return;
    const { count } = this.deps.box.waiting(this.key);
    this.deps.log.info('values are pushed again', { target: described(this.target), waiting: count });
    this.deps.changed();
  }

  private drop(): void {
    this.channel?.close();
    this.channel = undefined;
  }

  /** The oldest that is not on disk, monotonic. */
  private get oldest(): number | undefined {
    if (this.head && this.head.rows.length === 0) return this.head.since;
    return this.fresh.length > 0 ? this.freshSince : undefined;
  }

  private arm(wait?: Millis): void {
    const { oldest } = this;
    if (this.timer || this.spilling || oldest === undefined || this.abort.signal.aborted) return;
    const due = millis(Math.max(0, oldest + SPILL - this.deps.clock.monotonic()));
    this.timer = this.deps.clock.after(wait ?? due, () => {
      this.timer = undefined;
      const isDue = this.oldest !== undefined && this.deps.clock.monotonic() - this.oldest >= SPILL;
      if (isDue) void this.spill();
      else this.arm();
    });
  }

  /** One write at a time. Never rejects: what the disk does not take stays in memory. */
  private spill(): Promise<void> {
    this.spilling ??= this.save().then(
      () => this.spilled(),
      () => this.spilled(SPILL_AGAIN),
    );
    return this.spilling;
  }

  private spilled(wait?: Millis): void {
    this.spilling = undefined;
    this.arm(wait);
  }

  private async save(): Promise<void> {
    const head = this.head && this.head.rows.length === 0 ? this.head : undefined;
    const saved = this.fresh.length;
    const lists = [...(head ? [head.samples] : []), ...(saved > 0 ? [this.fresh.slice()] : [])];
    if (lists.length === 0) return;
    const rows = await this.deps.box.keep(this.key, lists);
    this.deps.figures.stored(lists.reduce((sum, list) => sum + list.length, 0));
    this.fresh.splice(0, saved);
    this.freshBytes = this.fresh.reduce((sum, sample) => sum + sizeOf(sample), 0);
    this.freshSince = this.deps.clock.monotonic();
    if (head && rows[0]) this.savedHead(head, rows[0]);
  }

  /** It may have been confirmed while it was written. */
  private savedHead(head: Parcel, row: RowHead): void {
    head.rows = [row];
    this.cursor = row.seq;
    if (head.samples.length === 0) this.deps.box.forget([row]);
    else this.deps.box.travel([row], true);
  }
}

function keyOf({ namespace, device, property }: Sample['route']): string {
  return `${namespace}/${device}/${property}`;
}
