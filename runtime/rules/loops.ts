import { sameText } from './rule.ts';

/** The rules that had a part in what has come; undefined when none had. */
export type Cause = ReadonlySet<string> | undefined;

export type LoopLimit = {
  /** So often, within so long (ms), a rule may set itself off. */
  readonly times: number;
  readonly window: number;
};

type Deed = { readonly chain: ReadonlySet<string>; readonly value: string | undefined; readonly at: number };

/** Deeds that are kept in mind. */
const MOST_DEEDS = 1000;

/** Finds rules that set themselves off, directly or over others: what a rule has written or published is kept in mind, and
 * what then comes in with that value carries the rules that led to it. A thermostat is no loop: the temperature that its
 * heater changes is another value than the one that was written. Bounded. Times are monotonic ms. */
export class Loops {
  private readonly limit: LoopLimit;
  /** What was done last to a property or a topic; the oldest first. */
  private readonly deeds = new Map<string, Deed>();
  /** When a rule has set itself off, within the window. */
  private readonly own = new Map<string, number[]>();

  constructor(limit: LoopLimit) {
    this.limit = limit;
  }

  /** A rule acts on a property or a topic.
   * @param value undefined when whatever comes there is its doing */
  acted(target: string, value: string | undefined, chain: ReadonlySet<string>, now: number): void {
    this.deeds.delete(target);
    this.deeds.set(target, { chain, value, at: now });
    for (const [oldest, { at }] of this.deeds) {
      if (this.deeds.size <= MOST_DEEDS && at + this.limit.window > now) break;
      this.deeds.delete(oldest);
    }
  }

  /** Which rules led to a value that has come. */
  causeOf(target: string, value: string, now: number): Cause {
    const deed = this.deeds.get(target);
    if (!deed || deed.at + this.limit.window <= now) return undefined;
    return deed.value === undefined || sameText(deed.value, value) ? deed.chain : undefined;
  }

  /** A rule acts because of something.
   * @returns the rules that have a part in what it does; undefined when it has set itself off too often */
  fires(rule: string, cause: Cause, now: number): ReadonlySet<string> | undefined {
    if (!cause?.has(rule)) return new Set(cause).add(rule);
    const times = (this.own.get(rule) ?? []).filter((at) => at + this.limit.window > now);
    times.push(now);
    this.own.set(rule, times);
    return times.length > this.limit.times ? undefined : cause;
  }

  forget(rule: string): void {
    this.own.delete(rule);
  }
}
