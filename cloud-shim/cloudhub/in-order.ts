/** Work on one thing at a time, in the order in which it came; on different things at once. */
export class InOrder {
  private readonly last = new Map<string, Promise<unknown>>();

  /** Runs `work` when all before it about the same `thing` is done, however it ended. */
  run<T>(thing: string, work: () => Promise<T>): Promise<T> {
    const before = this.last.get(thing);
    const mine = before ? before.then(work, work) : work();
    this.last.set(thing, mine);
    const done = (): void => {
      if (this.last.get(thing) === mine) this.last.delete(thing);
    };
    mine.then(done, done);
    return mine;
  }

  /** How many things are worked on. */
  get size(): number {
    return this.last.size;
  }
}
