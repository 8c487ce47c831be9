import { type Clock, withTimeout } from './clock.ts';
import type { Logger } from './log.ts';
import { millis, seconds } from './units.ts';

/** Something with a lifetime that the composition root owns. */
export interface Module {
  readonly name: string;
  /** Resolves when ready to serve; `signal` aborts when the process is to stop. */
  start(signal: AbortSignal): Promise<void>;
  /** Releases everything; safe after a start that failed half-way. */
  stop(): Promise<void>;
}

/** All together have so long to stop, and one of them so long. The process has ten seconds, and the rest is the store's. */
const STOP_LIMIT = seconds(7);
const MODULE_LIMIT = seconds(3);

/** Stops one after the other. One that fails or does not stop in time is left behind with a word in the log: what the others
 * have told must still reach the disk. Never rejects. */
export async function stopInOrder(
  modules: readonly Module[],
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<void> {
  const end = clock.monotonic() + STOP_LIMIT;
  for (const module of modules) {
    const patience = millis(Math.min(MODULE_LIMIT, Math.max(0, end - clock.monotonic())));
    await withTimeout(clock, patience, module.stop(), () => new Error('not in time')).catch((error) => {
      log.error('a module did not stop cleanly', { resource: module.name, error });
    });
  }
}
