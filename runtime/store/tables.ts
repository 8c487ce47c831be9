/** A table as it is written and checked. Its last column is always `sum`, see row-sum.ts. */
export type TableSpec = {
  readonly name: string;
  /** All but `sum`, in the order of the table. */
  readonly columns: readonly string[];
  /** How many of the first columns are the key. */
  readonly keys: number;
  /** The first column is numbered by SQLite, and no part of the sum. */
  readonly isNumbered?: true;
};

/** What edgecore keeps. */
export const tables = {
  meta: { name: 'meta', columns: ['key', 'type', 'value'], keys: 1 },
  device: {
    name: 'device',
    columns: ['id', 'name', 'description', 'state', 'last_online', 'reason'],
    keys: 1,
  },
  deviceTwin: { name: 'device_twin', columns: ['deviceid', 'name', 'value'], keys: 2 },
  subTopics: { name: 'sub_topics', columns: ['topic'], keys: 1 },
  outbox: {
    name: 'outbox',
    columns: ['seq', 'subject', 'message', 'bytes', 'created', 'class', 'boot', 'mono'],
    keys: 1,
    isNumbered: true,
  },
  metaV2: {
    name: 'meta_v2',
    columns: [
      'key',
      'group_version_resource',
      'namespace',
      'name',
      'resource_version',
      'value',
      'kept',
      'stamp',
    ],
    keys: 1,
  },
  mqttSession: {
    name: 'mqtt_session',
    columns: ['sid', 'client_id', 'username', 'expiry', 'left_at', 'cursor'],
    keys: 1,
  },
  mqttSubscription: { name: 'mqtt_subscription', columns: ['sid', 'filter', 'options'], keys: 2 },
  mqttBatch: { name: 'mqtt_batch', columns: ['first', 'body'], keys: 1 },
  mqttOutgoing: { name: 'mqtt_outgoing', columns: ['sid', 'seq', 'packet_id', 'state'], keys: 2 },
  mqttIncoming: { name: 'mqtt_incoming', columns: ['sid', 'packet_id'], keys: 2 },
  mqttRetained: { name: 'mqtt_retained', columns: ['topic', 'message'], keys: 1 },
  push: { name: 'push', columns: ['seq', 'target', 'count', 'bytes', 'created', 'body'], keys: 1 },
  mqttWill: { name: 'mqtt_will', columns: ['client_id', 'delay', 'message'], keys: 1 },
} as const satisfies Readonly<Record<string, TableSpec>>;

/** The columns that a row's sum is of. */
export function summedColumns({ columns, isNumbered }: TableSpec): readonly string[] {
  return isNumbered ? columns.slice(1) : columns;
}

/** Writes a row whole, over the one of the same key. */
export function putSql({ name, columns, keys }: TableSpec): string {
  const others = [...columns.slice(keys), 'sum'].map((column) => `${column} = excluded.${column}`);
  return `INSERT INTO ${name} VALUES (${columns.map(() => '?').join(', ')}, ?)
    ON CONFLICT (${columns.slice(0, keys).join(', ')}) DO UPDATE SET ${others.join(', ')}`;
}

export function removeSql({ name, columns, keys }: TableSpec): string {
  const isRow = columns.slice(0, keys).map((column) => `${column} = ?`);
  return `DELETE FROM ${name} WHERE ${isRow.join(' AND ')}`;
}
