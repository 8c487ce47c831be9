import type { Clock, Timer } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { millis, seconds } from '../core/units.ts';
import { Checkpoints } from './checkpoints.ts';
import { CommitWindow } from './commit-window.ts';
import type { HealthKeeper } from './health.ts';
import type { Redo } from './redo.ts';
import type { Sql } from './sql.ts';
import { Turn } from './turn.ts';
import type { Volume } from './volume.ts';

/** How long bookkeeping may wait for a commit of its own. */
const LAZY_WINDOW = seconds(10);
/** While nothing is committed so many writes wait to be asked for, before they are asked early. */
const MOST_DEFERRED = 10_000;

type Waiter = { resolve: () => void; reject: (error: Error) => void };

type Awaited = { readonly prepare: () => (() => void) | undefined; readonly waiter: Waiter };

/** Groups writes into transactions and makes them durable off the event loop.
 *
 * Every write goes at once into the open transaction, so that later reads see it. The commit appends to the WAL
 * without syncing; an asynchronous fdatasync of the WAL file then makes the whole batch durable, and only then the
 * waiting answers leave. Bookkeeping does not start a sync: it rides along, or is committed after {@link LAZY_WINDOW}.
 *
 * When a commit or a sync fails, who waits is refused, and so is who comes meanwhile; bookkeeping is done again in a new
 * transaction, which is tried again and again until the disk takes it. */
export class GroupCommit {
  /** Transactions committed. */
  commits = 0;
  private readonly deps: GroupCommitDeps;
  private readonly window = new CommitWindow();
  private readonly checkpoints: Checkpoints;
  private waiters: Waiter[] = [];
  private awaited: Awaited[] = [];
  private deferred: (() => void)[] = [];
  private open = false;
  private timer: Timer | undefined;
  /** When bookkeeping is committed at the latest, monotonic. */
  private lazyAt: number | undefined;
  /** When the timer fires, monotonic. */
  private timerAt = Number.POSITIVE_INFINITY;
  private retryTimer: Timer | undefined;
  /** Held by the sync or checkpoint under way: no commit starts meanwhile. */
  private readonly disk: Turn;
  private isClosed = false;

  constructor(deps: GroupCommitDeps) {
    this.deps = deps;
    this.checkpoints = new Checkpoints(deps);
    this.disk = new Turn(deps.clock);
    deps.sql.onWrite = (write) => deps.redo.note(write);
    if (deps.health.isDegraded) this.retryLater();
  }

  /** Runs `work` in the open transaction.
   * @returns a promise that resolves when it is on disk; rejects with STORE_WRITE_FAILED: it is not, as far as anybody knows */
  durable(work: () => void): Promise<void> {
    if (this.deps.health.isDegraded) return Promise.reject(this.refusal());
    try {
      this.write(work, false);
    } catch (error) {
      if (isSqlError(error)) return Promise.reject(this.failure(error));
      throw error;
    }
    return new Promise((resolve, reject) => {
      this.waiters.push({ resolve, reject });
      this.arrived(0);
    });
  }

  /** Runs `work` in the open transaction; it reaches the disk with the next batch or within ten seconds. Never throws.
   * For what is sampled again anyway. */
  lazy(work: () => void): void {
    this.writeQuietly(work);
    this.scheduleLazy();
  }

  /** Asks `prepare` what to write when the next batch is about to be committed, soon: what became needless by then is
   * never written.
   * @returns a promise that resolves when it is on disk, at once when there was nothing; rejects as {@link durable} */
  atCommit(prepare: () => (() => void) | undefined): Promise<void> {
    if (this.deps.health.isDegraded) return Promise.reject(this.refusal());
    return new Promise((resolve, reject) => {
      this.awaited.push({ prepare, waiter: { resolve, reject } });
      this.arrived(0);
    });
  }

  /** One more of what an {@link atCommit} is about to write is waited for. */
  arrived(bytes: number): void {
    if (this.deps.health.isDegraded) return;
    this.window.arrived(this.deps.clock.monotonic(), bytes);
    this.schedule();
  }

  /** Has `work` write with the next batch: bookkeeping that changes often between two commits is written once. */
  withCommit(work: () => void): void {
    this.deferred.push(work);
    if (this.deferred.length > MOST_DEFERRED) this.runDeferred();
    this.scheduleLazy();
  }

  get checkpointCount(): number {
    return this.checkpoints.done;
  }

  /** Tells of a large row, which fills pages of the WAL. */
  weigh(bytes: number): void {
    this.checkpoints.weigh(bytes);
  }

