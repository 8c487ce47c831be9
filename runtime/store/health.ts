import type { Clock } from '../core/clock.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { type Millis, millis } from '../core/units.ts';

/** Whether what is written reaches the disk, and since when; times are ms since epoch. */
export type StoreHealth =
  | { readonly state: 'ok'; readonly reason?: never; readonly since: number }
  | { readonly state: 'degraded'; readonly reason: string; readonly since: number };

const FIRST_WAIT = 1000;
/** So soon after there is room again the store notices at the latest. */
const LONGEST_WAIT = 10_000;

/** Remembers whether the disk can be written, tells who asked to be told, and times the attempts meanwhile. */
export class HealthKeeper {
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly listeners = new Set<() => void>();
  private health: StoreHealth;
  private failure: EdgeError | undefined;
  private wait = FIRST_WAIT;

  constructor(clock: Clock, log: Logger) {
    this.clock = clock;
    this.log = log;
    this.health = { state: 'ok', since: clock.now() };
  }

  get current(): StoreHealth {
    return this.health;
  }

  get isDegraded(): boolean {
    return this.health.state === 'degraded';
  }

  /** Calls `listener` after each change; returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Nothing reaches the disk.
   * @returns the error for who waits */
  degrade(path: string, cause: unknown): EdgeError {
    const failure = new EdgeError('STORE_WRITE_FAILED', { detail: path, cause });
    const { health } = this;
    const reason = reasonOf(cause);
    this.failure = failure;
    if (health.state === 'degraded' && health.reason === reason) return failure;
    const since = health.state === 'degraded' ? health.since : this.clock.now();
    this.health = { state: 'degraded', reason, since };
    this.log.warn('the database cannot be written: nothing is kept until it can', { error: failure });
    this.tell();
    return failure;
  }

  heal(): void {
    this.wait = FIRST_WAIT;
    this.failure = undefined;
    const { health } = this;
    if (health.state === 'ok') return;
    this.health = { state: 'ok', since: this.clock.now() };
    this.log.info('the database can be written again', { afterMs: this.clock.now() - health.since });
    this.tell();
  }

  /** The error for what is asked for while degraded. */
  refusal(path: string): EdgeError {
    return this.failure ?? new EdgeError('STORE_WRITE_FAILED', { detail: path });
  }

  /** How long to wait before the next attempt; it doubles with each. */
  nextWait(): Millis {
    const { wait } = this;
    this.wait = Math.min(wait * 2, LONGEST_WAIT);
    return millis(wait);
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

function reasonOf(cause: unknown): string {
  const inner = cause instanceof EdgeError && cause.cause !== undefined ? cause.cause : cause;
  return errorText(inner);
}
