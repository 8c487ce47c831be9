import { dirname } from 'node:path';
import type { Config } from './config/schema.ts';
import type { Clock } from './core/clock.ts';
import { HostCare, type HostCareDeps } from './host/care.ts';
import { Sensors } from './host/sensors.ts';
import { runProgram, TimeSync } from './host/time-sync.ts';

/** Looks after this machine. */
export function hostCare(
  deps: Omit<HostCareDeps, 'sensors' | 'folders' | 'isSynchronised'> & {
    readonly all: Config;
    readonly timeSync: TimeSync;
  },
): HostCare {
  const { database, modules } = deps.all;
  const { rootDirectory, tailoredKubeletConfig } = modules.edged;
  const folders = [dirname(database.dataSource), rootDirectory, tailoredKubeletConfig.podLogsDir];
  return new HostCare({
    ...deps,
    isSynchronised: () => deps.timeSync.isSynchronised,
    sensors: new Sensors('/'),
    folders: [...new Set(folders)],
  });
}

/** Asks this machine about its clock. */
export function timeSyncOf(clock: Clock): TimeSync {
  return new TimeSync({ sensors: new Sensors('/'), ask: runProgram, clock });
}
