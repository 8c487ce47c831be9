import { existsSync, renameSync, rmSync } from 'node:fs';
import sqlite from 'node-sqlite3-wasm';
import { EdgeError, errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { mebibytes } from '../core/units.ts';
import { isDiskTrouble, keepNewest, roomFor, syncDirectory, syncFileNow } from './files.ts';
import { forgetSchema, rememberSchema, removeRepair, repairSchema } from './known-schema.ts';
import { released, type Steps } from './migrations.ts';
import { badRow, type Salvage, salvage } from './salvage.ts';
import { corrupt, firstValue, migrate } from './schema.ts';

export type Database = InstanceType<typeof sqlite.Database>;
export type Statement = ReturnType<Database['prepare']>;

export type Opened = { readonly db: Database; readonly salvage: Salvage | undefined };

/** Damaged databases that are kept. */
const KEPT = 2;
/** A sync costs a whole page of the file system, and each page of SQLite's that changed: small ones cost less. */
const PAGE_SIZE = 1024;

/** Opens the database at `path` in exclusive WAL mode and brings its schema up to date.
 * A file that is damaged is set aside as `<path>.corrupt-<time>`, the newest two are kept, and what could be read of it
 * stands in the one that takes its place. The caller holds the owner lock.
 * @param steps of the schema; others than the released ones in tests */
export function openDatabase(path: string, now: number, log: Logger, steps: Steps = released): Opened {
  finishRewrite(path);
  removeLibraryLock(path);
  try {
    return { db: openChecked(path, steps), salvage: undefined };
  } catch (error) {
    if (!existsSync(path) || !isDamage(error, path)) throw error;
    const aside = `${path}.corrupt-${now}`;
    removeLibraryLock(path);
    const counts = build(path, steps, (db) => salvage(repairSchema(path) ?? path, db));
    removeRepair(path);
    promoteRewrite(path, aside);
    keepNewest(path, 'corrupt', KEPT);
    log.error('database damaged: set aside, what can be read goes on', {
      path,
      aside,
      reason: errorText(error),
      ...counts,
    });
    return { db: openChecked(path, steps), salvage: counts };
  }
}

/** Writes the whole content of an open database to new blocks and puts the file in its place.
 * After a failed sync the kernel may take for written what is not, so that no later sync of those blocks can be believed.
 * @param close the open database
 * @param sync of a file */
export async function rewriteDatabase(
  path: string,
  db: { exec(sql: string): void; close(): void },
  sync: (path: string) => Promise<void>,
): Promise<void> {
  removeRewrite(path);
  db.exec(`VACUUM INTO '${rewriteOf(path).replaceAll("'", "''")}'`);
  await sync(rewriteOf(path));
  db.close();
  promoteRewrite(path, `${path}.untrusted`);
  for (const suffix of ['', '-wal']) rmSync(`${path}.untrusted${suffix}`, { force: true });
}

const rewriteOf = (path: string): string => `${path}.rewrite`;

function removeRewrite(path: string): void {
  for (const suffix of ['', '-journal', '-wal', '.lock'])
    rmSync(rewriteOf(path) + suffix, { recursive: true, force: true });
}

/** The file that is built takes the place of the one at `path` once it is whole. */
function promoteRewrite(path: string, aside: string): void {
  forgetSchema(path);
  renameSync(path, aside);
  if (existsSync(`${path}-wal`)) renameSync(`${path}-wal`, `${aside}-wal`);
  renameSync(rewriteOf(path), path);
  syncDirectory(path);
}

/** The process may have ended between the steps of {@link promoteRewrite}. */
function finishRewrite(path: string): void {
  if (!existsSync(path) && existsSync(rewriteOf(path))) {
    rmSync(`${path}-wal`, { force: true }); // it belongs to the file that was moved away
    renameSync(rewriteOf(path), path);
  }
  removeRewrite(path);
}

/** Builds a new database beside the one at `path`. */
function build(path: string, steps: Steps, fill: (db: Database) => Salvage): Salvage {
  removeRewrite(path);
  const db = new sqlite.Database(rewriteOf(path));
  try {
    // It counts only when it is whole, and is synced once then.
    db.exec(`PRAGMA page_size = ${PAGE_SIZE}; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF`);
    migrate(db, rewriteOf(path), steps);
    db.exec('BEGIN');
    const counts = fill(db);
    db.exec('COMMIT');
    return counts;
  } finally {
    db.close();
    syncFileNow(rewriteOf(path));
  }
}

/** The library's own lock is this directory; it stays behind when a process is killed. */
function removeLibraryLock(path: string): void {
  rmSync(`${path}.lock`, { recursive: true, force: true });
}

function openChecked(path: string, steps: Steps): Database {
  const db = new sqlite.Database(path);
  try {
    configure(db);
    const verdict = firstValue(db, 'PRAGMA integrity_check(1)');
    if (verdict !== 'ok') throw corrupt(path, String(verdict));
    migrate(db, path, steps);
    const bad = badRow(db);
    if (bad) throw corrupt(path, bad);
    rememberSchema(path, db);
    return db;
  } catch (error) {
    closeQuietly(db);
    throw error;
  }
}

/** What the WAL keeps between two checkpoints. */
const WAL_BYTES = mebibytes(8);

function configure(db: Database): void {
  db.exec(`PRAGMA page_size = ${PAGE_SIZE}`);
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
  // One that has grown beyond what checkpoints are timed for gives its blocks back when it starts over.
  db.exec(`PRAGMA journal_size_limit = ${WAL_BYTES}`);
  db.exec('PRAGMA cache_size = -512');
  db.exec('PRAGMA temp_store = MEMORY');
}

/** Whether the file is to blame: a schema newer than ours is no damage, nor is a disk that cannot be written. */
function isDamage(error: unknown, path: string): boolean {
  if (error instanceof EdgeError && error.code !== 'STORE_WRITE_FAILED')
    return error.code === 'STORE_CORRUPT';
  if (isDiskTrouble(error)) return false;
  // SQLite's texts for SQLITE_CORRUPT and SQLITE_NOTADB. Others, also of its WebAssembly, may come from either.
  return /malformed|not a database/i.test(errorText(error)) || roomFor(path);
}

export function closeQuietly(db: { close(): void }): void {
  try {
    db.close();
  } catch {
    // What it could not write is in the WAL, or was never promised.
  }
}
