import { dirname } from 'node:path';
import type { Config } from './config/schema.ts';
import { HostCare, type HostCareDeps } from './host/care.ts';
import { Sensors } from './host/sensors.ts';

/** Looks after this machine. */
export function hostCare(
  deps: Omit<HostCareDeps, 'sensors' | 'folders'> & { readonly all: Config },
): HostCare {
  const { database, modules } = deps.all;
  const { rootDirectory, tailoredKubeletConfig } = modules.edged;
  const folders = [dirname(database.dataSource), rootDirectory, tailoredKubeletConfig.podLogsDir];
  return new HostCare({ ...deps, sensors: new Sensors('/'), folders: [...new Set(folders)] });
}
