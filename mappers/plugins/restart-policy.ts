import { backoffDelays } from '../../runtime/core/retry.ts';
import { type Millis, minutes, seconds } from '../../runtime/core/units.ts';

/** A worker that ran for so long counts as healthy: what ended it was no part of a loop. */
const STEADY = minutes(1);
/** Ends in a row before the plugin is set aside. */
const PATIENCE = 3;
const QUICK = { first: seconds(1), factor: 2, cap: seconds(4), jitter: 0.2 };
const LONG = { first: minutes(1), factor: 2, cap: minutes(15), jitter: 0.2 };

/** When a worker that has ended is started again. */
export class RestartPolicy {
  private readonly random: () => number;
  private ends = 0;
  private quick: Generator<Millis, never>;
  private long: Generator<Millis, never>;

  /** @param random [0, 1) */
  constructor(random: () => number) {
    this.random = random;
    this.quick = backoffDelays(QUICK, random);
    this.long = backoffDelays(LONG, random);
  }

  /** @param ranFor how long it had run */
  ended(ranFor: Millis): { readonly wait: Millis; readonly quarantined: boolean } {
    if (ranFor >= STEADY) this.reset();
    const quarantined = ++this.ends >= PATIENCE;
    return { wait: (quarantined ? this.long : this.quick).next().value, quarantined };
  }

  /** Another version runs: it has a record of its own. */
  reset(): void {
    this.ends = 0;
    this.quick = backoffDelays(QUICK, this.random);
    this.long = backoffDelays(LONG, this.random);
  }
}
