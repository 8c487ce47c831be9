import type { Settle, Waiter } from './ack-queue.ts';

/** Opens when everything that it waits for has ended; the first error is what it opens with. */
export class Gate {
  private left = 1;
  private error: unknown;
  private waiter: Waiter | undefined;

  /** @returns to be told once, when one more thing has ended */
  enter(): Waiter {
    this.left++;
    let isEnded = false;
    const settle: Settle = (error) => {
      if (isEnded) return;
      isEnded = true;
      this.leave(error);
    };
    return { settle };
  }

  wait(work: Promise<unknown>): void {
    const one = this.enter();
    work.then(
      () => one.settle(),
      (error) => one.settle(error ?? new Error('failed')),
    );
  }

  /** Says who is to know; nothing is added to what it waits for after that. */
  onOpen(waiter: Waiter | undefined): void {
    this.waiter = waiter;
    this.leave();
  }

  private leave(error?: unknown): void {
    this.error ??= error;
    if (--this.left === 0) this.waiter?.settle(this.error);
  }
}
