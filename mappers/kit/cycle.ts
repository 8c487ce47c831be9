import type { Clock, Timer } from '../../runtime/core/clock.ts';
import { type Millis, millis } from '../../runtime/core/units.ts';

/** Calls `task` once a period, never two at a time. A turn that takes longer than the period makes the next one late,
 * and those that were missed are left out. The first turn comes after `phase`, so that cycles of many devices spread. */
export class Cycle {
  private readonly clock: Clock;
  private readonly task: () => Promise<void>;
  private timer: Timer | undefined;
  private due: number;
  private stopped = false;
  /** The wait between two turns; may be changed while it runs. */
  period: Millis;

  constructor(deps: { clock: Clock; period: Millis; phase: Millis; task: () => Promise<void> }) {
    this.clock = deps.clock;
    this.period = deps.period;
    this.task = deps.task;
    this.due = deps.clock.monotonic() + deps.phase;
    this.arm();
  }

  /** Brings the next turn forward to now. */
  hurry(): void {
    if (!this.timer) return; // it is on
    this.due = this.clock.monotonic();
    this.timer.cancel();
    this.arm();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  private arm(): void {
    const wait = Math.max(0, this.due - this.clock.monotonic());
    this.timer = this.clock.after(millis(wait), () => {
      this.timer = undefined;
      void this.turn();
    });
  }

  private async turn(): Promise<void> {
    await this.task();
    if (this.stopped) return;
    const now = this.clock.monotonic();
    this.due = Math.max(this.due + this.period, now);
    this.arm();
  }
}
