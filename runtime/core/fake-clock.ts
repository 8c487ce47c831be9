import type { Clock, Timer } from './clock.ts';
import { type Millis, millis } from './units.ts';

type Entry = { due: number; period: number | undefined; task: () => void; seq: number };

/** A clock that stands still until a test turns it. Timers fire in order of due time, then of creation. */
export class FakeClock implements Clock {
  private wall: number;
  private mono = 0;
  private seq = 0;
  private entries: Entry[] = [];

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.wall = start;
  }

  now(): Millis {
    return millis(this.wall);
  }

  monotonic(): Millis {
    return millis(this.mono);
  }

  after(delay: Millis, task: () => void): Timer {
    return this.add(delay, undefined, task);
  }

  every(period: Millis, task: () => void): Timer {
    return this.add(period, period, task);
  }

  /** How many timers wait: a stopped module leaves none. */
  get pending(): number {
    return this.entries.length;
  }

  /** Moves the wall clock alone, as NTP or a battery change does. */
  jump(by: number): void {
    this.wall += by;
  }

  /** Time passes and nothing fires, as while the event loop stands still. */
  stall(by: number): void {
    this.turnTo(this.mono + by);
  }

  /** Turns both clocks forward, firing what comes due; lets promises settle after each timer. */
  async advance(by: number): Promise<void> {
    const end = this.mono + by;
    await settle();
    for (let next = this.next(end); next; next = this.next(end)) {
      this.turnTo(Math.max(next.due, this.mono));
      if (next.period === undefined) this.entries = this.entries.filter((e) => e !== next);
      else next.due += next.period;
      next.task();
      await settle();
    }
    this.turnTo(end);
  }

  private next(end: number): Entry | undefined {
    let first: Entry | undefined;
    for (const e of this.entries) {
      if (e.due > end) continue;
      if (!first || e.due < first.due || (e.due === first.due && e.seq < first.seq)) first = e;
    }
    return first;
  }

  private turnTo(mono: number): void {
    this.wall += mono - this.mono;
    this.mono = mono;
  }

  private add(delay: number, period: number | undefined, task: () => void): Timer {
    const entry: Entry = { due: this.mono + delay, period, task, seq: this.seq++ };
    this.entries.push(entry);
    return {
      cancel: () => {
        this.entries = this.entries.filter((e) => e !== entry);
      },
    };
  }
}

/** Lets every promise that can settle now do so, however deep its chain. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
