import sqlite from 'node-sqlite3-wasm';
import type { Database } from './database.ts';
import { rowSum, type SqlValue } from './row-sum.ts';
import { putSql, summedColumns, type TableSpec, tables } from './tables.ts';

/** What came of a damaged database. */
export type Salvage = {
  /** Rows that were taken over. */
  readonly kept: number;
  /** Rows that could be read and were not what was written. */
  readonly refused: number;
  /** Tables of which an unknown number of rows could not be read. */
  readonly cut: number;
};

/** A damaged tree may lead in circles. */
const MOST_ROWS = 200_000;

type Row = Record<string, SqlValue>;

/** @returns a row that is not what was written, as text; undefined when all are */
export function badRow(db: Database): string | undefined {
  for (const table of Object.values(tables) as TableSpec[]) {
    const statement = db.prepare(`SELECT * FROM ${table.name}`);
    try {
      for (const row of statement.iterate() as Iterable<Row>) {
        if (!isIntact(table, row, true)) return `a row of ${table.name}`;
      }
    } finally {
      statement.finalize();
    }
  }
  return undefined;
}

/** Copies what can be read of the damaged database at `from`, whatever its state, into the empty one `to`. */
export function salvage(from: string, to: Database): Salvage {
  const total = { kept: 0, refused: 0, cut: 0 };
  let damaged: Database | undefined;
  try {
    damaged = new sqlite.Database(from, { readOnly: true });
    damaged.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON');
    const hasSums = columnsOf(damaged, 'meta').includes('sum');
    for (const table of Object.values(tables) as TableSpec[]) copy(damaged, to, table, hasSums, total);
  } catch {
    total.cut = Object.keys(tables).length; // not even its schema can be read
  } finally {
    tolerate(() => damaged?.close());
  }
  return total;
}

/** Reads from the first row on to where it breaks, then from the last one back to there. */
function copy(
  from: Database,
  to: Database,
  table: TableSpec,
  hasSums: boolean,
  total: { kept: number; refused: number; cut: number },
): void {
  const seen = new Set<string>();
  const put = to.prepare(putSql(table));
  const key = table.columns.slice(0, table.keys);
  const take = (row: Row): void => {
    const current = asNow(table, row);
    const values = table.columns.map((column) => current[column] ?? null);
    const id = JSON.stringify(values.slice(0, table.keys), (_, value) =>
      typeof value === 'bigint' ? `${value}` : value,
    );
    if (seen.has(id)) return;
    seen.add(id);
    if (!isIntact(table, row, hasSums)) total.refused++;
    else if (tolerate(() => put.run([...values, sumOf(table, current)]))) total.kept++;
    else total.refused++;
  };
  const isWhole = walk(from, `SELECT * FROM ${table.name} ORDER BY ${key.join(', ')}`, take);
  if (!isWhole) {
    total.cut++;
    walk(from, `SELECT * FROM ${table.name} ORDER BY ${key.map((name) => `${name} DESC`).join(', ')}`, take);
  }
  put.finalize();
}

/** @returns whether the end was reached */
function walk(db: Database, sql: string, take: (row: Row) => void): boolean {
  let left = MOST_ROWS;
  return tolerate(() => {
    const statement = db.prepare(sql);
    try {
      for (const row of statement.iterate() as Iterable<Row>) {
        if (left-- === 0) throw new Error('more rows than there can be');
        take(row);
      }
    } finally {
      tolerate(() => statement.finalize());
    }
  });
}

/** Rows of the outbox from before there were classes get theirs, as by the migration. */
function asNow(table: TableSpec, row: Row): Row {
  if (table.name !== tables.outbox.name || row.class !== undefined) return row;
  const isHistory = typeof row.message === 'string' && row.message.includes('"group":"user"');
  const of = row.subject !== null ? 'state' : isHistory ? 'history' : 'event';
  return { ...row, class: of, boot: '', mono: 0 };
}

function isIntact(table: TableSpec, row: Row, hasSums: boolean): boolean {
  const keys = table.columns.slice(0, table.keys).map((column) => row[column]);
  if (keys.some((key) => typeof key !== 'string' && !Number.isSafeInteger(key))) return false;
  return hasSums ? row.sum === sumOf(table, row) : isPlausible(row);
}

function sumOf(table: TableSpec, row: Row): number {
  return rowSum(summedColumns(table).map((column) => row[column] ?? null));
}

/** For rows from before there were sums: what must be JSON is. */
function isPlausible(row: Row): boolean {
  return [row.value, row.options, row.message].every(
    (text) => typeof text !== 'string' || tolerate(() => JSON.parse(text)),
  );
}

export function columnsOf(db: Database, table: string): string[] {
  return db.all(`PRAGMA table_info(${table})`).map(({ name }) => String(name));
}

function tolerate(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch {
    return false; // of a damaged database anything can be expected
  }
}
