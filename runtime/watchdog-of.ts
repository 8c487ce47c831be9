import type { DriverMapper } from '../mappers/kit/mapper.ts';
import { minutes } from './core/units.ts';
import { Watchdog, type WatchdogDeps } from './host/watchdog.ts';
import { type SnapshotParts, statusLine } from './snapshot.ts';
import type { Store } from './store/store.ts';

/** A checkpoint on a worn card may take a minute. */
const STORE_LIMIT = minutes(2);
/** A request with the longest timeout, the longest delay and all retries takes 13 minutes. */
const MAPPER_LIMIT = minutes(15);

/** The watchdog over those parts whose standstill only a new start ends. Plugins, and mappers in processes of their own,
 * have a watch of their own. */
export function watchdogOf(
  deps: Omit<WatchdogDeps, 'pulses' | 'status'> &
    Pick<SnapshotParts, 'twins' | 'hub' | 'agent'> & {
      readonly store: Store;
      readonly mappers: readonly DriverMapper[];
    },
): Watchdog {
  const { store, mappers } = deps;
  return new Watchdog({
    ...deps,
    status: () => statusLine(deps),
    pulses: [
      { name: 'store', limit: STORE_LIMIT, stalledFor: () => store.stalledFor() },
      ...mappers.map((mapper) => ({
        name: `mapper ${mapper.name}`,
        limit: MAPPER_LIMIT,
        stalledFor: () => mapper.stalledFor(),
      })),
    ],
  });
}