  /** Ms since when a sync is under way, or a commit is due that does not come; 0 when neither. */
  get stalledFor(): number {
    return Math.max(0, this.deps.clock.monotonic() - (this.disk.takenAt ?? this.timerAt));
  }

  /** Commits and syncs what is open. */
  async flush(): Promise<void> {
    await this.disk.free();
    if (this.hasWork) await this.commit(true);
  }

  async close(): Promise<void> {
    await this.disk.free();
    if (this.deps.health.isDegraded) await this.retry();
    else await this.flush();
    this.isClosed = true;
    this.timer?.cancel();
    this.retryTimer?.cancel();
    this.checkpoints.stop();
    await this.checkpoint();
  }

  private get hasWork(): boolean {
    return this.open || this.deferred.length > 0 || this.awaited.length > 0;
  }

  private refusal(): EdgeError {
    return this.deps.health.refusal(this.deps.volume.path);
  }

  private failure(cause: unknown): EdgeError {
    return new EdgeError('STORE_WRITE_FAILED', { detail: this.deps.volume.path, cause });
  }

  private begin(): void {
    if (this.open) return;
    this.deps.sql.exec('BEGIN');
    this.open = true;
  }

  private write(work: () => void, isLazy: boolean): void {
    const { sql, redo } = this.deps;
    this.begin();
    // A failed piece of work must not take its neighbours' along.
    sql.exec('SAVEPOINT piece');
    redo.recording = isLazy;
    try {
      work();
    } catch (error) {
      redo.recording = false;
      redo.dropPiece();
      if (sql.inTransaction) sql.exec('ROLLBACK TO piece; RELEASE piece');
      else this.fail(error, []); // SQLite itself has rolled everything back, also what others wait for
      throw error;
    }
    redo.recording = false;
    redo.keepPiece();
    sql.exec('RELEASE piece');
  }

  private writeQuietly(work: () => void): void {
    try {
      this.write(work, true);
    } catch (error) {
      this.deps.log.error('a write failed', { error });
    }
  }

  private scheduleLazy(): void {
    if (this.deps.health.isDegraded) return; // the retry takes it along
    this.lazyAt ??= this.deps.clock.monotonic() + LAZY_WINDOW;
    this.schedule();
  }

  private schedule(): void {
    const due = Math.min(
      this.window.dueAt ?? Number.POSITIVE_INFINITY,
      this.lazyAt ?? Number.POSITIVE_INFINITY,
    );
    // A timer that fires early finds out that it is not time yet: cheaper than one for each message.
    if (due < this.timerAt) this.setTimer(due);
  }

  private setTimer(at: number): void {
    const { clock } = this.deps;
    this.timer?.cancel();
    this.timerAt = at;
    this.timer = clock.after(millis(Math.max(0, at - clock.monotonic())), () => this.due());
  }

  private clearTimer(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.timerAt = Number.POSITIVE_INFINITY;
  }

  private due(): void {
    this.clearTimer();
    // While a sync is under way its end starts the next commit: the slower the card, the larger the batch.
    if (this.disk.isTaken || !this.hasWork) return;
    const now = this.deps.clock.monotonic();
    const isLazyDue = this.lazyAt !== undefined && this.lazyAt <= now;
    const isDue = this.window.dueAt !== undefined && this.window.dueAt <= now;
    if (isLazyDue || isDue) void this.commit(isLazyDue);
    else this.schedule();
  }

  /** @param all also when nobody waits for anything */
  private async commit(all: boolean): Promise<void> {
    const { volume, clock, health } = this.deps;
    if (health.isDegraded) return; // only the retry commits
    let waiters: Waiter[] = [];
    try {
      waiters = this.endTransaction(all);
      if (waiters.length > 0) await this.disk.hold(() => volume.syncWal());
    } catch (error) {
      this.fail(error, waiters);
      return;
    }
    for (const waiter of waiters) waiter.resolve();
    this.window.answered(clock.monotonic());
    if (this.checkpoints.isDue) await this.checkpoint();
    this.goOn();
  }

  /** Commits, unless nobody waits and not `all` is meant.
   * @returns who waits for a sync
   * @throws when the disk does not take it; they still wait then */
  private endTransaction(all: boolean): Waiter[] {
    this.clearTimer();
    this.window.taken(this.deps.clock.monotonic());
    this.askAwaited();
    if (!all && this.waiters.length === 0) return [];
    this.runDeferred();
    this.lazyAt = undefined;
    if (this.open) this.commitNow();
    const { waiters } = this;
    this.waiters = [];
    return waiters;
  }

  private commitNow(): void {
    this.deps.sql.exec('COMMIT');
    this.open = false;
    this.deps.redo.clear();
    this.commits++;
    this.checkpoints.committed();
  }

