import type { Sql } from './sql.ts';
import { tables } from './tables.ts';

export type OutboxRow = {
  /** Grows with every row; the order of sending. */
  readonly seq: number;
  /** What it is about, when only the last word counts; null for entries that all count. */
  readonly subject: string | null;
  /** The message's JSON. */
  readonly message: string;
  readonly bytes: number;
  /** ms since epoch. */
  readonly created: number;
};

export type OutboxTotals = { count: number; bytes: number };

/** Table `outbox`: what must reach the cloud and has not been confirmed. */
export class OutboxTable {
  private readonly sql: Sql;
  /** What {@link totals} gave; its owner counts on from there. */
  private readonly given: OutboxTotals[] = [];

  constructor(sql: Sql) {
    this.sql = sql;
  }

  /** Appends an entry; one with a subject takes the place of the earlier one about it.
   * @returns the size of the entry that gave way, if one did */
  add({ subject, message, bytes, created }: Omit<OutboxRow, 'seq'>): number | undefined {
    const [earlier] =
      subject === null ? [] : this.sql.all('SELECT seq, bytes FROM outbox WHERE subject = ?', [subject]);
    if (earlier) this.sql.remove(tables.outbox, [earlier.seq ?? null]);
    this.sql.append(tables.outbox, [subject, message, bytes, created]);
    return earlier?.bytes as number | undefined;
  }

  /** At most `limit` entries after `seq`, oldest first. */
  list(after: number, limit: number): OutboxRow[] {
    const columns = tables.outbox.columns.join(', ');
    return this.sql.all(`SELECT ${columns} FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?`, [
      after,
      limit,
    ]) as OutboxRow[];
  }

  /** @returns the size of the entry; undefined when it had given way already */
  remove(seq: number): number | undefined {
    const [row] = this.sql.all('SELECT bytes FROM outbox WHERE seq = ?', [seq]);
    if (row) this.sql.remove(tables.outbox, [seq]);
    return row?.bytes as number | undefined;
  }

  /** @returns totals for the caller to keep up; after writes were undone they are set right, see {@link recount} */
  totals(): OutboxTotals {
    const totals = this.count();
    this.given.push(totals);
    return totals;
  }

  /** Sets right what was counted from writes that were undone. */
  recount(): void {
    if (this.given.length === 0) return;
    const totals = this.count();
    for (const given of this.given) Object.assign(given, totals);
  }

  private count(): OutboxTotals {
    return this.sql.all(
      'SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes FROM outbox',
    )[0] as OutboxTotals;
  }
}
