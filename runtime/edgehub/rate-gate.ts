import type { Clock, Timer } from '../core/clock.ts';
import type { Counter } from '../core/metrics.ts';
import { BoundedQueue } from '../core/queue.ts';
import { TokenBucket } from '../core/token-bucket.ts';
import { mebibytes } from '../core/units.ts';
import type { FrameNotices } from '../wire/frame-writer.ts';

export type OutgoingFrame = {
  readonly text: string;
  /** It goes before all that is not. */
  readonly isUrgent?: boolean;
} & FrameNotices;

const QUEUE_COUNT = 1024;
const QUEUE_BYTES = mebibytes(4);

/** Lets messages through at `rate` a second with bursts of `burst`; the rest waits in order in bounded queues, one for what
 * is urgent. What does not fit is dropped, newest first, and counted: its sender sees no answer and tries again. */
export class RateGate {
  private readonly clock: Clock;
  private readonly pass: (frame: OutgoingFrame) => void;
  private readonly isHeld: () => boolean;
  private readonly urgent: BoundedQueue<OutgoingFrame>;
  private readonly queue: BoundedQueue<OutgoingFrame>;
  private readonly bucket: TokenBucket;
  private timer: Timer | undefined;

  constructor(deps: {
    clock: Clock;
    rate: number;
    burst: number;
    pass: (frame: OutgoingFrame) => void;
    /** While this holds nothing passes; {@link resume} tells when it no longer does. */
    isHeld: () => boolean;
    dropped: Counter;
  }) {
    this.clock = deps.clock;
    this.pass = deps.pass;
    this.isHeld = deps.isHeld;
    this.bucket = new TokenBucket(deps);
    const limits = { count: QUEUE_COUNT, bytes: QUEUE_BYTES, drop: 'newest' } as const;
    const sizeOf = ({ text }: OutgoingFrame): number => text.length;
    this.urgent = new BoundedQueue(limits, sizeOf, () => deps.dropped.add());
    this.queue = new BoundedQueue(limits, sizeOf, () => deps.dropped.add());
  }

  /** True when a frame would pass at once. */
  get isIdle(): boolean {
    return this.waiting === 0 && this.bucket.hasToken && !this.isHeld();
  }

  /** @returns false when it did not fit */
  push(frame: OutgoingFrame): boolean {
    const fits = (frame.isUrgent ? this.urgent : this.queue).push(frame);
    this.drain();
    return fits;
  }

  resume(): void {
    this.drain();
  }

  /** Forgets what waits: the connection that it was for is gone. */
  clear(): void {
    this.timer?.cancel();
    this.timer = undefined;
    for (const queue of [this.urgent, this.queue]) while (queue.shift() !== undefined);
  }

  private get waiting(): number {
    return this.urgent.length + this.queue.length;
  }

  private drain(): void {
    while (this.bucket.hasToken && !this.isHeld()) {
      const frame = this.urgent.shift() ?? this.queue.shift();
      if (frame === undefined) return;
      this.bucket.take();
      this.pass(frame);
    }
    if (this.waiting === 0 || this.timer || this.bucket.hasToken) return;
    this.timer = this.clock.after(this.bucket.wait, () => {
      this.timer = undefined;
      this.drain();
    });
  }
}
