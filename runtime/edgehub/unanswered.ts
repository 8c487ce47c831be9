import type { Clock, Timer } from '../core/clock.ts';
import { type Millis, millis, minutes, seconds } from '../core/units.ts';

export type UnansweredDeps = {
  readonly clock: Clock;
  /** Calls back when all that the cloud had sent before it read this has come; never, when the connection ends before. */
  readonly probe: (answered: () => void) => void;
};

/** Hands a message to the link, which calls `handed` when it was written; false when it takes none now. */
export type Transmit = (handed: () => void) => boolean;

type Waiting = {
  readonly id: string;
  readonly transmit: Transmit;
  readonly first: Millis;
  /** Monotonic; endless while it is on its way to the link, or the cloud is asked whether it is there. */
  due: number;
  writes: number;
};

const FIRST_WAIT = millis(500);
const LONGEST_WAIT = minutes(5);
const LOOK = millis(100);
/** The wait when the link has no room. */
const ROOM_WAIT = seconds(1);

/** Messages that were written to the link and are not answered yet. Each is sent again, with the same id, when it must have
 * been lost, or its answer: after a wait that doubles every other time, and not before a ping shows that the cloud has read all there is and
 * that nothing is on its way back. So however slow the link, nothing is sent twice because of that.
 *
 * For messages that may arrive twice.
 * Differs: KubeEdge waits for 60 s and gives up. */
export class Unanswered {
  private readonly deps: UnansweredDeps;
  private readonly waiting = new Map<string, Waiting>();
  private timer: Timer | undefined;

  constructor(deps: UnansweredDeps) {
    this.deps = deps;
  }

  /** Sends a message until it is settled.
   * @param first the wait before it is sent again
   * @returns false when the link does not take it: nothing is waited for then */
  start(id: string, transmit: Transmit, first: Millis = FIRST_WAIT): boolean {
    const waiting: Waiting = { id, transmit, first, due: Number.POSITIVE_INFINITY, writes: 0 };
    this.waiting.set(id, waiting);
    if (!this.write(waiting)) {
      this.settled(id);
      return false;
    }
    if (this.waiting.size > 0) this.timer ??= this.deps.clock.every(LOOK, () => this.look());
    return true;
  }

  /** It was answered, or is wanted no longer. */
  settled(id: string): void {
    this.waiting.delete(id);
    if (this.waiting.size > 0) return;
    this.timer?.cancel();
    this.timer = undefined;
  }

  /** The connection is gone. */
  clear(): void {
    for (const id of [...this.waiting.keys()]) this.settled(id);
  }

  private write(waiting: Waiting): boolean {
    const { clock } = this.deps;
    waiting.due = Number.POSITIVE_INFINITY;
    return waiting.transmit(() => {
      const wait = waiting.first * 2 ** Math.floor(waiting.writes++ / 2);
      waiting.due = clock.monotonic() + Math.min(wait, LONGEST_WAIT);
    });
  }

  private look(): void {
    const { clock, probe } = this.deps;
    const now = clock.monotonic();
    const late = [...this.waiting.values()].filter(({ due }) => due <= now);
    if (late.length === 0) return;
    for (const waiting of late) waiting.due = Number.POSITIVE_INFINITY;
    probe(() => {
      for (const waiting of late) if (this.waiting.get(waiting.id) === waiting) this.again(waiting);
    });
  }

  private again(waiting: Waiting): void {
    if (!this.write(waiting)) waiting.due = this.deps.clock.monotonic() + ROOM_WAIT;
  }
}
