import type { ApiObjectStore } from './object-cache.ts';

type Row = NonNullable<ReturnType<ApiObjectStore['objects']['get']>>;
type MetaRow = { readonly key: string; readonly type: string; readonly value: string };

/** The tables in memory, for tests. */
export class FakeObjectStore implements ApiObjectStore {
  readonly rows = new Map<string, Row>();
  readonly kept: MetaRow[] = [];
  readonly meta = { list: (type: string) => this.kept.filter((row) => row.type === type) };
  readonly objects: ApiObjectStore['objects'] = {
    put: (row) => {
      // Written last comes last.
      this.rows.delete(row.key);
      this.rows.set(row.key, row);
    },
    get: (key) => this.rows.get(key),
    list: (collection, namespace) =>
      [...this.rows.values()]
        .filter(
          (row) => row.collection === collection && (namespace === undefined || row.namespace === namespace),
        )
        .sort((a, b) => (a.key < b.key ? -1 : 1)),
    remove: (key) => this.rows.delete(key),
    oldest: (count) =>
      [...this.rows.values()]
        .filter(({ kept }) => !kept)
        .slice(0, count)
        .map(({ key, value }) => ({ key, bytes: value.length })),
    figures: () => {
      const rows = [...this.rows.values()];
      const bytes = rows.filter(({ kept }) => !kept).reduce((sum, { value }) => sum + value.length, 0);
      return { version: Math.max(0, ...rows.map(({ resourceVersion }) => resourceVersion)), bytes };
    },
    collections: () => [...new Set([...this.rows.values()].map((row) => row.collection))].filter(Boolean),
  };

  lazy(work: () => void): void {
    work();
  }
}
