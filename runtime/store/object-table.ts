import type { Sql } from './sql.ts';
import { tables } from './tables.ts';

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
  private readonly sql: Sql;
  private stamp: number;

  constructor(sql: Sql) {
    this.sql = sql;
    this.stamp = Number(sql.all('SELECT max(stamp) AS stamp FROM meta_v2')[0]?.stamp ?? 0);
  }

  put(row: ObjectRow): void {
    const { key, collection, namespace, name, resourceVersion, value, kept } = row;
    this.stamp++;
    const values = [key, collection, namespace, name, resourceVersion, value, kept ? 1 : 0, this.stamp];
    this.sql.put(tables.metaV2, values);
  }

  get(key: string): ObjectRow | undefined {
    const [row] = this.sql.all('SELECT * FROM meta_v2 WHERE key = ?', [key]);
    return row && rowOf(row);
  }

  /** @param namespace undefined for all */
  list(collection: string, namespace?: string): ObjectRow[] {
    const select = 'SELECT * FROM meta_v2 WHERE group_version_resource = ?';
    const rows =
      namespace === undefined
        ? this.sql.all(`${select} ORDER BY namespace, name`, [collection])
        : this.sql.all(`${select} AND namespace = ? ORDER BY name`, [collection, namespace]);
    return rows.map(rowOf);
  }

  remove(key: string): void {
    this.sql.remove(tables.metaV2, [key]);
  }

  /** What may go to make room, the longest unwritten first. */
  oldest(count: number): CachedSize[] {
    return this.sql.all(
      'SELECT key, length(value) AS bytes FROM meta_v2 WHERE kept = 0 ORDER BY stamp LIMIT ?',
      [count],
    ) as CachedSize[];
  }

  /** The highest resourceVersion, and the bytes of what may go. */
  figures(): { readonly version: number; readonly bytes: number } {
    const [row] = this.sql.all(
      'SELECT max(resource_version) AS version, sum(length(value) * (1 - kept)) AS bytes FROM meta_v2',
    );
    return { version: Number(row?.version ?? 0), bytes: Number(row?.bytes ?? 0) };
  }

  /** The collections of which something is here. */
  collections(): string[] {
    return this.sql
      .all("SELECT DISTINCT group_version_resource AS name FROM meta_v2 WHERE group_version_resource <> ''")
      .map((row) => String(row.name));
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
