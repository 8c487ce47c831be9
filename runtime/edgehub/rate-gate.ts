import type { Clock, Timer } from '../core/clock.ts';
import type { Counter } from '../core/metrics.ts';
import { BoundedQueue } from '../core/queue.ts';
import { mebibytes, millis } from '../core/units.ts';

const QUEUE_COUNT = 1024;
const QUEUE_BYTES = mebibytes(4);

type Waiting = { readonly text: string; readonly received: (() => void) | undefined };

/** Lets messages through at `rate` a second with bursts of `burst`; the rest waits in order in a bounded queue.
 * What does not fit is dropped, newest first, and counted: its sender sees no answer and tries again. */
export class RateGate {
  private readonly clock: Clock;
  private readonly rate: number;
  private readonly burst: number;
  private readonly pass: (text: string, received?: () => void) => void;
  private readonly queue: BoundedQueue<Waiting>;
  private tokens: number;
  private filledAt: number;
  private timer: Timer | undefined;

  constructor(deps: {
    clock: Clock;
    rate: number;
    burst: number;
    pass: (text: string, received?: () => void) => void;
    dropped: Counter;
  }) {
    this.clock = deps.clock;
    this.rate = deps.rate;
    this.burst = deps.burst;
    this.pass = deps.pass;
    this.tokens = deps.burst;
    this.filledAt = deps.clock.monotonic();
    const limits = { count: QUEUE_COUNT, bytes: QUEUE_BYTES, drop: 'newest' } as const;
    this.queue = new BoundedQueue(
      limits,
      ({ text }: Waiting) => text.length,
      () => deps.dropped.add(),
    );
  }

  /** @param received goes along with the text */
  push(text: string, received?: () => void): void {
    this.queue.push({ text, received });
    this.drain();
  }

  /** Forgets what waits: the connection that it was for is gone. */
  clear(): void {
    this.timer?.cancel();
    this.timer = undefined;
    while (this.queue.shift() !== undefined);
  }

  private drain(): void {
    this.refill();
    while (this.tokens >= 1) {
      const next = this.queue.shift();
      if (next === undefined) return;
      this.tokens--;
      this.pass(next.text, next.received);
    }
    if (this.queue.length === 0 || this.timer) return;
    this.timer = this.clock.after(millis(Math.ceil(((1 - this.tokens) / this.rate) * 1000)), () => {
      this.timer = undefined;
      this.drain();
    });
  }

  private refill(): void {
    const now = this.clock.monotonic();
    this.tokens = Math.min(this.burst, this.tokens + ((now - this.filledAt) / 1000) * this.rate);
    this.filledAt = now;
  }
}
