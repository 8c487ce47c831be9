import { lstat, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { MetricSource } from '../core/metrics.ts';
import { type Millis, minutes } from '../core/units.ts';
import type { HostConfig } from './config.ts';
import type { Sensors } from './sensors.ts';

export type BudgetsDeps = {
  readonly config: HostConfig;
  readonly sensors: Pick<Sensors, 'disks' | 'ownWrites' | 'room'>;
  /** Of the database; its folder has the budget. */
  readonly dataSource: string;
  /** Folders of versions that neither run nor are gone back to. */
  readonly unusedVersions: () => Promise<readonly string[]>;
  /** Ms since the machine started: its counters began at 0 then. */
  readonly uptime: () => number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricSource;
};

/** What is over its budget; undefined where there is none, or no figure. */
export type Over = { readonly state: Finding | undefined; readonly writes: Finding | undefined };
type Finding = { readonly found: string | undefined };
type Sample = { readonly at: number; readonly written: number };

const MB = 1e6;
const HOUR = minutes(60);
const DAY = 24 * HOUR;
const LOOK = minutes(10);
/** Of the disk, left: from here on the kubelet speaks of DiskPressure. */
const LITTLE = 0.1;
/** Of backups so many stay. */
const KEPT_BACKUPS = 1;

/** What the flash is meant for: room for the state, and bytes written a day. When the room is used up, what nobody needs to run
 * goes, the least needed first: versions that were given up, damaged databases that were set aside, what a restore has
 * replaced, backups but the newest. */
export class Budgets {
  private readonly deps: BudgetsDeps;
  private readonly log: Logger;
  private readonly samples = new Map<string, Sample[]>();
  private bytes: number | undefined;
  private looked = Number.NEGATIVE_INFINITY;

  constructor(deps: BudgetsDeps) {
    this.deps = deps;
    this.log = deps.log.child('host');
    const { config, metrics, sensors } = deps;
    if (config.stateBudgetMB !== undefined)
      metrics.gauge(
        'edgecore_host_state_bytes',
        'Bytes that the folder of the database takes.',
        () => this.bytes ?? Number.NaN,
      );
    for (const { device } of config.dailyWritesMB === undefined ? [] : sensors.disks())
      metrics.gauge(
        'edgecore_host_disk_written_day_bytes',
        'Bytes written to a disk within 24 hours, by everybody.',
        () => this.writtenADay(device) ?? Number.NaN,
        { device },
      );
  }

  /** Measures what is due. Never rejects. */
  async look(): Promise<void> {
    const { config, clock } = this.deps;
    if (config.dailyWritesMB !== undefined) this.sample();
    if (config.stateBudgetMB === undefined || clock.monotonic() - this.looked < LOOK) return;
    this.looked = clock.monotonic();
    try {
      await this.keepRoom(config.stateBudgetMB * MB);
    } catch (error) {
      this.log.warn('the room of the state could not be looked at', { reason: errorText(error) });
    }
  }

  get over(): Over {
    const { stateBudgetMB, dailyWritesMB } = this.deps.config;
    const isOver = stateBudgetMB !== undefined && (this.bytes ?? 0) > stateBudgetMB * MB;
    const folder = dirname(this.deps.dataSource);
    return {
      state:
        this.bytes === undefined
          ? undefined
          : { found: isOver ? `${folder} takes more than its budget of ${stateBudgetMB} MB` : undefined },
      writes:
        dailyWritesMB === undefined || this.samples.size === 0 ? undefined : this.writesOver(dailyWritesMB),
    };
  }

  private writesOver(budget: number): Finding {
    const over = [...this.samples.keys()].filter((device) => (this.writtenADay(device) ?? 0) > budget * MB);
    const own = Math.round((this.deps.sensors.ownWrites() ?? 0) / MB);
    if (over.length === 0) return { found: undefined };
    const text = `${over.join(', ')}: more than ${budget} MB were written within 24 hours`;
    return { found: `${text}; edgecore has written ${own} MB since its start` };
  }

  /** One sample an hour of each disk, of the last day. */
  private sample(): void {
    const { sensors, clock, uptime } = this.deps;
    const now = clock.monotonic();
    for (const { device, written } of sensors.disks()) {
      const before = this.samples.get(device);
      // A machine that started within a day has the whole of it in its counters.
      const known = before ?? (uptime() < DAY ? [{ at: now - uptime(), written: 0 }] : []);
      const last = known.at(-1);
      // A disk that was taken out and put in again counts anew.
      if (last && written < last.written) this.samples.set(device, [{ at: now, written }]);
      else if (!before || !last || now - last.at >= HOUR)
        this.samples.set(device, [...known.filter(({ at }) => now - at <= DAY), { at: now, written }]);
    }
  }

  private writtenADay(device: string): number | undefined {
    const now = this.deps.clock.monotonic();
    const first = this.samples.get(device)?.find(({ at }) => now - at <= DAY);
    const disk = this.deps.sensors.disks().find((one) => one.device === device);
    return first && disk ? Math.max(0, disk.written - first.written) : undefined;
  }

  private async keepRoom(budget: number): Promise<void> {
    const folder = dirname(this.deps.dataSource);
    this.bytes = await sizeOf(folder);
    const isFull = (): boolean => {
      const room = this.deps.sensors.room(folder);
      return room !== undefined && room.available / room.total < LITTLE;
    };
    if (this.bytes <= budget && !isFull()) return;
    for (const path of await this.spare()) {
      const bytes = await sizeOf(path);
      await rm(path, { recursive: true, force: true });
      this.log.warn('removed, because the room for the state is used up', { path, bytes });
      this.bytes -= bytes;
      if (this.bytes <= budget && !isFull()) return;
    }
  }

  /** What may go, the least needed first. */
  private async spare(): Promise<string[]> {
    const { dataSource, unusedVersions } = this.deps;
    const folder = dirname(dataSource);
    const name = basename(dataSource);
    const here = await namesIn(folder);
    const backups = (await namesIn(join(folder, 'backup'))).filter((file) => file.endsWith('.tar.gz'));
    return [
      ...(await unusedVersions()),
      ...here.filter((file) => file.startsWith(`${name}.corrupt-`)).map((file) => join(folder, file)),
      ...here.filter((file) => file.startsWith(`${name}.before-restore`)).map((file) => join(folder, file)),
      // Their names begin with their time.
      ...backups
        .slice(0, Math.max(0, backups.length - KEPT_BACKUPS))
        .map((file) => join(folder, 'backup', file)),
    ];
  }
}

/** @returns those that have been there for a day: one that is being installed is not in use yet, either */
export async function olderThanADay(paths: readonly string[], now: Millis): Promise<string[]> {
  const old = await Promise.all(
    paths.map(async (path) => now - ((await lstat(path).catch(() => undefined))?.mtimeMs ?? now) > DAY),
  );
  return paths.filter((_, i) => old[i]);
}

/** Bytes on the disk of a file, or of all that is in a folder; 0 for what goes meanwhile. */
async function sizeOf(path: string): Promise<number> {
  const found = await lstat(path).catch(() => undefined);
  if (!found) return 0;
  let bytes = found.blocks * 512;
  if (found.isDirectory()) for (const name of await namesIn(path)) bytes += await sizeOf(join(path, name));
  return bytes;
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).then(
    (names) => names.sort(),
    () => [],
  );
}
