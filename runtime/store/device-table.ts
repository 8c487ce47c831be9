import type { Database, Statement } from './database.ts';

export type DeviceRow = {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly state: string;
  /** RFC 3339, or empty when it never was. */
  readonly last_online: string;
  /** Why it is not online, or empty. */
  readonly reason: string;
};

export type TwinRow = { readonly deviceid: string; readonly name: string; readonly value: string };

/** Tables `device` and `device_twin`. A twin's value is its JSON: it is read and written whole. */
export class DeviceTable {
  private readonly statements: Record<
    'put' | 'list' | 'remove' | 'putTwin' | 'listTwins' | 'removeTwin' | 'removeTwins',
    Statement
  >;

  constructor(db: Database) {
    this.statements = {
      put: db.prepare('INSERT OR REPLACE INTO device VALUES (?, ?, ?, ?, ?, ?)'),
      list: db.prepare('SELECT * FROM device ORDER BY id'),
      remove: db.prepare('DELETE FROM device WHERE id = ?'),
      putTwin: db.prepare('INSERT OR REPLACE INTO device_twin VALUES (?, ?, ?)'),
      listTwins: db.prepare('SELECT * FROM device_twin ORDER BY deviceid, name'),
      removeTwin: db.prepare('DELETE FROM device_twin WHERE deviceid = ? AND name = ?'),
      removeTwins: db.prepare('DELETE FROM device_twin WHERE deviceid = ?'),
    };
  }

  put(row: DeviceRow): void {
    this.statements.put.run([row.id, row.name, row.description, row.state, row.last_online, row.reason]);
  }

  list(): DeviceRow[] {
    return this.statements.list.all() as DeviceRow[];
  }

  /** Removes the device and its twins. */
  remove(id: string): void {
    this.statements.remove.run(id);
    this.statements.removeTwins.run(id);
  }

  putTwin(row: TwinRow): void {
    this.statements.putTwin.run([row.deviceid, row.name, row.value]);
  }

  listTwins(): TwinRow[] {
    return this.statements.listTwins.all() as TwinRow[];
  }

  removeTwin(id: string, name: string): void {
    this.statements.removeTwin.run([id, name]);
  }

  finalize(): void {
    for (const statement of Object.values(this.statements)) statement.finalize();
  }
}
