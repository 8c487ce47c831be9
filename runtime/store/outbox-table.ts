import type { Sql } from './sql.ts';
import { tables } from './tables.ts';

/** Which rule an entry gives way by: `state`, the last value of a subject counts; `event` and `history`, all count. */
export type OutboxClass = 'state' | 'event' | 'history';

export type OutboxEntry = {
  readonly class: OutboxClass;
  /** What it is the state of; null for the other classes. */
  readonly subject: string | null;
  /** The message's JSON. */
  readonly message: string;
  readonly bytes: number;
  /** ms since epoch. */
  readonly created: number;
  /** The boot id when the clock was not to be trusted then, else empty. */
  readonly boot: string;
  /** Monotonic ms of that boot. */
  readonly mono: number;
};

/** `seq` grows with every row. */
export type OutboxRow = OutboxEntry & { readonly seq: number };

export type OutboxTotals = { readonly class: OutboxClass; readonly count: number; readonly bytes: number };

const COLUMNS = tables.outbox.columns.join(', ');
/** Rows that are read at a time. */
const PORTION = 50;

/** Table `outbox`: what must reach the cloud and has not been confirmed. */
export class OutboxTable {
  private readonly sql: Sql;

  constructor(sql: Sql) {
    this.sql = sql;
  }

  /** Appends an entry; one with a subject takes the place of the earlier one about it.
   * @returns the size of the entry that gave way, if one did */
  add(entry: OutboxEntry): number | undefined {
    const { subject, message, bytes, created, boot, mono } = entry;
    const [earlier] =
      subject === null ? [] : this.sql.all('SELECT seq, bytes FROM outbox WHERE subject = ?', [subject]);
    if (earlier) this.sql.remove(tables.outbox, [earlier.seq ?? null]);
    this.sql.append(tables.outbox, [subject, message, bytes, created, entry.class, boot, mono]);
    return earlier?.bytes as number | undefined;
  }

  /** At most `limit` entries of a class after `seq`, oldest first. */
  list(of: OutboxClass, after: number, limit: number): OutboxRow[] {
    return this.sql.all(`SELECT ${COLUMNS} FROM outbox WHERE class = ? AND seq > ? ORDER BY seq LIMIT ?`, [
      of,
      after,
      limit,
    ]) as OutboxRow[];
  }

  has(seq: number): boolean {
    return this.sql.all('SELECT 1 FROM outbox WHERE seq = ?', [seq]).length > 0;
  }

  /** @returns the size of the entry; undefined when it had given way already */
  remove(seq: number): number | undefined {
    const [row] = this.sql.all('SELECT bytes FROM outbox WHERE seq = ?', [seq]);
    if (row) this.sql.remove(tables.outbox, [seq]);
    return row?.bytes as number | undefined;
  }

  /** The time has come: what was written in this boot gets its true time.
   * @param epoch what the wall clock showed when the monotonic one was 0 */
  restamp(boot: string, epoch: number): void {
    const select = `SELECT ${COLUMNS} FROM outbox WHERE boot = ? AND seq > ? ORDER BY seq LIMIT ${PORTION}`;
    let after = 0;
    for (;;) {
      const rows = this.sql.all(select, [boot, after]) as OutboxRow[];
      for (const { seq, subject, message, bytes, class: of, mono } of rows) {
        const created = mono + Math.round(epoch);
        this.sql.put(tables.outbox, [seq, subject, message, bytes, created, of, '', mono]);
        after = seq;
      }
      if (rows.length < PORTION) return;
    }
  }

  totals(): OutboxTotals[] {
    return this.sql.all(
      'SELECT class, count(*) AS count, sum(bytes) AS bytes FROM outbox GROUP BY class',
    ) as OutboxTotals[];
  }
}
