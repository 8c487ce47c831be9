import type { Clock, Timer } from '../core/clock.ts';
import { isoTime } from '../core/iso-time.ts';
import type { Logger } from '../core/log.ts';
import type { MetricSource } from '../core/metrics.ts';
import type { Moment, TimeTrust } from '../core/time-trust.ts';
import { type Millis, millis, minutes, seconds } from '../core/units.ts';

export type HostClockDeps = {
  /** The machine's own clocks. */
  readonly system: Clock;
  /** The kernel's boot id, and ms since that boot. */
  readonly boot: string;
  readonly uptime: () => number;
  /** Nothing can have happened before this program was made, ms since epoch. */
  readonly builtAt: number;
  /** Whether the machine knows that its clock follows a time server. */
  readonly isSynchronised: () => boolean;
  readonly store: {
    withCommit(work: () => void): void;
    readonly meta: {
      get(key: string): string | undefined;
      put(row: { key: string; type: string; value: string }): void;
    };
  };
  readonly log: Logger;
  readonly metrics: MetricSource;
};

const KEY = 'host/clock';
const LOOK = seconds(5);
/** Time servers slew a clock by far less between two looks: more is a step. */
const STEP = seconds(1);
/** How often the time is written down; it goes along with other writes. */
const KEEP = minutes(10);

/** The wall clock of a machine that may have none.
 *
 * Without a battery a machine starts in 1970, or where it was switched off. A time before this program was made, or before
 * the last one that was written down, is not believed. Until a time server has set the clock, the time goes on from the last
 * one known, so that it never runs backwards over a restart, and what is stored meanwhile carries boot id and monotonic
 * time, by which it gets its true time later. */
export class HostClock implements Clock, TimeTrust {
  readonly name = 'clock';
  private readonly deps: HostClockDeps;
  private readonly log: Logger;
  private readonly listeners: ((boot: string, epoch: number) => void)[] = [];
  /** The last time known, and the monotonic one that belongs to it. */
  private floor: number;
  private floorAt: number;
  /** Wall minus monotonic at the last look. */
  private offset: number;
  private trusted: boolean;
  private keptAt = Number.NEGATIVE_INFINITY;
  private timer: Timer | undefined;

  constructor(deps: HostClockDeps) {
    this.deps = deps;
    this.log = deps.log.child('clock');
    const { system, store, builtAt } = deps;
    this.floor = Math.max(builtAt, Number(store.meta.get(KEY) ?? 0));
    this.floorAt = system.monotonic();
    this.offset = system.now() - system.monotonic();
    this.trusted = this.isPlausible(false);
    deps.metrics.gauge('edgecore_clock_trusted', '1 while the wall clock is believed.', () =>
      this.trusted ? 1 : 0,
    );
    if (this.trusted) return;
    const shown = isoTime(system.now());
    this.log.warn('the clock is wrong: time goes on from the last one known', {
      shown,
      used: isoTime(this.floor),
    });
  }

  get isTrusted(): boolean {
    return this.trusted;
  }

  async start(): Promise<void> {
    this.timer = this.deps.system.every(LOOK, () => this.look());
    this.look();
  }

  async stop(): Promise<void> {
    this.timer?.cancel();
    if (this.trusted) this.keep();
  }

  now(): Millis {
    const { system } = this.deps;
    return this.trusted ? system.now() : millis(this.floor + system.monotonic() - this.floorAt);
  }

  monotonic(): Millis {
    return this.deps.system.monotonic();
  }

  after(delay: Millis, task: () => void): Timer {
    return this.deps.system.after(delay, task);
  }

  every(period: Millis, task: () => void): Timer {
    return this.deps.system.every(period, task);
  }

  moment(): Moment {
    const { boot, uptime } = this.deps;
    return this.trusted ? { boot: '', mono: 0 } : { boot, mono: Math.round(uptime()) };
  }

  onArrival(listener: (boot: string, epoch: number) => void): void {
    this.listeners.push(listener);
  }

  private look(): void {
    const { system } = this.deps;
    const offset = system.now() - system.monotonic();
    const by = offset - this.offset;
    const stepped = Math.abs(by) > STEP;
    if (stepped) this.log.info('the clock was set', { byMs: Math.round(by) });
    const before = this.now();
    this.offset = offset;
    const plausible = this.isPlausible(stepped);
    if (this.trusted && stepped && !plausible) this.leave(millis(before - by));
    else if (!this.trusted && plausible) this.arrive();
    if (this.trusted && system.monotonic() - this.keptAt >= KEEP) this.keep();
  }

  /** A clock that is set under our eyes, or that follows a server, may also have been ahead before. */
  private isPlausible(stepped: boolean): boolean {
    const { system, builtAt, isSynchronised } = this.deps;
    const wall = system.now();
    if (wall < builtAt) return false;
    return wall >= this.floor || stepped || isSynchronised();
  }

  /** @param last what the time would be by the clock as it was */
  private leave(last: Millis): void {
    this.trusted = false;
    this.floor = last;
    this.floorAt = this.deps.system.monotonic();
    this.log.warn('the clock is wrong: time goes on from the last one known', {
      used: isoTime(this.floor),
    });
  }

  private arrive(): void {
    const { system, boot, uptime } = this.deps;
    this.trusted = true;
    const used = this.floor + system.monotonic() - this.floorAt;
    const epoch = system.now() - uptime();
    this.log.info('the time has arrived', { byMs: Math.round(system.now() - used) });
    for (const listener of this.listeners) listener(boot, epoch);
  }

  private keep(): void {
    const { system, store } = this.deps;
    this.keptAt = system.monotonic();
    this.floor = system.now();
    this.floorAt = this.keptAt;
    const value = String(Math.round(this.floor));
    store.withCommit(() => store.meta.put({ key: KEY, type: 'hostclock', value }));
  }
}
