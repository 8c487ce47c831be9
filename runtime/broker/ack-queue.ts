/** Calls back when what an acknowledgement waits for is safe; an error says that it could not be made so. */
export type Settle = (error?: unknown) => void;

type Waiting = { settled: boolean; error: unknown; readonly send: Settle };

/** Sends acknowledgements in the order of what they acknowledge, although what they wait for ends in any order.
 * [MQTT-4.6.0-2] [MQTT-4.6.0-3] */
export class AckQueue {
  private readonly onProgress: () => void;
  private waiting: Waiting[] = [];
  private head = 0;

  /** @param onProgress is called when there are fewer */
  constructor(onProgress: () => void = () => {}) {
    this.onProgress = onProgress;
  }

  get length(): number {
    return this.waiting.length - this.head;
  }

  /** Sends at once when nothing is before it, else after it. */
  now(send: Settle): void {
    if (this.length === 0) send();
    else this.later(send)();
  }

  /** @param send is called once: after the returned function was, and everything before it was sent */
  later(send: Settle): Settle {
    const entry: Waiting = { settled: false, error: undefined, send };
    this.waiting.push(entry);
    return (error) => {
      if (entry.settled) return;
      entry.settled = true;
      entry.error = error;
      this.advance();
    };
  }

  private advance(): void {
    for (;;) {
      const entry = this.waiting[this.head];
      if (!entry?.settled) break;
      this.head++;
      entry.send(entry.error);
    }
    if (this.head === this.waiting.length) {
      this.waiting = [];
      this.head = 0;
    } else if (this.head > 1024) {
      this.waiting.splice(0, this.head);
      this.head = 0;
    }
    this.onProgress();
  }
}
