import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs';
import sqlite from 'node-sqlite3-wasm';
import { EdgeError, errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { migrations } from './migrations.ts';

export type Database = InstanceType<typeof sqlite.Database>;
export type Statement = ReturnType<Database['prepare']>;

/** Opens the database at `path` in exclusive WAL mode and brings its schema up to date.
 * A file that is damaged is set aside as `<path>.corrupt-<time>` and an empty one takes its place: boot goes on.
 * The caller holds the owner lock. */
export function openDatabase(path: string, now: number, log: Logger): Database {
  // The library's own lock is this directory; it stays behind when a process is killed.
  rmSync(`${path}.lock`, { recursive: true, force: true });
  try {
    return openChecked(path);
  } catch (error) {
    if (!existsSync(path) || !isDamage(error)) throw error;
    const aside = `${path}.corrupt-${now}`;
    for (const suffix of ['', '-wal']) {
      if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
    }
    rmSync(`${path}.lock`, { recursive: true, force: true });
    log.error('database damaged: set aside, starting with an empty one', {
      path,
      aside,
      reason: errorText(error),
    });
    return openChecked(path);
  }
}

function openChecked(path: string): Database {
  const db = new sqlite.Database(path);
  try {
    configure(db);
    const verdict = firstValue(db, 'PRAGMA quick_check(1)');
    if (verdict !== 'ok') throw new EdgeError('STORE_CORRUPT', { detail: `${path}: ${verdict}` });
    migrate(db, path);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function configure(db: Database): void {
  // WAL without shared memory, which the library does not have, needs the exclusive mode, set first.
  db.exec('PRAGMA locking_mode = EXCLUSIVE');
  const mode = firstValue(db, 'PRAGMA journal_mode = WAL');
  if (mode !== 'wal')
    throw new EdgeError('STORE_WRITE_FAILED', { detail: `journal mode is ${mode}, not wal` });
  // Syncing is done by Store, on the thread pool: a WAL whose tail was lost is consistent without it.
  db.exec('PRAGMA synchronous = OFF');
  // Pages of an open transaction must not reach the WAL before its commit, and checkpoints are Store's to time.
  db.exec('PRAGMA cache_spill = OFF');
  db.exec('PRAGMA wal_autocheckpoint = 0');
  db.exec('PRAGMA cache_size = -512');
  db.exec('PRAGMA temp_store = MEMORY');
}

function migrate(db: Database, path: string): void {
  const from = Number(firstValue(db, 'PRAGMA user_version'));
  if (from > migrations.length) {
    throw new EdgeError('STORE_NEWER', {
      detail: `${path} has schema ${from}, this edgecore knows ${migrations.length}`,
    });
  }
  if (from > 0 && from < migrations.length) {
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    copyFileSync(path, `${path}.backup-v${from}`);
  }
  for (const [i, step] of migrations.slice(from).entries()) {
    db.exec(`BEGIN; ${step}; PRAGMA user_version = ${from + i + 1}; COMMIT`);
  }
}

/** SQLite's texts for SQLITE_CORRUPT and SQLITE_NOTADB; a schema newer than ours is no damage. */
function isDamage(error: unknown): boolean {
  if (error instanceof EdgeError) return error.code === 'STORE_CORRUPT';
  return /malformed|not a database|corrupt/i.test(errorText(error));
}

function firstValue(db: Database, sql: string): unknown {
  return Object.values(db.get(sql) ?? {})[0];
}
