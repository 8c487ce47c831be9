import type { Database } from './database.ts';
import { rowSum, type SqlValue } from './row-sum.ts';
import { summedColumns, type TableSpec, tables } from './tables.ts';

/** The schema, as steps that are never edited once released. Step n takes the database from `user_version` n to n+1.
 * Table and column names are KubeEdge's where it has the table.
 * @source KubeEdge edge/pkg/common/dbm, edge/pkg/metamanager/dao, edge/pkg/devicetwin/dtclient */
export const migrations: readonly string[] = [
  `
  CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    type  TEXT NOT NULL,
    value TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX meta_type ON meta (type);

  CREATE TABLE device (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    state       TEXT NOT NULL,
    last_online TEXT NOT NULL,
    reason      TEXT NOT NULL
  ) WITHOUT ROWID;

  CREATE TABLE device_twin (
    deviceid TEXT NOT NULL,
    name     TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (deviceid, name)
  ) WITHOUT ROWID;

  CREATE TABLE sub_topics (topic TEXT PRIMARY KEY) WITHOUT ROWID;

  CREATE TABLE outbox (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT UNIQUE,
    message TEXT NOT NULL,
    bytes   INTEGER NOT NULL,
    created INTEGER NOT NULL
  );
  `,
  `
  CREATE TABLE mqtt_session (
    sid       INTEGER PRIMARY KEY,
    client_id TEXT NOT NULL,
    username  TEXT,
    expiry    REAL NOT NULL,
    left_at   INTEGER NOT NULL,
    cursor    INTEGER NOT NULL
  );

  CREATE TABLE mqtt_subscription (
    sid     INTEGER NOT NULL,
    filter  TEXT NOT NULL,
    options TEXT NOT NULL,
    PRIMARY KEY (sid, filter)
  ) WITHOUT ROWID;

  CREATE TABLE mqtt_batch (
    first INTEGER PRIMARY KEY,
    body  BLOB NOT NULL
  );

  CREATE TABLE mqtt_outgoing (
    sid       INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    packet_id INTEGER NOT NULL,
    state     TEXT NOT NULL,
    PRIMARY KEY (sid, seq)
  ) WITHOUT ROWID;

  CREATE TABLE mqtt_incoming (
    sid       INTEGER NOT NULL,
    packet_id INTEGER NOT NULL,
    PRIMARY KEY (sid, packet_id)
  ) WITHOUT ROWID;

  CREATE TABLE mqtt_retained (
    topic   TEXT PRIMARY KEY,
    message BLOB NOT NULL
  ) WITHOUT ROWID;

  CREATE TABLE mqtt_will (
    client_id TEXT PRIMARY KEY,
    delay     INTEGER NOT NULL,
    message   BLOB NOT NULL
  ) WITHOUT ROWID;
  `,
  `
  CREATE TABLE meta_v2 (
    key                    TEXT PRIMARY KEY,
    group_version_resource TEXT NOT NULL,
    namespace              TEXT NOT NULL,
    name                   TEXT NOT NULL,
    resource_version       INTEGER NOT NULL,
    value                  TEXT NOT NULL,
    kept                   INTEGER NOT NULL,
    stamp                  INTEGER NOT NULL
  );
  CREATE INDEX meta_v2_collection ON meta_v2 (group_version_resource, namespace, name);
  CREATE INDEX meta_v2_stamp ON meta_v2 (kept, stamp);
  `,
  `
  ALTER TABLE outbox ADD COLUMN class TEXT NOT NULL DEFAULT 'state';
  ALTER TABLE outbox ADD COLUMN boot TEXT NOT NULL DEFAULT '';
  ALTER TABLE outbox ADD COLUMN mono INTEGER NOT NULL DEFAULT 0;
  UPDATE outbox
     SET class = CASE WHEN message LIKE '%"group":"user"%' THEN 'history' ELSE 'event' END
   WHERE subject IS NULL;
  CREATE INDEX outbox_class ON outbox (class, seq);
  `,
  `
  ALTER TABLE meta ADD COLUMN sum INTEGER;
  ALTER TABLE device ADD COLUMN sum INTEGER;
  ALTER TABLE device_twin ADD COLUMN sum INTEGER;
  ALTER TABLE sub_topics ADD COLUMN sum INTEGER;
  ALTER TABLE outbox ADD COLUMN sum INTEGER;
  ALTER TABLE mqtt_session ADD COLUMN sum INTEGER;
  ALTER TABLE mqtt_subscription ADD COLUMN sum INTEGER;
  ALTER TABLE mqtt_batch ADD COLUMN sum INTEGER;
  ALTER TABLE mqtt_outgoing ADD COLUMN sum INTEGER;
  ALTER TABLE mqtt_incoming ADD COLUMN sum INTEGER;
  ALTER TABLE mqtt_retained ADD COLUMN sum INTEGER;
  ALTER TABLE meta_v2 ADD COLUMN sum INTEGER;
  ALTER TABLE mqtt_will ADD COLUMN sum INTEGER;
  `,
  `
  CREATE TABLE IF NOT EXISTS push (
    seq     INTEGER PRIMARY KEY,
    target  TEXT NOT NULL,
    count   INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    created INTEGER NOT NULL,
    body    TEXT NOT NULL,
    sum     INTEGER
  );
  CREATE INDEX IF NOT EXISTS push_target ON push (target, seq);
  `,
];

/** How an edgecore that does not know a step undoes it, by the version that the step leads to; each step from 6 on has one.
 * It is kept in the database with the step, and run by an earlier edgecore after a rollback. Empty says that the earlier one
 * can live with what is there: a table of its own, made with IF NOT EXISTS, keeps its rows for the next upgrade. */
export const waysBack: Readonly<Record<number, string>> = {
  6: '',
};

export type Steps = {
  readonly forwards: readonly string[];
  readonly back: Readonly<Record<number, string>>;
};

export const released: Steps = { forwards: migrations, back: waysBack };

/** Gives the rows that were there before the column `sum` their sums. */
export function sumOldRows(db: Database): void {
  const there = new Set(
    db.all("SELECT name FROM sqlite_master WHERE type = 'table'").map(({ name }) => name),
  );
  for (const table of Object.values(tables) as TableSpec[]) {
    if (!there.has(table.name)) continue; // One of a later step.
    const keys = table.columns.slice(0, table.keys);
    const update = `UPDATE ${table.name} SET sum = ? WHERE ${keys.map((key) => `${key} = ?`).join(' AND ')}`;
    for (const row of db.all(`SELECT * FROM ${table.name}`) as Record<string, SqlValue>[]) {
      const sum = rowSum(summedColumns(table).map((column) => row[column] ?? null));
      db.run(update, [sum, ...keys.map((key) => row[key] ?? null)]);
    }
  }
}
