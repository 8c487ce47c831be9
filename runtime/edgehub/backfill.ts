import type { Clock, Timer } from '../core/clock.ts';
import type { Message } from '../core/message.ts';
import { TokenBucket } from '../core/token-bucket.ts';
import { type Millis, millis } from '../core/units.ts';
import type { FrameNotices } from '../wire/frame-writer.ts';

type BackfillClass = 'event' | 'history';
type Entry = { readonly of: BackfillClass; readonly seq: number; readonly message: Message };

export type BackfillDeps = {
  readonly clock: Clock;
  /** Messages a second. */
  readonly rate: number;
  readonly burst: number;
  /** Hands a message to the link; false when it takes none now. */
  readonly send: (message: Message, notices: FrameNotices) => boolean;
  /** Whether nothing else waits for the link. */
  readonly isIdle: () => boolean;
  /** The first entry of a class after `seq`. */
  readonly next: (of: BackfillClass, seq: number) => { seq: number; message: Message } | undefined;
  /** The cloud's end has read it. */
  readonly arrived: (of: BackfillClass, seq: number) => void;
};

/** Sent and not known to have arrived. */
const WINDOW = 64;
/** How soon a busy link is looked at again. */
const BUSY_WAIT = millis(100);

/** Brings events and history to the cloud: each class in its order, at a limited rate, and only while nothing else waits
 * for the link, so that what is new overtakes what is old.
 *
 * KubeEdge's cloud answers neither. They are done once the other end of the WebSocket has read them; what is under way
 * when the connection breaks is sent again. */
export class Backfill {
  private readonly deps: BackfillDeps;
  private readonly bucket: TokenBucket;
  private sent = { event: 0, history: 0 };
  private travelling = new Set<number>();
  private timer: Timer | undefined;
  private up = false;

  constructor(deps: BackfillDeps) {
    this.deps = deps;
    this.bucket = new TokenBucket(deps);
  }

  online(up: boolean): void {
    this.up = up;
    this.timer?.cancel();
    this.timer = undefined;
    // What was under way on the former connection no longer counts, should its news still come.
    this.travelling.clear();
    this.travelling = new Set();
    this.sent = { event: 0, history: 0 };
    this.pump();
  }

  pump(): void {
    if (!this.up || this.timer) return;
    while (this.travelling.size < WINDOW) {
      const entry = this.next();
      if (!entry) return;
      if (!this.bucket.hasToken) return this.later(this.bucket.wait);
      if (!this.deps.isIdle() || !this.launch(entry)) return this.later(BUSY_WAIT);
    }
  }

  private next(): Entry | undefined {
    for (const of of ['event', 'history'] as const) {
      const entry = this.deps.next(of, this.sent[of]);
      if (entry) return { of, ...entry };
    }
    return undefined;
  }

  private launch({ of, seq, message }: Entry): boolean {
    const { travelling } = this;
    const arrived = (): void => {
      if (!travelling.delete(seq)) return;
      this.deps.arrived(of, seq);
      this.pump();
    };
    travelling.add(seq);
    if (!this.deps.send(message, { arrived })) {
      travelling.delete(seq);
      return false;
    }
    this.sent[of] = seq;
    this.bucket.take();
    return true;
  }

  private later(wait: Millis): void {
    this.timer = this.deps.clock.after(wait, () => {
      this.timer = undefined;
      this.pump();
    });
  }
}
