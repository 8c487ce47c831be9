import type { Clock, Timer } from '../core/clock.ts';
import { seconds } from '../core/units.ts';
import type { Sql } from './sql.ts';
import type { Volume } from './volume.ts';

/** A checkpoint runs once this long passed without a commit... */
const IDLE = seconds(30);
/** ...or after this many commits, however busy it is, so that the WAL stays at a few megabytes; a commit of large rows
 * counts once more for each 4 KB of them. */
const COMMITS = 500;
const LARGE = 4096;

/** Moves the WAL's pages into the database file, now and then. The first commit afterwards starts the WAL over, in the
 * blocks that it has. */
export class Checkpoints {
  done = 0;
  private readonly deps: CheckpointDeps;
  /** Commits since the last one, and the large rows. */
  private weight = 0;
  /** Before the first one the WAL may hold what the last process wrote. */
  private isClean = false;
  private timer: Timer | undefined;

  constructor(deps: CheckpointDeps) {
    this.deps = deps;
    // What earlier processes left there counts: one that is killed again and again must not make it grow for ever.
    this.weigh(deps.volume.walBytes);
  }

  get isDue(): boolean {
    return this.weight >= COMMITS;
  }

  /** Whether something was committed since the last one. */
  get isNeeded(): boolean {
    return !this.isClean;
  }

  committed(): void {
    this.weight++;
    this.isClean = false;
  }

  /** Tells of a large row. */
  weigh(bytes: number): void {
    this.weight += Math.floor(bytes / LARGE);
  }

  /** Has `task` called when there was no commit for a while. */
  watchIdle(task: () => void): void {
    this.timer?.cancel();
    this.timer = this.deps.clock.after(IDLE, task);
  }

  stop(): void {
    this.timer?.cancel();
  }

  /** WAL synced before, database synced after; the caller lets no commit come between.
   * @param endOpen ends and syncs a transaction that was opened meanwhile
   * @throws when the disk does not take it; the WAL keeps what it has */
  async run(endOpen: () => void): Promise<void> {
    const { sql, volume } = this.deps;
    this.weight = 0;
    await volume.syncWal();
    endOpen();
    sql.exec('PRAGMA wal_checkpoint(PASSIVE)');
    await volume.syncDatabase();
    this.isClean = true;
    this.done++;
  }
}

export type CheckpointDeps = { readonly sql: Sql; readonly volume: Volume; readonly clock: Clock };
