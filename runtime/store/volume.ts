import { statSync } from 'node:fs';
import { rewriteDatabase } from './database.ts';
import { syncFileNow } from './files.ts';
import type { Home } from './home.ts';
import { migrations } from './migrations.ts';
import type { Sql } from './sql.ts';

/** What a commit needs of the files: syncs that are believed only as long as none has failed, and the way back. */
export class Volume {
  readonly path: string;
  syncs = 0;
  private readonly home: Home;
  private readonly sql: Sql;
  private readonly syncFile: (path: string) => Promise<void>;
  private trusted = true;

  constructor(deps: { home: Home; sql: Sql; syncFile: (path: string) => Promise<void> }) {
    this.path = deps.home.path;
    this.home = deps.home;
    this.sql = deps.sql;
    this.syncFile = deps.syncFile;
  }

  /** Whether the open database is the file, not a copy in memory. */
  get isAtHome(): boolean {
    return !this.home.isSheltered;
  }

  /** What the WAL file takes, bytes. */
  get walBytes(): number {
    return statSync(`${this.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Whether no sync has failed: after one that did, the kernel may call clean what never reached the disk. */
  get isTrusted(): boolean {
    return this.trusted;
  }

  syncWal(): Promise<void> {
    return this.sync(`${this.path}-wal`);
  }

  /** As {@link syncWal}, on the event loop. */
  syncWalNow(): void {
    try {
      syncFileNow(`${this.path}-wal`);
      this.syncs++;
    } catch (error) {
      this.trusted = false;
      throw error;
    }
  }

  syncDatabase(): Promise<void> {
    return this.sync(this.path);
  }

  /** Changes a page to what it is, so that a commit has something to write. */
  touch(): void {
    this.sql.exec(`PRAGMA user_version = ${migrations.length}`);
  }

  /** Leaves the copy for the file, or writes the file anew when its blocks cannot be trusted. The open transaction is lost.
   * @throws when the disk does not allow it yet; then everything is as it was */
  async comeHome(): Promise<void> {
    if (this.home.isSheltered) {
      this.sql.replace(this.home.openFile());
      this.home.leaveShelter();
    } else await this.rewrite();
    this.trusted = true;
  }

  private async rewrite(): Promise<void> {
    try {
      await rewriteDatabase(this.path, this.sql, this.syncFile);
    } finally {
      if (!this.sql.isOpen) this.sql.replace(this.home.open().db);
    }
    if (this.home.isSheltered) throw new Error('the database that was written anew cannot be opened');
  }

  private async sync(path: string): Promise<void> {
    try {
      await this.syncFile(path);
      this.syncs++;
    } catch (error) {
      this.trusted = false;
      throw error;
    }
  }
}
