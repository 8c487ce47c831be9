import { type Millis, millis } from './units.ts';

/** A pending timer; `cancel` may be called any number of times. */
export interface Timer {
  cancel(): void;
}

/** The only source of time for everything with a lifetime, so that tests can turn it by hand. */
export interface Clock {
  /** Wall clock, ms since epoch. May jump either way (no RTC, NTP): never use it to measure a duration. */
  now(): Millis;
  /** Monotonic ms since an arbitrary start. */
  monotonic(): Millis;
  /** Calls `task` once after `delay`. */
  after(delay: Millis, task: () => void): Timer;
  /** Calls `task` every `period`, first after one period. */
  every(period: Millis, task: () => void): Timer;
}

/** Node's own clocks. Timers keep the process alive, as the modules they serve do. */
export const systemClock: Clock = {
  now: () => millis(Date.now()),
  monotonic: () => millis(performance.now()),
  after(delay, task) {
    const handle = setTimeout(task, delay);
    return { cancel: () => clearTimeout(handle) };
  },
  every(period, task) {
    const handle = setInterval(task, period);
    return { cancel: () => clearInterval(handle) };
  },
};

/** Resolves after `delay`, or at once when `signal` aborts (it never rejects: callers look at the signal). */
export function sleep(clock: Clock, delay: Millis, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.after(delay, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Settles as `work` does, or rejects with `late()` when it takes longer than `limit`. The work itself is not stopped. */
export function withTimeout<T>(clock: Clock, limit: Millis, work: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(limit, () => reject(late()));
    work.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}

/** A signal that aborts when `signal` does, and after `limit`; `done` lets go of both. Node's own `AbortSignal.timeout` runs
 * by another clock than the tests', and may be collected as garbage before it fires. */
export function deadline(
  clock: Clock,
  limit: Millis,
  signal: AbortSignal,
): { readonly signal: AbortSignal; done(): void } {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  const timer = clock.after(limit, abort);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  return {
    signal: controller.signal,
    done: () => {
      timer.cancel();
      signal.removeEventListener('abort', abort);
    },
  };
}
