import type { Database, Statement } from './database.ts';

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

/** Table `outbox`: what must reach the cloud and has not been confirmed. */
export class OutboxTable {
  private readonly statements: Record<'add' | 'list' | 'remove' | 'totals', Statement>;

  constructor(db: Database) {
    this.statements = {
      add: db.prepare(
        'INSERT OR REPLACE INTO outbox (subject, message, bytes, created) VALUES (?, ?, ?, ?) RETURNING seq',
      ),
      list: db.prepare('SELECT * FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?'),
      remove: db.prepare('DELETE FROM outbox WHERE seq = ?'),
      totals: db.prepare('SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes FROM outbox'),
    };
  }

  /** Appends an entry; one with a subject takes the place of the earlier one about it.
   * @returns its seq */
  add(entry: Omit<OutboxRow, 'seq'>): number {
    return this.statements.add.all([entry.subject, entry.message, entry.bytes, entry.created])[0]
      ?.seq as number;
  }

  /** At most `limit` entries after `seq`, oldest first. */
  list(after: number, limit: number): OutboxRow[] {
    return this.statements.list.all([after, limit]) as OutboxRow[];
  }

  remove(seq: number): void {
    this.statements.remove.run(seq);
  }

  totals(): { count: number; bytes: number } {
    return this.statements.totals.all()[0] as { count: number; bytes: number };
  }

  finalize(): void {
    for (const statement of Object.values(this.statements)) statement.finalize();
  }
}
