import type { Clock, Timer } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import type { Message } from '../core/message.ts';
import type { Millis } from '../core/units.ts';

type Pending = { resolve: (reply: Message) => void; reject: (error: Error) => void; timer: Timer };

/** Requests that wait for their answer, by `msg_id`. */
export class Requests {
  private readonly clock: Clock;
  private readonly pending = new Map<string, Pending>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** @returns the answer; rejects with LINK_TIMEOUT, or LINK_OFFLINE when the connection ends first */
  wait(id: string, resource: string, timeout: Millis): Promise<Message> {
    return new Promise((resolve, reject) => {
      const timer = this.clock.after(timeout, () => {
        this.pending.delete(id);
        reject(new EdgeError('LINK_TIMEOUT', { detail: `${resource} after ${timeout / 1000} s` }));
      });
      this.pending.set(id, { resolve, reject, timer });
    });
  }

  /** Hands an answer to who waits for it; false when nobody does. */
  settle(parent: string, reply: Message): boolean {
    const pending = this.pending.get(parent);
    if (!pending) return false;
    this.pending.delete(parent);
    pending.timer.cancel();
    pending.resolve(reply);
    return true;
  }

  failAll(reason: string): void {
    for (const { reject, timer } of this.pending.values()) {
      timer.cancel();
      reject(new EdgeError('LINK_OFFLINE', { detail: reason }));
    }
    this.pending.clear();
  }
}
