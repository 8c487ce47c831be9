import type { Clock } from '../core/clock.ts';
import type { TimeTrust } from '../core/time-trust.ts';
import type { DeviceId } from '../core/units.ts';
import { STATE } from './rule.ts';

type Side = {
  readonly value: string;
  readonly metadata: { readonly timestamp: number; readonly boot?: string; readonly mono?: number };
};

export type CurrentDeps = {
  readonly twins: {
    get(id: DeviceId):
      | {
          readonly state: string;
          readonly twins: ReadonlyMap<string, { readonly actual?: Side }>;
        }
      | undefined;
  };
  readonly clock: Clock;
  readonly time: TimeTrust;
};

/** What a new rule begins with: the value that a property has, when it was heard since edgecore has started. One that lay
 * on the disk may be days old, and a rule must not act on it. */
export function currentValues({ twins, clock, time }: CurrentDeps) {
  const begun = time.moment();
  const monotonic = clock.monotonic();
  let begunAt = time.isTrusted ? clock.now() : Number.POSITIVE_INFINITY;
  time.onArrival(() => {
    begunAt = clock.now() - (clock.monotonic() - monotonic);
  });
  const isFresh = ({ metadata: { boot, mono = 0, timestamp } }: Side): boolean =>
    boot ? boot === begun.boot && mono >= begun.mono : timestamp >= begunAt;
  return (device: DeviceId, property: string): string | undefined => {
    const entry = twins.get(device);
    if (property === STATE) return entry?.state;
    const actual = entry?.twins.get(property)?.actual;
    return actual && isFresh(actual) ? actual.value : undefined;
  };
}
