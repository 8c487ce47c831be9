import type { Sql } from './sql.ts';
import { tables } from './tables.ts';

export type MetaRow = { readonly key: string; readonly type: string; readonly value: string };

/** Table `meta`: one row a cloud object, key = its resource on the wire, value = its JSON. */
export class MetaTable {
  private readonly sql: Sql;

  constructor(sql: Sql) {
    this.sql = sql;
  }

  put({ key, type, value }: MetaRow): void {
    this.sql.put(tables.meta, [key, type, value]);
  }

  get(key: string): string | undefined {
    return this.sql.all('SELECT value FROM meta WHERE key = ?', [key])[0]?.value as string | undefined;
  }

  list(type: string): MetaRow[] {
    return this.sql.all('SELECT key, type, value FROM meta WHERE type = ? ORDER BY key', [type]) as MetaRow[];
  }

  remove(key: string): void {
    this.sql.remove(tables.meta, [key]);
  }
}
