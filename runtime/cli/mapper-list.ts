import { PluginFolder } from '../../mappers/plugins/folder.ts';
import { type PluginStatus, runningStatus } from '../../mappers/plugins/status.ts';
import { tableText } from './table.ts';

export type ListedMapper = Omit<PluginStatus, 'state' | 'judged'> & {
  /** `installed`: edgecore does not run. */
  readonly state: PluginStatus['state'] | 'installed';
};

export type MapperList = {
  readonly directory: string;
  /** Whether an edgecore runs on this folder. */
  readonly running: boolean;
  readonly mappers: readonly ListedMapper[];
};

/** What is installed, as the folder says, and how it fares, as the edgecore that runs on it says. */
export async function listMappers(directory: string): Promise<MapperList> {
  const folder = new PluginFolder(directory);
  const told = await runningStatus(directory);
  const mappers: ListedMapper[] = [];
  for (const name of (await folder.scan()).keys()) {
    const status = told?.find((candidate) => candidate.name === name);
    mappers.push(listed(await ofFolder(folder, name), status));
  }
  return { directory, running: told !== undefined, mappers };
}

/** A table for people. */
export function mapperTable({ directory, running, mappers }: MapperList): string {
  const note = running ? '' : `no edgecore runs plugins from ${directory}: this is what lies there\n`;
  if (mappers.length === 0)
    return `no mappers are installed in ${directory}; edgecore mapper install SOURCE installs one\n`;
  const rows = [
    ['NAME', 'VERSION', 'PROTOCOLS', 'STATE', 'DEVICES', 'REASON'],
    ...mappers.map((m) => [
      m.name,
      m.version || '-',
      m.protocols.join(',') || '-',
      m.state,
      String(m.devices),
      m.reason,
    ]),
  ];
  return `${note}${tableText(rows)}`;
}

async function ofFolder(folder: PluginFolder, name: string): Promise<ListedMapper> {
  const candidate = await folder.read(name);
  if ('refused' in candidate)
    return { name, version: '', protocols: [], state: 'refused', reason: candidate.refused, devices: 0 };
  const { version, protocols } = candidate.manifest;
  const state = (await folder.isDisabled(name)) ? 'disabled' : 'installed';
  return { name, version, protocols, state, reason: '', devices: 0 };
}

/** What runs counts; what does not run is described by its folder. */
function listed(own: ListedMapper, status: PluginStatus | undefined): ListedMapper {
  if (!status) return own;
  const { name, state, reason, devices } = status;
  const { version, protocols } = status.version ? status : own;
  return { name, version, protocols, state, reason: reason || own.reason, devices };
}
