import type { Database, Statement } from './database.ts';

/** One API object, or one document of the API server's own such as its discovery. */
export type ObjectRow = {
  /** `/<group|core>/<version>/<plural>/<namespace|null>/<name>`; of a document its URL path. */
  readonly key: string;
  /** The first three parts of the key; empty for a document. */
  readonly collection: string;
  /** Empty for objects without one. */
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: number;
  /** JSON. */
  readonly value: string;
  /** Belongs to this node: it goes when the cloud says so, never to make room. */
  readonly kept: boolean;
};

export type CachedSize = { readonly key: string; readonly bytes: number };

/** Table `meta_v2`: API objects as the local API serves them.
 * @source KubeEdge edge/pkg/metamanager/dao/v2 MetaV2; `kept` and `stamp` are ours */
export class ObjectTable {
  private readonly statements: Record<
    'put' | 'get' | 'list' | 'listNamespace' | 'remove' | 'oldest' | 'figures' | 'collections',
    Statement
  >;
  private stamp: number;

  constructor(db: Database) {
    this.statements = {
      put: db.prepare('INSERT OR REPLACE INTO meta_v2 VALUES (?, ?, ?, ?, ?, ?, ?, ?)'),
      get: db.prepare('SELECT * FROM meta_v2 WHERE key = ?'),
      list: db.prepare('SELECT * FROM meta_v2 WHERE group_version_resource = ? ORDER BY namespace, name'),
      listNamespace: db.prepare(
        'SELECT * FROM meta_v2 WHERE group_version_resource = ? AND namespace = ? ORDER BY name',
      ),
      remove: db.prepare('DELETE FROM meta_v2 WHERE key = ?'),
      oldest: db.prepare(
        'SELECT key, length(value) AS bytes FROM meta_v2 WHERE kept = 0 ORDER BY stamp LIMIT ?',
      ),
      figures: db.prepare(
        'SELECT max(stamp) AS stamp, max(resource_version) AS version, sum(length(value) * (1 - kept)) AS bytes FROM meta_v2',
      ),
      collections: db.prepare(
        "SELECT DISTINCT group_version_resource AS name FROM meta_v2 WHERE group_version_resource <> ''",
      ),
    };
    this.stamp = Number(this.statements.figures.all()[0]?.stamp ?? 0);
  }

  put(row: ObjectRow): void {
    const { key, collection, namespace, name, resourceVersion, value, kept } = row;
    this.stamp++;
    this.statements.put.run([
      key,
      collection,
      namespace,
      name,
      resourceVersion,
      value,
      kept ? 1 : 0,
      this.stamp,
    ]);
  }

  get(key: string): ObjectRow | undefined {
    const [row] = this.statements.get.all(key);
    return row && rowOf(row);
  }

  /** @param namespace undefined for all */
  list(collection: string, namespace?: string): ObjectRow[] {
    const { list, listNamespace } = this.statements;
    const rows = namespace === undefined ? list.all(collection) : listNamespace.all([collection, namespace]);
    return rows.map(rowOf);
  }

  remove(key: string): void {
    this.statements.remove.run(key);
  }

  /** What may go to make room, the longest unwritten first. */
  oldest(count: number): CachedSize[] {
    return this.statements.oldest.all(count) as CachedSize[];
  }

  /** The highest resourceVersion, and the bytes of what may go. */
  figures(): { readonly version: number; readonly bytes: number } {
    const [row] = this.statements.figures.all();
    return { version: Number(row?.version ?? 0), bytes: Number(row?.bytes ?? 0) };
  }

  /** The collections of which something is here. */
  collections(): string[] {
    return this.statements.collections.all().map((row) => row.name as string);
  }

  finalize(): void {
    for (const statement of Object.values(this.statements)) statement.finalize();
  }
}

function rowOf(row: Readonly<Record<string, unknown>>): ObjectRow {
  return {
    key: row.key as string,
    collection: row.group_version_resource as string,
    namespace: row.namespace as string,
    name: row.name as string,
    resourceVersion: Number(row.resource_version),
    value: row.value as string,
    kept: row.kept === 1,
  };
}
