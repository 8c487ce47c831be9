import type { Clock, Timer } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { MetricSource } from '../core/metrics.ts';
import { type Millis, millis, minutes, seconds } from '../core/units.ts';
import type { ServiceManager } from './service-manager.ts';

/** A part without which the process had better be started anew. */
export type Pulse = {
  readonly name: string;
  /** What it has to do may take so long. */
  readonly limit: Millis;
  /** Ms since when it has something to do and does not get on; 0 while all is well. */
  readonly stalledFor: () => number;
};

export type WatchdogDeps = {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricSource;
  readonly manager: ServiceManager;
  readonly pulses: readonly Pulse[];
  /** What `systemctl status` shows; one line. */
  readonly status: () => string;
};

const LOOK = seconds(5);
/** A look that comes so late says that the event loop hardly gets round. */
const LOOP_LIMIT = seconds(20);
/** Without a watchdog the service manager is told the status so often. */
const STATUS_EVERY = seconds(60);
/** What has lived so long, and hangs nowhere, is not what was started anew again and again. */
const SETTLED = minutes(10);

/** Feeds the service manager's watchdog while every part gets on. A part that hangs ends it, and systemd starts the process
 * anew; one that gets on again before that is forgiven. A loop that stands still feeds nothing by itself. */
export class Watchdog {
  readonly name = 'watchdog';
  private readonly deps: WatchdogDeps;
  private readonly pulses: readonly Pulse[];
  private readonly stalled = new Set<string>();
  private timer: Timer | undefined;
  private settling: Timer | undefined;
  private lookedAt = 0;
  private fedAt = Number.NEGATIVE_INFINITY;
  private told = '';
  private lag = 0;

  constructor(deps: WatchdogDeps) {
    this.deps = deps;
    this.pulses = [{ name: 'event loop', limit: LOOP_LIMIT, stalledFor: () => this.lag }, ...deps.pulses];
    for (const { name: part } of this.pulses)
      deps.metrics.gauge(
        'edgecore_stalled',
        '1 while a part hangs.',
        () => (this.stalled.has(part) ? 1 : 0),
        {
          part,
        },
      );
    deps.metrics.gauge(
      'edgecore_event_loop_lag_seconds',
      'How late the last look at the clock was.',
      () => Math.round(this.lag) / 1000,
    );
  }

  async start(): Promise<void> {
    this.lookedAt = this.deps.clock.monotonic();
    this.timer = this.deps.clock.every(LOOK, () => this.look());
    this.settle();
    this.feed();
  }

  async stop(): Promise<void> {
    this.timer?.cancel();
    this.settling?.cancel();
  }

  /** Once in the life of the process, the first time that all is well at the end of such a time. */
  private settle(): void {
    this.settling = this.deps.clock.after(SETTLED, () => {
      if (this.stalled.size > 0) this.settle();
      else void this.deps.manager.forgive();
    });
  }

  private look(): void {
    const now = this.deps.clock.monotonic();
    this.lag = Math.max(0, now - this.lookedAt - LOOK);
    this.lookedAt = now;
    for (const pulse of this.pulses) this.judge(pulse);
    // Three times within its period: one that comes late does not cost a restart.
    const every = (this.deps.manager.watchdog ?? STATUS_EVERY) / 3;
    if (this.stalled.size === 0 && now - this.fedAt >= millis(every - LOOK)) this.feed();
  }

  private judge({ name, limit, stalledFor }: Pulse): void {
    const stalledMs = Math.round(stalledFor());
    const hangs = stalledMs > limit;
    if (hangs === this.stalled.has(name)) return;
    if (hangs) {
      this.stalled.add(name);
      this.deps.log.error('a part hangs: the watchdog is no longer fed', { resource: name, stalledMs });
      void this.deps.manager.tell(`STATUS=${name} hangs`);
    } else {
      this.stalled.delete(name);
      this.deps.log.info('a part gets on again', { resource: name });
    }
  }

  private feed(): void {
    const { manager, status, clock } = this.deps;
    this.fedAt = clock.monotonic();
    const states = manager.watchdog === undefined ? [] : ['WATCHDOG=1'];
    const text = status();
    if (text !== this.told) states.push(`STATUS=${text}`);
    this.told = text;
    if (states.length > 0) void manager.tell(...states);
  }
}
