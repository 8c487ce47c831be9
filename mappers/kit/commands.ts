import type { DriverPoint } from './driver.ts';

/** A value that somebody waits to see written. */
export type Command = {
  readonly point: DriverPoint;
  readonly value: string;
  /** @param fault why the device does not have it */
  readonly done: (fault?: string) => void;
};

/** More than anybody waits for; a bus that is slower than its callers says so. */
const MOST = 32;

/** Values to be brought to a device at once, in the order in which they came; none of them outlives its device's absence. */
export class Commands {
  private waiting: Command[] = [];

  get isEmpty(): boolean {
    return this.waiting.length === 0;
  }

  /** @returns resolves with why the device does not have the value, or undefined when it has */
  add(point: DriverPoint, value: string): Promise<string | undefined> {
    if (this.waiting.length >= MOST)
      return Promise.resolve(`${MOST} writes wait for it already: try again later`);
    return new Promise((done) => this.waiting.push({ point, value, done }));
  }

  next(): Command | undefined {
    return this.waiting.shift();
  }

  /** None of those that wait can be brought. */
  fail(fault: string): void {
    const { waiting } = this;
    this.waiting = [];
    for (const { done } of waiting) done(fault);
  }
}
