import type { Sql } from './sql.ts';
import { tables } from './tables.ts';

/** Values of devices that wait for one target, in the order in which they were read. */
export type PushRow = {
  /** Grows with every row; the writer's to give. */
  readonly seq: number;
  /** Where they go, as the writer names it. */
  readonly target: string;
  /** The values, as the writer writes them. */
  readonly body: string;
  /** How many they are. */
  readonly count: number;
  readonly bytes: number;
  /** When the last of them was read, ms since epoch. */
  readonly created: number;
};

export type PushTotals = {
  readonly target: string;
  readonly count: number;
  readonly bytes: number;
};

const COLUMNS = tables.push.columns.join(', ');

/** Table `push`: values that the places they are pushed to have not confirmed. */
export class PushTable {
  private readonly sql: Sql;

  constructor(sql: Sql) {
    this.sql = sql;
  }

  put({ seq, target, body, count, bytes, created }: PushRow): void {
    this.sql.put(tables.push, [seq, target, count, bytes, created, body]);
  }

  /** At most `limit` rows of a target after `seq`, oldest first. */
  list(target: string, after: number, limit: number): PushRow[] {
    return this.sql.all(`SELECT ${COLUMNS} FROM push WHERE target = ? AND seq > ? ORDER BY seq LIMIT ?`, [
      target,
      after,
      limit,
    ]) as PushRow[];
  }

  /** The first rows of all, without their values. */
  oldest(limit: number): Omit<PushRow, 'body'>[] {
    return this.sql.all('SELECT seq, target, count, bytes, created FROM push ORDER BY seq LIMIT ?', [
      limit,
    ]) as PushRow[];
  }

  remove(seq: number): void {
    this.sql.remove(tables.push, [seq]);
  }

  /** The seq of the last row, 0 when there is none. */
  last(): number {
    return Number(this.sql.all('SELECT max(seq) AS seq FROM push')[0]?.seq ?? 0);
  }

  totals(): PushTotals[] {
    return this.sql.all(
      'SELECT target, sum(count) AS count, sum(bytes) AS bytes FROM push GROUP BY target',
    ) as PushTotals[];
  }
}
