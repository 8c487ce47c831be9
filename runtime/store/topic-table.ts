import type { Sql } from './sql.ts';
import { tables } from './tables.ts';

/** Table `sub_topics`: topics that the cloud's rules asked for; they survive a restart. */
export class TopicTable {
  private readonly sql: Sql;

  constructor(sql: Sql) {
    this.sql = sql;
  }

  add(topic: string): void {
    this.sql.put(tables.subTopics, [topic]);
  }

  list(): string[] {
    return this.sql.all('SELECT topic FROM sub_topics ORDER BY topic').map((row) => row.topic as string);
  }

  remove(topic: string): void {
    this.sql.remove(tables.subTopics, [topic]);
  }
}
