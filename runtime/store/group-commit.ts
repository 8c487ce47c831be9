import { close, closeSync, fdatasync, fdatasyncSync, open, openSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Clock, Timer } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { millis, seconds } from '../core/units.ts';
import type { Database } from './database.ts';

const openFile = promisify(open);
const closeFile = promisify(close);
const dataSync = promisify(fdatasync);

/** How long a first durable write waits for company; one sync then serves all of them. */
const WINDOW = millis(4);
/** How long bookkeeping may wait for a commit of its own. */
const LAZY_WINDOW = seconds(10);
/** A checkpoint runs once this long passed without a commit... */
const IDLE = seconds(30);
/** ...or after this many commits, however busy it is, so that the WAL stays at a few megabytes; a commit of large rows
 * counts once for each page of them. */
const COMMITS_PER_CHECKPOINT = 500;
const PAGE = 4096;
/** Pieces of bookkeeping that are written again after a failed commit; of more the oldest go. */
const MOST_REPEATED = 10_000;

type Waiter = { resolve: () => void; reject: (error: Error) => void };

type Deferred = {
  readonly prepare: () => (() => void) | undefined;
  readonly waiter: Waiter | undefined;
};

export type GroupCommitStats = { commits: number; syncs: number; checkpoints: number };

/** Groups writes into transactions and makes them durable off the event loop.
 *
 * Every write goes at once into the open transaction, so that later reads see it. The commit appends to the WAL
 * without syncing; an asynchronous fdatasync of the WAL file then makes the whole batch durable, and only then the
 * waiting answers leave. Bookkeeping does not start a sync: it rides along, or is committed after {@link LAZY_WINDOW}. */
export class GroupCommit {
  readonly stats: GroupCommitStats = { commits: 0, syncs: 0, checkpoints: 0 };
  private readonly db: Database;
  private readonly path: string;
  private readonly clock: Clock;
  private readonly log: Logger;
  private waiters: Waiter[] = [];
  private deferred: Deferred[] = [];
  /** Bookkeeping in the open transaction. */
  private bookkeeping: (() => void)[] = [];
  private open = false;
  private timer: Timer | undefined;
  private urgent = false;
  private isClosed = false;
  /** When the first write of the coming batch that somebody waits for came; undefined while there is none. */
  private awaitedSince: number | undefined;
  /** Commits at the last checkpoint; before the first the WAL may hold what the last process wrote. */
  private checkpointedAt = -1;
  /** Commits since the last checkpoint, and the pages of large rows. */
  private walWeight = 0;
  private idleTimer: Timer | undefined;
  /** The sync or checkpoint under way; commits wait behind it. */
  private busy: Promise<void> | undefined;

  constructor(deps: { db: Database; path: string; clock: Clock; log: Logger }) {
    this.db = deps.db;
    this.path = deps.path;
    this.clock = deps.clock;
    this.log = deps.log;
  }

  /** Runs `work` in the open transaction.
   * @returns a promise that resolves when it is on disk; rejects with STORE_WRITE_FAILED, then nothing of the batch is */
  durable(work: () => void): Promise<void> {
    this.write(work);
    return new Promise((resolve, reject) => {
      this.waiters.push({ resolve, reject });
      this.schedule(true);
    });
  }

  /** Runs `work` in the open transaction; it reaches the disk with the next batch or within ten seconds.
   * For what is sampled again anyway. When that commit fails, `work` runs again for the next. */
  lazy(work: () => void): void {
    this.write(work);
    this.bookkeeping.push(work);
    this.schedule(false);
  }

