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
  private readonly statements: Record<'add' | 'list' | 'supersede' | 'remove' | 'totals', Statement>;

  constructor(db: Database) {
    this.statements = {
      add: db.prepare('INSERT INTO outbox (subject, message, bytes, created) VALUES (?, ?, ?, ?)'),
      list: db.prepare('SELECT * FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?'),
      supersede: db.prepare('DELETE FROM outbox WHERE subject = ? RETURNING bytes'),
      remove: db.prepare('DELETE FROM outbox WHERE seq = ? RETURNING bytes'),
      totals: db.prepare('SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes FROM outbox'),
    };
  }

  /** Appends an entry; one with a subject takes the place of the earlier one about it.
   * @returns the size of the entry that gave way, if one did */
  add(entry: Omit<OutboxRow, 'seq'>): number | undefined {
    const superseded =
      entry.subject === null ? undefined : this.statements.supersede.all(entry.subject)[0]?.bytes;
    this.statements.add.run([entry.subject, entry.message, entry.bytes, entry.created]);
    return superseded as number | undefined;
  }

  /** At most `limit` entries after `seq`, oldest first. */
  list(after: number, limit: number): OutboxRow[] {
    return this.statements.list.all([after, limit]) as OutboxRow[];
  }

  /** @returns the size of the entry; undefined when it had given way already */
  remove(seq: number): number | undefined {
    return this.statements.remove.all(seq)[0]?.bytes as number | undefined;
  }

  totals(): { count: number; bytes: number } {
    return this.statements.totals.all()[0] as { count: number; bytes: number };
  }

  finalize(): void {
    for (const statement of Object.values(this.statements)) statement.finalize();
  }
}
