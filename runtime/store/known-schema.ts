import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import sqlite from 'node-sqlite3-wasm';
import { isRecord } from '../core/message.ts';
import type { Database } from './database.ts';
import { rowSum } from './row-sum.ts';

/** What SQLite must know of a database to find its rows: one row of `sqlite_schema` each. */
type SchemaRow = {
  readonly type: string;
  readonly name: string;
  readonly tbl_name: string;
  /** The first page of its tree. */
  readonly rootpage: number;
  /** null for the index of a UNIQUE. */
  readonly sql: string | null;
};
type Schema = { readonly pageSize: number; readonly rows: readonly SchemaRow[] };

/** Lies beside the database. */
export const SCHEMA_SUFFIX = '.schema';
const REPAIR_SUFFIX = '.repair';

/** Notes the schema of a database that is well, unless that stands there already: some kilobytes, once for each version.
 * A bit that is lost in these pages would take whole tables along, and no other page says where they begin. */
export function rememberSchema(path: string, db: Database): void {
  const text = encode(schemaOf(db));
  const file = path + SCHEMA_SUFFIX;
  try {
    if (existsSync(file) && readFileSync(file, 'latin1') === text) return;
    writeFileSync(`${file}.new`, text, { encoding: 'latin1', mode: 0o600, flush: true });
    renameSync(`${file}.new`, file);
  } catch {
    // On a disk that cannot be written the database says so. Without the note all is as well, until a bit is lost.
  }
}

/** The tables no longer begin where they did. */
export function forgetSchema(path: string): void {
  rmSync(path + SCHEMA_SUFFIX, { force: true });
}

/** Makes a copy of a damaged database with the schema that is noted for it, if it has lost its own.
 * @returns the path of the copy, to be removed by {@link removeRepair}; undefined where there is nothing to put right, or
 *   nothing is known */
export function repairSchema(path: string): string | undefined {
  try {
    const known = decode(readFileSync(path + SCHEMA_SUFFIX, 'latin1'));
    if (!known || isDeepStrictEqual(schemaRead(path)?.rows, known.rows)) return undefined;
    const copy = path + REPAIR_SUFFIX;
    removeRepair(path);
    copyFileSync(path, copy);
    writeSchema(copy, `${path}-wal`, known);
    return copy;
  } catch {
    return undefined; // what can be read without it is read
  }
}

export function removeRepair(path: string): void {
  for (const suffix of ['', '-journal', '-wal', '.lock'])
    rmSync(path + REPAIR_SUFFIX + suffix, { recursive: true, force: true });
}

function schemaOf(db: Database): Schema {
  const rows = db.all('SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema ORDER BY rowid');
  return { pageSize: Number(db.get('PRAGMA page_size')?.page_size), rows: rows as SchemaRow[] };
}

/** @returns undefined when it cannot be read at all */
function schemaRead(path: string): Schema | undefined {
  let db: Database | undefined;
  try {
    db = new sqlite.Database(path, { readOnly: true });
    db.exec('PRAGMA locking_mode = EXCLUSIVE');
    return schemaOf(db);
  } catch {
    return undefined;
  } finally {
    try {
      db?.close();
    } catch {
      // of a damaged database anything can be expected
    }
  }
}

function encode(schema: Schema): string {
  const text = JSON.stringify(schema);
  return `${rowSum([text])} ${text}\n`;
}

function decode(file: string): Schema | undefined {
  const [sum = '', text = ''] = [
    file.slice(0, file.indexOf(' ')),
    file.slice(file.indexOf(' ') + 1).trimEnd(),
  ];
  if (Number(sum) !== rowSum([text])) return undefined;
  const schema: unknown = JSON.parse(text);
  return isRecord(schema) ? (schema as Schema) : undefined;
}

/** Puts the newest pages into their places, an empty schema over the old one, and the known rows into that.
 * @source SQLite database file format, https://www.sqlite.org/fileformat2.html */
function writeSchema(copy: string, wal: string, { pageSize, rows }: Schema): void {
  const fd = openSync(copy, 'r+');
  try {
    if (existsSync(wal))
      for (const [page, data] of walPages(readFileSync(wal), pageSize))
        writeSync(fd, data, 0, pageSize, (page - 1) * pageSize);
    writeSync(fd, emptyFirstPage(pageSize, Math.ceil(fstatSync(fd).size / pageSize)), 0, pageSize, 0);
  } finally {
    closeSync(fd);
  }
  const db = new sqlite.Database(copy);
  try {
    db.exec('PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA writable_schema = ON; BEGIN');
    for (const { type, name, tbl_name, rootpage, sql } of rows)
      db.run('INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)', [type, name, tbl_name, rootpage, sql]);
    db.exec('COMMIT');
  } finally {
    db.close();
  }
}

/** The first page of a database without tables. Its free pages are not named: any of them may be damaged. */
function emptyFirstPage(pageSize: number, pages: number): Buffer {
  const page = Buffer.alloc(pageSize);
  page.write('SQLite format 3\0', 'latin1');
  page.writeUInt16BE(pageSize === 65_536 ? 1 : pageSize, 16);
  page.set([1, 1, 0, 64, 32, 32], 18); // rollback journal; the payload fractions, which are fixed
  page.writeUInt32BE(1, 24); // change counter, as in 92: the size that follows is valid
  page.writeUInt32BE(pages, 28);
  page.writeUInt32BE(1, 40); // schema cookie
  page.writeUInt32BE(4, 44); // schema format
  page.writeUInt32BE(1, 56); // UTF-8
  page.writeUInt32BE(1, 92);
  page[100] = 0x0d; // a leaf of a table, without cells
  page.writeUInt16BE(pageSize === 65_536 ? 0 : pageSize, 105);
  return page;
}

const WAL_HEADER = 32;
const FRAME_HEADER = 24;

/** The newest state of each page in a WAL, up to its last commit. */
function walPages(wal: Buffer, pageSize: number): Map<number, Buffer> {
  const committed = new Map<number, Buffer>();
  if (wal.length < WAL_HEADER || wal.readUInt32BE(8) !== pageSize) return committed;
  const isBigEndian = (wal.readUInt32BE(0) & 1) === 1;
  let sum = walSum([0, 0], wal.subarray(0, 24), isBigEndian);
  const pending = new Map<number, Buffer>();
  const step = FRAME_HEADER + pageSize;
  for (let at = WAL_HEADER; at + step <= wal.length; at += step) {
    const data = wal.subarray(at + FRAME_HEADER, at + step);
    sum = walSum(walSum(sum, wal.subarray(at, at + 8), isBigEndian), data, isBigEndian);
    const isNext =
      wal.compare(wal, 16, 24, at + 8, at + 16) === 0 &&
      wal.readUInt32BE(at + 16) === sum[0] &&
      wal.readUInt32BE(at + 20) === sum[1];
    if (!isNext) break;
    pending.set(wal.readUInt32BE(at), data);
    if (wal.readUInt32BE(at + 4) === 0) continue;
    for (const [page, state] of pending) committed.set(page, state);
    pending.clear();
  }
  return committed;
}

type WalSum = readonly [number, number];

function walSum([first, second]: WalSum, bytes: Buffer, isBigEndian: boolean): WalSum {
  let [a, b] = [first, second];
  for (let at = 0; at < bytes.length; at += 8) {
    a = (a + (isBigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at)) + b) >>> 0;
    b = (b + (isBigEndian ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4)) + a) >>> 0;
  }
  return [a, b];
}
