import type { Database, Statement } from './database.ts';

/** Table `sub_topics`: topics that the cloud's rules asked for; they survive a restart. */
export class TopicTable {
  private readonly statements: Record<'add' | 'list' | 'remove', Statement>;

  constructor(db: Database) {
    this.statements = {
      add: db.prepare('INSERT OR IGNORE INTO sub_topics VALUES (?)'),
      list: db.prepare('SELECT topic FROM sub_topics ORDER BY topic'),
      remove: db.prepare('DELETE FROM sub_topics WHERE topic = ?'),
    };
  }

  add(topic: string): void {
    this.statements.add.run(topic);
  }

  list(): string[] {
    return this.statements.list.all().map((row) => row.topic as string);
  }

  remove(topic: string): void {
    this.statements.remove.run(topic);
  }

  finalize(): void {
    for (const statement of Object.values(this.statements)) statement.finalize();
  }
}
