import type { Settle } from './ack-queue.ts';

/** Opens when everything that it waits for has ended; the first error is what it opens with. */
export class Gate {
  private left = 1;
  private error: unknown;
  private settle: Settle | undefined;

  /** @returns to be called once, when one more thing has ended */
  enter(): Settle {
    this.left++;
    let ended = false;
    return (error) => {
      if (ended) return;
      ended = true;
      this.leave(error);
    };
  }

  wait(work: Promise<unknown>): void {
    const leave = this.enter();
    work.then(
      () => leave(),
      (error) => leave(error ?? new Error('failed')),
    );
  }

  /** Says who is to know; nothing is added to what it waits for after that. */
  onOpen(settle: Settle): void {
    this.settle = settle;
    this.leave();
  }

  private leave(error?: unknown): void {
    this.error ??= error;
    if (--this.left === 0) this.settle?.(this.error);
  }
}