  /** Asks `prepare` what to write when the next batch is about to be committed, soon: what became needless by then is
   * never written.
   * @returns a promise that resolves when it is on disk, at once when there was nothing; rejects as {@link durable} */
  atCommit(prepare: () => (() => void) | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.deferred.push({ prepare, waiter: { resolve, reject } });
      this.schedule(true);
    });
  }

  /** Has `work` write with the next batch: bookkeeping that changes often between two commits is written once. When that
   * commit fails, `work` runs again for the next. */
  withCommit(work: () => void): void {
    this.deferred.push({ prepare: () => work, waiter: undefined });
    this.schedule(false);
  }

  /** Tells of a large row, which fills pages of the WAL. */
  weigh(bytes: number): void {
    this.walWeight += Math.floor(bytes / PAGE);
  }

  /** Commits and syncs what is open. */
  async flush(): Promise<void> {
    while (this.busy) await this.busy;
    if (this.hasWork) await this.commit();
  }

  async close(): Promise<void> {
    await this.flush();
    this.isClosed = true;
    this.timer?.cancel();
    this.idleTimer?.cancel();
    await this.checkpoint();
  }

  private get hasWork(): boolean {
    return this.open || this.deferred.length > 0;
  }

  private write(work: () => void): void {
    if (!this.open) {
      this.db.exec('BEGIN');
      this.open = true;
    }
    // A failed piece of work must not take its neighbours' along.
    this.db.exec('SAVEPOINT piece');
    try {
      work();
    } catch (error) {
      this.db.exec('ROLLBACK TO piece');
      throw error;
    } finally {
      this.db.exec('RELEASE piece');
    }
  }

  private schedule(urgent: boolean): void {
    if (this.isClosed) return;
    if (urgent) this.awaitedSince ??= this.clock.monotonic();
    if (this.timer && (this.urgent || !urgent)) return;
    this.timer?.cancel();
    this.urgent = urgent;
    // What came while the last batch was synced has waited already.
    const waited = this.clock.monotonic() - (this.awaitedSince ?? 0);
    const wait = urgent ? millis(Math.max(0, WINDOW - waited)) : LAZY_WINDOW;
    this.timer = this.clock.after(wait, () => {
      this.timer = undefined;
      this.urgent = false;
      // While a sync is under way its end starts the next commit: the slower the card, the larger the batch.
      if (!this.busy && this.hasWork) void this.commit();
    });
  }

  private async commit(): Promise<void> {
    const waiters = this.endTransaction();
    if (waiters.length > 0) await this.hold(() => this.syncFor(waiters));
    if (this.walWeight >= COMMITS_PER_CHECKPOINT) await this.checkpoint();
    else if (this.hasWork) this.scheduleNext();
    else this.watchIdle();
  }

  /** Commits; when that fails, those who wait are told, and bookkeeping begins the next transaction.
   * @returns who waits for a sync */
  private endTransaction(): Waiter[] {
    this.timer?.cancel();
    this.timer = undefined;
    this.urgent = false;
    this.awaitedSince = undefined;
    this.runDeferred();
    const { waiters, bookkeeping } = this;
    this.waiters = [];
    this.bookkeeping = [];
    if (!this.open) return waiters;
    try {
      this.db.exec('COMMIT');
      this.open = false;
      this.stats.commits++;
      this.walWeight++;
      return waiters;
    } catch (error) {
      if (this.db.inTransaction) this.db.exec('ROLLBACK');
      this.open = false;
      this.refuse(waiters, error);
      for (const work of bookkeeping.slice(-MOST_REPEATED)) this.repeat(work);
      return [];
    }
  }

  private repeat(work: () => void): void {
    try {
      this.write(work);
      this.bookkeeping.push(work);
    } catch (error) {
      this.log.error('a write failed', { error });
    }
  }

  private async syncFor(waiters: readonly Waiter[]): Promise<void> {
    try {
      await this.sync(`${this.path}-wal`);
    } catch (error) {
      // What the kernel could not write may be a hole in the WAL, which would swallow all that follows: start it over.
      this.walWeight = COMMITS_PER_CHECKPOINT;
      return this.refuse(waiters, error);
    }
    for (const waiter of waiters) waiter.resolve();
  }

  private refuse(waiters: readonly Waiter[], cause: unknown): void {
    const failure = new EdgeError('STORE_WRITE_FAILED', { detail: this.path, cause });
    this.log.error('commit failed', { error: failure });
    for (const waiter of waiters) waiter.reject(failure);
  }

  private runDeferred(): void {
    const deferred = this.deferred;
    this.deferred = [];
    for (const { prepare, waiter } of deferred) {
      try {
        const work = prepare();
        if (work) this.write(work);
        if (work && waiter) this.waiters.push(waiter);
        else if (work) this.bookkeeping.push(work);
        else waiter?.resolve();
      } catch (error) {
        const failure = new EdgeError('STORE_WRITE_FAILED', { detail: this.path, cause: error });
        this.log.error('a write failed', { error: failure });
        waiter?.reject(failure);
      }
    }
  }

  /** While `work`, which does not reject, runs no commit starts. */
  private async hold(work: () => Promise<void>): Promise<void> {
    while (this.busy) await this.busy;
    this.busy = work();
    await this.busy;
    this.busy = undefined;
  }

  /** For what came while a sync was under way. */
  private scheduleNext(): void {
    this.schedule(this.waiters.length > 0 || this.deferred.some(({ waiter }) => waiter));
  }

  private watchIdle(): void {
    this.idleTimer?.cancel();
    if (this.isClosed) return;
    this.idleTimer = this.clock.after(IDLE, () => {
      if (!this.hasWork && !this.busy) void this.checkpoint();
    });
  }

  /** Moves the WAL's pages into the database file: WAL synced before, database synced after, and no commit between,
   * because the first one afterwards starts the WAL over. */
  private async checkpoint(): Promise<void> {
    if (this.checkpointedAt === this.stats.commits) return;
    await this.hold(() => this.copyPages());
    if (this.hasWork) this.scheduleNext();
  }

  private async copyPages(): Promise<void> {
    try {
      this.walWeight = 0;
      await this.sync(`${this.path}-wal`);
      this.endAndSync();
      this.db.exec('PRAGMA wal_checkpoint(PASSIVE)');
      const commits = this.stats.commits;
      await this.sync(this.path);
      this.checkpointedAt = commits;
      this.stats.checkpoints++;
    } catch (error) {
      this.log.warn('checkpoint failed, the WAL goes on growing', { error });
    }
  }

  /** Under load a transaction was opened meanwhile, and while one is open there is no checkpoint: it ends here. Its sync
   * does not give way, because what came in between would open another; the WAL's bulk is on disk already. */
  private endAndSync(): void {
    if (!this.open) return;
    const waiters = this.endTransaction();
    const fd = openSync(`${this.path}-wal`, 'r');
    try {
      fdatasyncSync(fd);
      this.stats.syncs++;
    } catch (error) {
      this.refuse(waiters, error);
      throw error;
    } finally {
      closeSync(fd);
    }
    for (const waiter of waiters) waiter.resolve();
  }

  private async sync(path: string): Promise<void> {
    const fd = await openFile(path, 'r');
    try {
      await dataSync(fd);
      this.stats.syncs++;
    } finally {
      await closeFile(fd);
    }
  }
}