  private goOn(): void {
    if (this.isClosed || this.deps.health.isDegraded) return;
    if (this.hasWork) this.scheduleLazy();
    else
      this.checkpoints.watchIdle(() => {
        if (!this.hasWork && !this.disk.isTaken) void this.checkpoint();
      });
  }

  /** Asks those whose answer somebody waits for what is still to be written. */
  private askAwaited(): void {
    const awaited = this.awaited;
    this.awaited = [];
    for (const { prepare, waiter } of awaited) {
      try {
        const work = prepare();
        if (work) this.write(work, false);
        if (work) this.waiters.push(waiter);
        else waiter.resolve();
      } catch (error) {
        const failure = this.failure(error);
        this.deps.log.error('a write failed', { error: failure });
        waiter.reject(failure);
      }
    }
  }

  private runDeferred(): void {
    const deferred = this.deferred;
    this.deferred = [];
    for (const work of deferred) this.writeQuietly(work);
  }

  /** The disk did not take the batch: who waits is told, and bookkeeping goes into the next one. */
  private fail(cause: unknown, waiters: readonly Waiter[]): void {
    const { health, volume } = this.deps;
    this.rollBack();
    const failure = health.degrade(volume.path, cause);
    const refused = [...waiters, ...this.waiters, ...this.awaited.map(({ waiter }) => waiter)];
    this.waiters = [];
    this.awaited = [];
    this.lazyAt = undefined;
    this.clearTimer();
    this.window.taken(this.deps.clock.monotonic());
    for (const waiter of refused) waiter.reject(failure);
    this.retryLater();
  }

  private rollBack(): void {
    const { sql, redo, log } = this.deps;
    try {
      if (sql.inTransaction) sql.exec('ROLLBACK');
      this.open = false;
      if (redo.size > 0) {
        this.begin();
        redo.replay(sql);
      }
    } catch (error) {
      log.error('the database cannot be read', { error });
    }
  }

  private retryLater(): void {
    if (this.isClosed) return;
    const { clock, health } = this.deps;
    this.retryTimer?.cancel();
    this.retryTimer = clock.after(health.nextWait(), () => {
      if (this.disk.isTaken) this.retryLater();
      else void this.retry();
    });
  }

  /** Tries whether the disk takes what waits, and at least a page when nothing does. */
  private async retry(): Promise<void> {
    const { volume, health } = this.deps;
    this.retryTimer?.cancel();
    try {
      if (!volume.isAtHome || !volume.isTrusted) await this.disk.hold(() => this.comeHome());
      this.runDeferred();
      this.begin();
      volume.touch();
      this.commitNow();
      await this.disk.hold(() => volume.syncWal());
    } catch (error) {
      this.fail(error, []);
      return;
    }
    this.retryTimer?.cancel();
    health.heal();
    this.goOn();
  }

  /** Goes back to the file, or on to one that is written anew, with what was written meanwhile. */
  private async comeHome(): Promise<void> {
    const { volume, sql } = this.deps;
    if (sql.inTransaction && !volume.isTrusted) sql.exec('ROLLBACK'); // what was not awaited is in the redo
    this.open = sql.inTransaction;
    await volume.comeHome();
    this.rollBack();
  }

  private async checkpoint(): Promise<void> {
    const { health, volume, log } = this.deps;
    if (!this.checkpoints.isNeeded || health.isDegraded) return;
    try {
      await this.disk.hold(() => this.checkpoints.run(() => this.endAndSync()));
    } catch (error) {
      if (!health.isDegraded && volume.isTrusted)
        log.warn('checkpoint failed, the WAL goes on growing', { error });
      else if (!health.isDegraded) this.fail(error, []);
    }
    this.goOn();
  }

  /** Under load a transaction was opened meanwhile, and while one is open there is no checkpoint: it ends here. Its sync
   * does not give way, because what came in between would open another; the WAL's bulk is on disk already. */
  private endAndSync(): void {
    if (!this.open) return;
    let waiters: Waiter[] = [];
    try {
      waiters = this.endTransaction(true);
      this.deps.volume.syncWalNow();
    } catch (error) {
      this.fail(error, waiters);
      throw error;
    }
    for (const waiter of waiters) waiter.resolve();
    this.window.answered(this.deps.clock.monotonic());
  }
}

export type GroupCommitDeps = {
  readonly sql: Sql;
  readonly redo: Redo;
  readonly volume: Volume;
  readonly health: HealthKeeper;
  readonly clock: Clock;
  readonly log: Logger;
};

/** The library's errors, which are about the database; any other is a mistake of the caller. */
function isSqlError(error: unknown): boolean {
  return error instanceof Error && error.name === 'SQLite3Error';
}
