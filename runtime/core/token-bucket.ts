import type { Clock } from './clock.ts';
import { type Millis, millis } from './units.ts';

/** Says how much may go now: `rate` a second on average, `burst` at once. */
export class TokenBucket {
  private readonly clock: Clock;
  private readonly rate: number;
  private readonly burst: number;
  private tokens: number;
  private filledAt: number;

  constructor(deps: { readonly clock: Clock; readonly rate: number; readonly burst: number }) {
    this.clock = deps.clock;
    this.rate = deps.rate;
    this.burst = deps.burst;
    this.tokens = deps.burst;
    this.filledAt = deps.clock.monotonic();
  }

  get hasToken(): boolean {
    return this.level >= 1;
  }

  /** Tokens that are there, with fractions. */
  get level(): number {
    this.refill();
    return this.tokens;
  }

  take(): void {
    this.refill();
    this.tokens--;
  }

  /** How long until there is a token. */
  get wait(): Millis {
    this.refill();
    return millis(Math.max(0, Math.ceil(((1 - this.tokens) / this.rate) * 1000)));
  }

  private refill(): void {
    const now = this.clock.monotonic();
    this.tokens = Math.min(this.burst, this.tokens + ((now - this.filledAt) / 1000) * this.rate);
    this.filledAt = now;
  }
}
