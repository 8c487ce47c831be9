import type { DeviceState } from '../core/devices.ts';
import type { DeviceId } from '../core/units.ts';
import { type DeviceEntry, newDeviceEntry } from './device.ts';
import type { Twin } from './twin.ts';

/** The part of the store that keeps devices. */
export interface DeviceStore {
  durable(work: () => void): Promise<void>;
  lazy(work: () => void): void;
  readonly devices: {
    put(row: {
      id: string;
      name: string;
      description: string;
      state: string;
      last_online: string;
      reason: string;
    }): void;
    list(): {
      id: string;
      name: string;
      description: string;
      state: string;
      last_online: string;
      reason: string;
    }[];
    remove(id: string): void;
    putTwin(row: { deviceid: string; name: string; value: string }): void;
    listTwins(): { deviceid: string; name: string; value: string }[];
  };
}

/** A twin as it is stored: with the mark whether the cloud has confirmed it. */
type StoredTwin = { readonly twin: Twin; readonly synced: boolean };

/** Devices and twins on disk. */
export class DeviceRecords {
  private readonly store: DeviceStore;

  constructor(store: DeviceStore) {
    this.store = store;
  }

  load(): DeviceEntry[] {
    const entries = new Map<string, DeviceEntry>();
    for (const row of this.store.devices.list()) {
      const entry = newDeviceEntry(row.id as DeviceId, row.name, row.description);
      Object.assign(entry, {
        state: row.state as DeviceState,
        lastOnline: row.last_online,
        reason: row.reason,
      });
      entries.set(row.id, entry);
    }
    for (const row of this.store.devices.listTwins()) {
      const { twin, synced } = JSON.parse(row.value) as StoredTwin;
      const entry = entries.get(row.deviceid);
      entry?.twins.set(row.name, twin);
      if (!synced) entry?.unsynced.add(row.name);
    }
    return [...entries.values()];
  }

  keepDevice(entry: DeviceEntry): void {
    const { id, name, description, state, lastOnline, reason } = entry;
    this.store.lazy(() =>
      this.store.devices.put({ id, name, description, state, last_online: lastOnline, reason }),
    );
  }

  /** Writes the named twins as they are now, because somebody will be told that they are safe. */
  keepTwins(entry: DeviceEntry, names: readonly string[]): Promise<void> {
    return this.store.durable(() => this.putTwins(entry, names));
  }

  /** Writes the named twins when it is convenient: they are sampled again anyway. */
  noteTwins(entry: DeviceEntry, names: readonly string[]): void {
    this.store.lazy(() => this.putTwins(entry, names));
  }

  remove(id: DeviceId): void {
    this.store.lazy(() => this.store.devices.remove(id));
  }

  private putTwins(entry: DeviceEntry, names: readonly string[]): void {
    for (const name of names) this.putTwin(entry, name);
  }

  private putTwin(entry: DeviceEntry, name: string): void {
    const twin = entry.twins.get(name);
    if (!twin) return;
    const value: StoredTwin = { twin, synced: !entry.unsynced.has(name) };
    this.store.devices.putTwin({ deviceid: entry.id, name, value: JSON.stringify(value) });
  }
}
