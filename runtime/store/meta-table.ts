import type { Database, Statement } from './database.ts';

export type MetaRow = { readonly key: string; readonly type: string; readonly value: string };

/** Table `meta`: one row a cloud object, key = its resource on the wire, value = its JSON. */
export class MetaTable {
  private readonly statements: Record<'put' | 'get' | 'list' | 'remove', Statement>;

  constructor(db: Database) {
    this.statements = {
      put: db.prepare(
        'INSERT INTO meta VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET type = excluded.type, value = excluded.value',
      ),
      get: db.prepare('SELECT value FROM meta WHERE key = ?'),
      list: db.prepare('SELECT key, type, value FROM meta WHERE type = ? ORDER BY key'),
      remove: db.prepare('DELETE FROM meta WHERE key = ?'),
    };
  }

  put(row: MetaRow): void {
    this.statements.put.run([row.key, row.type, row.value]);
  }

  get(key: string): string | undefined {
    // all(), not get(): the library leaves a statement that was read once open, and that pins the WAL.
    return this.statements.get.all(key)[0]?.value as string | undefined;
  }

  list(type: string): MetaRow[] {
    return this.statements.list.all(type) as MetaRow[];
  }

  remove(key: string): void {
    this.statements.remove.run(key);
  }

  finalize(): void {
    for (const statement of Object.values(this.statements)) statement.finalize();
  }
}
