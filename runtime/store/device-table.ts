import type { Sql } from './sql.ts';
import { tables } from './tables.ts';

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
  private readonly sql: Sql;

  constructor(sql: Sql) {
    this.sql = sql;
  }

  put({ id, name, description, state, last_online, reason }: DeviceRow): void {
    this.sql.put(tables.device, [id, name, description, state, last_online, reason]);
  }

  list(): DeviceRow[] {
    return this.sql.all(
      'SELECT id, name, description, state, last_online, reason FROM device ORDER BY id',
    ) as DeviceRow[];
  }

  /** Removes the device and its twins. */
  remove(id: string): void {
    this.sql.remove(tables.device, [id]);
    this.sql.write('DELETE FROM device_twin WHERE deviceid = ?', [id]);
  }

  putTwin({ deviceid, name, value }: TwinRow): void {
    this.sql.put(tables.deviceTwin, [deviceid, name, value]);
  }

  listTwins(): TwinRow[] {
    return this.sql.all('SELECT deviceid, name, value FROM device_twin ORDER BY deviceid, name') as TwinRow[];
  }

  removeTwin(id: string, name: string): void {
    this.sql.remove(tables.deviceTwin, [id, name]);
  }
}
