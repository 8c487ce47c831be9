import type { Clock } from '../../runtime/core/clock.ts';
import { backoffDelays } from '../../runtime/core/retry.ts';
import { type Millis, seconds } from '../../runtime/core/units.ts';
import type { Connection } from './driver.ts';
import { WireError, wireError } from './wire-error.ts';

export type BusDeps<C extends Connection> = {
  /** Opens it; rejects with a WireError `unreachable`. At most one call at a time is made. */
  readonly connect: () => Promise<C>;
  readonly clock: Clock;
  /** [0, 1) */
  readonly random: () => number;
  /** Resolves when the one who had the bus before has let go of it. */
  readonly free?: Promise<void>;
};

/** Is told when the bus opens, and when it is lost between two requests. */
export type BusWatcher<C extends Connection> = {
  opened(connection: C): void;
  lost(error: WireError): void;
};

type Job = { readonly run: () => Promise<void>; readonly fail: (error: Error) => void };

const RETRY = { first: seconds(1), factor: 2, cap: seconds(15), jitter: 0.2 };
/** A connection on which nothing has succeeded for so long is opened anew after the next failure. */
const STALE = seconds(3);
const ANSWERED = new Set<WireError['kind']>(['exception']);
const PASSING = new Set<WireError['kind']>(['timeout', 'noise', 'refused']);

/** The one owner of a connection that several devices may share. Requests take turns, writes before reads, and each
 * device asks once a round. While the connection cannot be opened requests fail at once instead of queueing up. */
export class Bus<C extends Connection = Connection> {
  /** The devices that share it, and those of them that do not answer. */
  readonly members = new Set<object>();
  readonly away = new Set<object>();
  private readonly deps: BusDeps<C>;
  private readonly writes: Job[] = [];
  private readonly reads: Job[] = [];
  private readonly watchers = new Set<BusWatcher<C>>();
  private running = false;
  private connection: C | undefined;
  /** Resolves when the last connection has let go. */
  private free: Promise<void>;
  private stopped = false;
  /** Resolves when an attempt to open it has come to its end, good or bad. */
  private opening: Promise<unknown> | undefined;
  /** The waits between attempts to open it; absent while it works. */
  private delays: Generator<Millis, never> | undefined;
  private blockedUntil = 0;
  private blockedBy: WireError | undefined;
  private lastSuccess = 0;
  private movedAt: number;

  constructor(deps: BusDeps<C>) {
    this.deps = deps;
    this.free = deps.free ?? Promise.resolve();
    this.movedAt = deps.clock.monotonic();
  }

  /** When it last began or ended a request, monotonic. */
  get lastMove(): number {
    return this.movedAt;
  }

  /** Runs one exchange when its turn comes.
   * @throws WireError */
  request<R>(kind: 'read' | 'write', exchange: (connection: C) => Promise<R>): Promise<R> {
    return new Promise((resolve, reject) => {
      const run = async (): Promise<void> => resolve(await this.exchange(exchange));
      (kind === 'write' ? this.writes : this.reads).push({ run, fail: reject });
      if (!this.running) void this.work();
    });
  }

  /** @returns how to stop watching */
  watch(watcher: BusWatcher<C>): () => void {
    this.watchers.add(watcher);
    if (this.connection) watcher.opened(this.connection);
    return () => this.watchers.delete(watcher);
  }

  /** Ends: what waits fails, the connection is closed.
   * @returns resolves when the connection has let go */
  async stop(): Promise<void> {
    this.stopped = true;
    this.drop();
    await this.opening;
    await this.free;
  }

  private async work(): Promise<void> {
    this.running = true;
    for (let job = this.next(); job; job = this.next()) {
      this.movedAt = this.deps.clock.monotonic();
      await job.run().catch(job.fail);
      this.movedAt = this.deps.clock.monotonic();
    }
    this.running = false;
  }

  private next(): Job | undefined {
    return this.writes.shift() ?? this.reads.shift();
  }

  private async exchange<R>(exchange: (connection: C) => Promise<R>): Promise<R> {
    const connection = await this.ensureOpen();
    try {
      const result = await exchange(connection);
      this.succeeded();
      return result;
    } catch (error) {
      const wire = wireError(error);
      if (ANSWERED.has(wire.kind)) this.succeeded();
      else if (!PASSING.has(wire.kind) || this.deps.clock.monotonic() - this.lastSuccess > STALE) this.drop();
      throw wire;
    }
  }

  private async ensureOpen(): Promise<C> {
    if (this.stopped) throw new WireError('unreachable', 'stopped');
    if (this.connection) return this.connection;
    const { clock, connect } = this.deps;
    if (this.blockedBy && clock.monotonic() < this.blockedUntil) throw this.blockedBy;
    try {
      await this.free;
      const opening = connect();
      this.opening = opening.catch(() => {});
      const connection = await opening;
      if (this.stopped) {
        this.letGo(connection);
        throw new WireError('unreachable', 'stopped');
      }
      this.opened(connection);
      return connection;
    } catch (error) {
      this.blockedBy = wireError(error, 'unreachable');
      this.delays ??= backoffDelays(RETRY, this.deps.random);
      this.blockedUntil = clock.monotonic() + this.delays.next().value;
      throw this.blockedBy;
    }
  }

  private opened(connection: C): void {
    this.connection = connection;
    this.blockedBy = undefined;
    this.lastSuccess = this.deps.clock.monotonic();
    void connection.lost?.then((reason) => this.lost(connection, reason));
    for (const watcher of this.watchers) watcher.opened(connection);
  }

  /** The next request opens it anew: a peer that closes what it does not use is no fault. */
  private lost(connection: C, reason: string): void {
    if (this.connection !== connection) return;
    this.drop();
    for (const watcher of this.watchers) watcher.lost(new WireError('unreachable', reason));
  }

  private succeeded(): void {
    this.lastSuccess = this.deps.clock.monotonic();
    this.delays = undefined;
  }

  private drop(): void {
    const { connection } = this;
    this.connection = undefined;
    if (connection) this.letGo(connection);
  }

  private letGo(connection: C): void {
    this.free = Promise.resolve(connection.close()).catch(() => {}); // it is of no more use either way
  }
}
