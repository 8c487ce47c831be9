import { dirname, join } from 'node:path';
import type { Config } from './config/schema.ts';
import type { Clock } from './core/clock.ts';
import { Budgets, olderThanADay } from './host/budgets.ts';
import { HostCare, type HostCareDeps } from './host/care.ts';
import { uptime } from './host/machine.ts';
import { Sensors } from './host/sensors.ts';
import { runProgram, TimeSync } from './host/time-sync.ts';
import { type SlotPlaces, slotsAt } from './upgrade/upgrade.ts';

type Given = Pick<HostCareDeps, 'clock' | 'log' | 'metrics'> & {
  readonly all: Config;
  readonly timeSync: TimeSync;
};

/** Looks after this machine. */
export function hostCare(deps: Given, places: SlotPlaces | undefined): HostCare {
  const { database, modules } = deps.all;
  const { rootDirectory, tailoredKubeletConfig } = modules.edged;
  const folders = [dirname(database.dataSource), rootDirectory, tailoredKubeletConfig.podLogsDir];
  const sensors = new Sensors('/');
  const unusedVersions = async (): Promise<string[]> => {
    const unused = (await slotsAt(places)?.unused()) ?? [];
    const paths = unused.map((name) => join(places?.folder ?? '', name));
    return olderThanADay(paths, deps.clock.now());
  };
  const { dataSource } = database;
  return new HostCare({
    ...deps,
    sensors,
    budgets: new Budgets({ ...deps, config: modules.host, sensors, dataSource, unusedVersions, uptime }),
    isSynchronised: () => deps.timeSync.isSynchronised,
    folders: [...new Set(folders)],
  });
}

/** Asks this machine about its clock. */
export function timeSyncOf(clock: Clock): TimeSync {
  return new TimeSync({ sensors: new Sensors('/'), ask: runProgram, clock });
}
