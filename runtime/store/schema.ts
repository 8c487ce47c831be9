import { copyFileSync } from 'node:fs';
import { EdgeError } from '../core/errors.ts';
import type { Database } from './database.ts';
import { keepNewest } from './files.ts';
import { type Steps, sumOldRows } from './migrations.ts';
import { rowSum } from './row-sum.ts';

/** Backups that are kept. */
const KEPT = 2;
/** Up to this version of the schema neither it nor the rows had check sums, and there was no way back. */
const LAST_UNMARKED = 4;
const LAST_ONE_WAY = 5;

/** Brings the schema to the one that this edgecore knows, forwards or back.
 * @throws EdgeError STORE_CORRUPT, STORE_NEWER */
export function migrate(db: Database, path: string, { forwards, back }: Steps): void {
  const from = Number(firstValue(db, 'PRAGMA user_version'));
  const isMarked = Number(firstValue(db, 'PRAGMA application_id')) === schemaMark(db, from);
  if (from > LAST_UNMARKED && !isMarked) throw corrupt(path, 'the schema is not what was written');
  if (from > forwards.length) return goBack(db, path, from, forwards.length);
  if (from > 0 && from < forwards.length) backUp(db, path, from);
  for (const [i, step] of forwards.slice(from).entries()) {
    db.exec(`BEGIN; ${step}`);
    const version = from + i + 1;
    if (version === LAST_UNMARKED + 1) sumOldRows(db);
    if (version > LAST_ONE_WAY) noteWayBack(db, version, back[version] ?? '');
    markSchema(db, version);
    db.exec('COMMIT');
  }
}

/** Gives the database the version of its schema. */
export function markSchema(db: Database, version: number): void {
  db.exec(`PRAGMA user_version = ${version}; PRAGMA application_id = ${schemaMark(db, version)}`);
}

export function corrupt(path: string, what: string): EdgeError {
  return new EdgeError('STORE_CORRUPT', { detail: `${path}: ${what}` });
}

export function firstValue(db: Database, sql: string): unknown {
  return Object.values(db.get(sql) ?? {})[0];
}

/** An edgecore cannot know how to undo what a later one has done, so that one leaves the way back in the database. */
function noteWayBack(db: Database, version: number, sql: string): void {
  db.exec(`CREATE TABLE IF NOT EXISTS schema_back (
    version INTEGER PRIMARY KEY,
    sql     TEXT NOT NULL,
    sum     INTEGER NOT NULL
  )`);
  db.run('INSERT OR REPLACE INTO schema_back VALUES (?, ?, ?)', [version, sql, rowSum([version, sql])]);
}

/** Undoes the steps of a later edgecore, all or none; what was written with it stays. */
function goBack(db: Database, path: string, from: number, to: number): void {
  const way = wayBack(db, from, to);
  if (!way)
    throw new EdgeError('STORE_NEWER', {
      detail: `${path} has schema ${from}, this edgecore knows ${to}, and there is no way back`,
    });
  backUp(db, path, from);
  db.exec('BEGIN');
  try {
    for (const sql of way) if (sql) db.exec(sql);
    db.run('DELETE FROM schema_back WHERE version > ?', [to]);
    // Rows that lost a column have another sum; which those are is not known here.
    if (way.some((sql) => sql !== '')) sumOldRows(db);
    markSchema(db, to);
    db.exec('COMMIT');
  } catch (cause) {
    db.exec('ROLLBACK');
    throw new EdgeError('STORE_NEWER', { detail: `${path}: the way back to schema ${to} is blocked`, cause });
  }
}

/** @returns the steps, the latest first; undefined when one is missing or is not what was written */
function wayBack(db: Database, from: number, to: number): string[] | undefined {
  const exists = firstValue(db, "SELECT count(*) FROM sqlite_master WHERE name = 'schema_back'");
  if (!exists) return undefined;
  const rows = db.all('SELECT version, sql, sum FROM schema_back WHERE version > ? ORDER BY version DESC', [
    to,
  ]);
  const isWhole = rows.every(
    ({ version, sql, sum }, i) => version === from - i && sum === rowSum([Number(version), String(sql)]),
  );
  return isWhole && rows.length === from - to ? rows.map(({ sql }) => String(sql)) : undefined;
}

/** A check sum of the schema and its version, kept beside them: a version that a lost bit made larger must not be taken
 * for a newer edgecore's, which would be refused at each start. */
function schemaMark(db: Database, version: number): number {
  const texts = db
    .all('SELECT name, sql FROM sqlite_master ORDER BY name')
    .map(({ name, sql }) => `${name} ${sql}`);
  return rowSum([version, ...texts]) | 0;
}

function backUp(db: Database, path: string, version: number): void {
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  copyFileSync(path, `${path}.backup-v${version}`);
  keepNewest(path, 'backup', KEPT);
}
