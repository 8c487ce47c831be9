import { X509Certificate } from 'node:crypto';
import { type Clock, sleep, type Timer } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { backoffDelays } from '../core/retry.ts';
import type { TimeTrust } from '../core/time-trust.ts';
import { minutes, seconds } from '../core/units.ts';
import type { Certificates } from './certificates.ts';

export type RotationDeps = {
  readonly certificates: Pick<Certificates, 'load' | 'renew'>;
  readonly clock: Clock;
  readonly time: TimeTrust;
  readonly log: Logger;
  /** [0, 1) */
  readonly random: () => number;
  /** There is a new certificate. */
  readonly renewed: () => void;
};

/** The due time is one of the wall clock, which may jump: it is looked at, not waited for. */
const LOOK = minutes(1);
/** @source KubeEdge edge/pkg/edgehub/certificate: 2 s doubled five times, then every 32 s */
const RETRY = { first: seconds(2), factor: 2, cap: seconds(32), jitter: 0.1 };
const EARLIEST = 0.7;
const LATEST = 0.9;

/** Renews the node's certificate between 70 and 90 % of its life, each node at a moment of its own. */
export class Rotation {
  private readonly deps: RotationDeps;
  private readonly abort = new AbortController();
  /** Where in that span; drawn anew for each certificate. */
  private share: number;
  private timer: Timer | undefined;
  private running: Promise<void> | undefined;

  constructor(deps: RotationDeps) {
    this.deps = deps;
    this.share = deps.random();
  }

  start(): void {
    this.timer = this.deps.clock.every(LOOK, () => this.look());
    this.look();
  }

  async stop(): Promise<void> {
    this.timer?.cancel();
    this.abort.abort();
    await this.running;
  }

  private look(): void {
    if (this.running || !this.isDue()) return;
    this.running = this.renew(this.abort.signal).finally(() => {
      this.running = undefined;
    });
  }

  private isDue(): boolean {
    const { certificates, clock, time } = this.deps;
    const stored = certificates.load();
    if (!stored || !time.isTrusted) return false;
    const { validFrom, validTo } = new X509Certificate(stored.cert);
    const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
    const due = from + (to - from) * (EARLIEST + this.share * (LATEST - EARLIEST));
    // An expired one renews nothing: that takes a token.
    return clock.now() >= due && clock.now() < to;
  }

  private async renew(signal: AbortSignal): Promise<void> {
    const { certificates, clock, log, random, renewed } = this.deps;
    const delays = backoffDelays(RETRY, random);
    while (!signal.aborted && this.isDue()) {
      const current = certificates.load();
      if (!current) return;
      try {
        await certificates.renew(current, signal);
        this.share = random();
        return renewed();
      } catch (error) {
        if (signal.aborted) return;
        const wait = delays.next().value;
        log.warn('the certificate could not be renewed', { reason: errorText(error), retryMs: wait });
        await sleep(clock, wait, signal);
      }
    }
  }
}
