import type { Database, Statement } from './database.ts';

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

/** Table `outbox`: what must reach the cloud and has not been confirmed. */
export class OutboxTable {
  private readonly statements: Record<
    'add' | 'list' | 'find' | 'supersede' | 'remove' | 'totals' | 'restamp',
    Statement
  >;

  constructor(db: Database) {
    this.statements = {
      add: db.prepare(
        'INSERT INTO outbox (class, subject, message, bytes, created, boot, mono) VALUES (?, ?, ?, ?, ?, ?, ?)',
      ),
      list: db.prepare('SELECT * FROM outbox WHERE class = ? AND seq > ? ORDER BY seq LIMIT ?'),
      find: db.prepare('SELECT 1 FROM outbox WHERE seq = ?'),
      supersede: db.prepare('DELETE FROM outbox WHERE subject = ? RETURNING bytes'),
      remove: db.prepare('DELETE FROM outbox WHERE seq = ? RETURNING bytes'),
      totals: db.prepare('SELECT class, count(*) AS count, sum(bytes) AS bytes FROM outbox GROUP BY class'),
      restamp: db.prepare(`UPDATE outbox SET created = mono + ?, boot = '' WHERE boot = ?`),
    };
  }

  /** Appends an entry; one with a subject takes the place of the earlier one about it.
   * @returns the size of the entry that gave way, if one did */
  add(entry: OutboxEntry): number | undefined {
    const { subject, message, bytes, created, boot, mono } = entry;
    const superseded = subject === null ? undefined : this.statements.supersede.all(subject)[0]?.bytes;
    this.statements.add.run([entry.class, subject, message, bytes, created, boot, mono]);
    return superseded as number | undefined;
  }

  /** At most `limit` entries of a class after `seq`, oldest first. */
  list(of: OutboxClass, after: number, limit: number): OutboxRow[] {
    return this.statements.list.all([of, after, limit]) as OutboxRow[];
  }

  has(seq: number): boolean {
    return this.statements.find.all(seq).length > 0;
  }

  /** @returns the size of the entry; undefined when it had given way already */
  remove(seq: number): number | undefined {
    return this.statements.remove.all(seq)[0]?.bytes as number | undefined;
  }

  /** The time has come: what was written in this boot gets its true time.
   * @param epoch what the wall clock showed when the monotonic one was 0 */
  restamp(boot: string, epoch: number): void {
    this.statements.restamp.run([Math.round(epoch), boot]);
  }

  totals(): OutboxTotals[] {
    return this.statements.totals.all() as OutboxTotals[];
  }

  finalize(): void {
    for (const statement of Object.values(this.statements)) statement.finalize();
  }
}
