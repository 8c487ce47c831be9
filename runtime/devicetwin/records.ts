import type { Clock, Timer } from '../core/clock.ts';
import type { DeviceState } from '../core/devices.ts';
import { type DeviceId, millis, seconds } from '../core/units.ts';
import { type DeviceEntry, newDeviceEntry } from './device.ts';
import { compact, type Twin } from './twin.ts';

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

/** How long a twin that has changed may wait, for more changes of its device to be written with it. */
const WAIT = seconds(10);
/** How often those that are due are written, and what share of all at most, so that the process is never kept for long. */
const TURN = seconds(0.25);
const SHARE = 20;

type Changed = { readonly names: Set<string>; readonly since: number };

/** Devices and twins on disk. What is sampled again anyway is written about once in ten seconds, however often it
 * changes. */
export class DeviceRecords {
  private readonly store: DeviceStore;
  private readonly clock: Clock;
  /** Twins that have changed since they were written; the device that waits longest first. */
  private readonly changed = new Map<DeviceEntry, Changed>();
  private timer: Timer | undefined;
  private isStopped = false;

  constructor(store: DeviceStore, clock: Clock) {
    this.store = store;
    this.clock = clock;
  }

  /** Hands everything to the store, and from now on at once. */
  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
    this.timer = undefined;
    this.write([...this.changed]);
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
      entry?.twins.set(row.name, compact(twin));
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

  /** Has the named twins written when it is convenient: they are sampled again anyway. */
  noteTwins(entry: DeviceEntry, names: readonly string[]): void {
    if (names.length === 0) return;
    const changed = this.changed.get(entry) ?? { names: new Set(), since: this.clock.monotonic() };
    for (const name of names) changed.names.add(name);
    this.changed.set(entry, changed);
    if (this.isStopped) this.write([[entry, changed]]);
    else this.timer ??= this.clock.after(WAIT, () => this.turn());
  }

  remove(entry: DeviceEntry): void {
    this.changed.delete(entry);
    this.store.lazy(() => this.store.devices.remove(entry.id));
  }

  private turn(): void {
    const now = this.clock.monotonic();
    const most = Math.ceil(this.changed.size / SHARE);
    const due: [DeviceEntry, Changed][] = [];
    for (const one of this.changed) {
      if (due.length === most || one[1].since + WAIT > now) break;
      due.push(one);
    }
    this.write(due);
    const [next] = this.changed.values();
    const wait = next && millis(Math.max(TURN, next.since + WAIT - now));
    this.timer = wait && this.clock.after(wait, () => this.turn());
  }

  private write(due: readonly [DeviceEntry, Changed][]): void {
    if (due.length === 0) return;
    for (const [entry] of due) this.changed.delete(entry);
    this.store.lazy(() => {
      for (const [entry, { names }] of due) this.putTwins(entry, names);
    });
  }

  private putTwins(entry: DeviceEntry, names: Iterable<string>): void {
    for (const name of names) this.putTwin(entry, name);
  }

  private putTwin(entry: DeviceEntry, name: string): void {
    const twin = entry.twins.get(name);
    if (!twin) return;
    const value: StoredTwin = { twin, synced: !entry.unsynced.has(name) };
    this.store.devices.putTwin({ deviceid: entry.id, name, value: JSON.stringify(value) });
  }
}
