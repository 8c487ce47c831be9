/** Writes that a worker was asked for and has not answered. */
export class AskedWrites {
  private readonly waiting = new Map<number, (fault?: string) => void>();
  private last = 0;
  private ended: string | undefined;

  /** @param ask sends the question with its number
   * @returns resolves with why the device does not have the value, or undefined when it has */
  ask(ask: (number: number) => void): Promise<string | undefined> {
    if (this.ended !== undefined) return Promise.resolve(this.ended);
    if (this.waiting.size >= MOST)
      return Promise.resolve(`${MOST} writes wait for its mapper already: try again later`);
    const number = ++this.last;
    return new Promise((done) => {
      this.waiting.set(number, done);
      ask(number);
    });
  }

  answered(number: number, fault?: string): void {
    const done = this.waiting.get(number);
    this.waiting.delete(number);
    done?.(fault);
  }

  /** Nothing will be answered any more. */
  end(why: string): void {
    this.ended = why;
    for (const number of [...this.waiting.keys()]) this.answered(number, why);
  }
}

/** A worker that does not answer must not make callers pile up. */
const MOST = 64;
