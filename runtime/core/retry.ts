import { type Millis, millis } from './units.ts';

export type Backoff = {
  readonly first: Millis;
  readonly factor: number;
  readonly cap: Millis;
  /** 0.2 spreads each delay over ±20 %, so that a fleet does not come back in step. */
  readonly jitter: number;
};

/** Yields the waits between attempts, for ever; `random` returns [0, 1).
 * Jitter never lifts a delay over the cap. */
export function* backoffDelays(schedule: Backoff, random: () => number): Generator<Millis, never> {
  for (let base: number = schedule.first; ; base = Math.min(base * schedule.factor, schedule.cap)) {
    const spread = 1 + (random() * 2 - 1) * schedule.jitter;
    yield millis(Math.min(Math.round(base * spread), schedule.cap));
  }
}
