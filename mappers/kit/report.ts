import type { Millis } from '../../runtime/core/units.ts';

type Last = { readonly value: string; readonly at: number };

/** Report by exception: a value goes up when it differs from the one that went up last, and not more often than its
 * report cycle. */
export class Reporter {
  private readonly last = new Map<string, Last>();

  /** The readings that are due.
   * @param cycles least time between two reports, by property; absent = with every change
   * @param now monotonic */
  due<R extends { readonly property: string; readonly value: string }>(
    readings: readonly R[],
    cycles: ReadonlyMap<string, Millis>,
    now: Millis,
  ): R[] {
    const due = readings.filter(({ property, value }) => {
      const last = this.last.get(property);
      return last === undefined || (last.value !== value && now - last.at >= (cycles.get(property) ?? 0));
    });
    for (const { property, value } of due) this.last.set(property, { value, at: now });
    return due;
  }

  /** Forgets what was reported: the next reading of every property goes up. */
  reset(): void {
    this.last.clear();
  }
}
