import type { Clock } from '../core/clock.ts';

/** What only one may have at a time. */
export class Turn {
  private readonly clock: Clock;
  private work: Promise<void> | undefined;
  private since = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get isTaken(): boolean {
    return this.work !== undefined;
  }

  /** Since when it is taken, monotonic; undefined while it is free. */
  get takenAt(): number | undefined {
    return this.work ? this.since : undefined;
  }

  /** Resolves when nobody has it. */
  async free(): Promise<void> {
    while (this.work) await this.work;
  }

  /** Runs `work` when it is free, and keeps it until that has ended. */
  async hold(work: () => Promise<void>): Promise<void> {
    // Not by free(): between its end and this line another could come.
    while (this.work) await this.work;
    const done = work();
    this.work = done.catch(() => {});
    this.since = this.clock.monotonic();
    try {
      await done;
    } finally {
      this.work = undefined;
    }
  }
}
