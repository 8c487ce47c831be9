import type { Clock, Timer } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import type { Message } from '../core/message.ts';
import type { Millis } from '../core/units.ts';
import type { Unanswered } from './unanswered.ts';

type Pending = {
  readonly resolve: (reply: Message) => void;
  readonly reject: (error: Error) => void;
  readonly late: () => void;
  readonly timeout: Millis;
  timer: Timer | undefined;
};

/** Requests that wait for their answer, by `msg_id`. Their time runs from when they were written to the link: on a slow
 * one that may be long after they were made. */
export class Requests {
  private readonly clock: Clock;
  private readonly unanswered: Pick<Unanswered, 'settled'>;
  private readonly pending = new Map<string, Pending>();

  /** @param unanswered what sends some of them again, until they are settled here */
  constructor(clock: Clock, unanswered: Pick<Unanswered, 'settled'>) {
    this.clock = clock;
    this.unanswered = unanswered;
  }

  /** @returns the answer; rejects with LINK_TIMEOUT, or LINK_OFFLINE when the connection ends first */
  wait(id: string, resource: string, timeout: Millis): Promise<Message> {
    return new Promise((resolve, reject) => {
      const late = (): void => {
        this.forget(id);
        reject(new EdgeError('LINK_TIMEOUT', { detail: `${resource} after ${timeout / 1000} s` }));
      };
      this.pending.set(id, { resolve, reject, late, timeout, timer: undefined });
    });
  }

  /** A request was written to the link. */
  handed(id: string): void {
    const pending = this.pending.get(id);
    if (pending) pending.timer ??= this.clock.after(pending.timeout, pending.late);
  }

  /** A request will not be written. */
  refuse(id: string, reason: string): void {
    const pending = this.pending.get(id);
    this.forget(id);
    pending?.reject(new EdgeError('LINK_OFFLINE', { detail: reason }));
  }

  /** Hands an answer to who waits for it; false when nobody does. */
  settle(parent: string, reply: Message): boolean {
    const pending = this.pending.get(parent);
    if (!pending) return false;
    this.forget(parent);
    pending.resolve(reply);
    return true;
  }

  failAll(reason: string): void {
    for (const id of [...this.pending.keys()]) this.refuse(id, reason);
  }

  private forget(id: string): void {
    this.pending.get(id)?.timer?.cancel();
    this.pending.delete(id);
    this.unanswered.settled(id);
  }
}
