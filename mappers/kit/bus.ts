import type { Clock } from '../../runtime/core/clock.ts';
import { backoffDelays } from '../../runtime/core/retry.ts';
import { type Millis, millis, seconds } from '../../runtime/core/units.ts';

/** What went wrong on the wire: the device's refusal, or no sensible answer. After `garbled` and `unreachable` the
 * connection is of no more use; `noise` spoils one exchange, as on a serial line. */
export class WireError extends Error {
  readonly kind: 'exception' | 'timeout' | 'noise' | 'garbled' | 'unreachable';
  /** The device's own code, for an exception. */
  readonly code: number;

  constructor(kind: WireError['kind'], message: string, code = 0) {
    super(message);
    this.name = 'WireError';
    this.kind = kind;
    this.code = code;
  }
}

/** The connection beneath a bus; at most one call at a time is made of it. */
export interface Transport {
  /** Connects; rejects with a WireError `unreachable`. */
  open(): Promise<void>;
  /** Lets go; safe at any time. */
  close(): void;
}

type Job = { readonly run: () => Promise<void>; readonly fail: (error: Error) => void };

const RETRY = { first: seconds(1), factor: 2, cap: seconds(15), jitter: 0.2 };
/** A connection on which nothing has succeeded for so long is opened anew after the next failure. */
const STALE = seconds(3);
const PASSING = new Set<WireError['kind']>(['timeout', 'noise']);

/** The one owner of a connection that several devices may share. Requests take turns, writes before reads.
 * While the connection cannot be opened requests fail at once instead of queueing up. */
export class Bus<T extends Transport> {
  readonly transport: T;
  private readonly clock: Clock;
  private readonly random: () => number;
  private readonly writes: Job[] = [];
  private readonly reads: Job[] = [];
  private running = false;
  private opened = false;
  private stopped = false;
  private delays: Generator<Millis, never>;
  private blockedUntil = 0;
  private blockedBy: WireError | undefined;
  private lastSuccess = 0;

  constructor(deps: { transport: T; clock: Clock; random: () => number }) {
    this.transport = deps.transport;
    this.clock = deps.clock;
    this.random = deps.random;
    this.delays = backoffDelays(RETRY, deps.random);
  }

  /** Runs one exchange when its turn comes.
   * @throws WireError */
  request<R>(kind: 'read' | 'write', exchange: (transport: T) => Promise<R>): Promise<R> {
    return new Promise((resolve, reject) => {
      const run = async (): Promise<void> => resolve(await this.exchange(exchange));
      (kind === 'write' ? this.writes : this.reads).push({ run, fail: reject });
      if (!this.running) void this.work();
    });
  }

  /** Ends: what waits fails, the connection is closed. */
  stop(): void {
    this.stopped = true;
    this.opened = false;
    this.transport.close();
  }

  private async work(): Promise<void> {
    this.running = true;
    for (let job = this.next(); job; job = this.next()) {
      await job.run().catch(job.fail);
    }
    this.running = false;
  }

  private next(): Job | undefined {
    return this.writes.shift() ?? this.reads.shift();
  }

  private async exchange<R>(exchange: (transport: T) => Promise<R>): Promise<R> {
    await this.ensureOpen();
    try {
      const result = await exchange(this.transport);
      this.succeeded();
      return result;
    } catch (error) {
      const wire = error instanceof WireError ? error : new WireError('garbled', String(error));
      if (wire.kind === 'exception') this.succeeded();
      else if (!PASSING.has(wire.kind) || this.clock.monotonic() - this.lastSuccess > STALE) this.drop();
      throw wire;
    }
  }

  private async ensureOpen(): Promise<void> {
    if (this.stopped) throw new WireError('unreachable', 'stopped');
    if (this.opened) return;
    const now = this.clock.monotonic();
    if (this.blockedBy && now < this.blockedUntil) throw this.blockedBy;
    try {
      await this.transport.open();
      if (this.stopped) throw new WireError('unreachable', 'stopped');
      this.opened = true;
      this.blockedBy = undefined;
      this.lastSuccess = this.clock.monotonic();
    } catch (error) {
      this.blockedBy = error instanceof WireError ? error : new WireError('unreachable', String(error));
      this.blockedUntil = this.clock.monotonic() + this.delays.next().value;
      this.transport.close();
      throw this.blockedBy;
    }
  }

  private succeeded(): void {
    this.lastSuccess = this.clock.monotonic();
    this.delays = backoffDelays(RETRY, this.random);
  }

  private drop(): void {
    this.opened = false;
    this.transport.close();
  }
}

/** The time after which a request of a device counts as unanswered, when nothing else is configured. */
export const DEFAULT_TIMEOUT = millis(1000);
