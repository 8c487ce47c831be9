import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../../runtime/core/message.ts';
import { readFile, rename, writeFile } from './files.ts';

export const pluginStates = [
  'loading',
  'running',
  'restarting',
  'quarantined',
  'refused',
  'disabled',
] as const;

/** How a plugin fares, for `edgecore mapper list`. */
export type PluginStatus = {
  readonly name: string;
  /** Of what runs. */
  readonly version: string;
  readonly protocols: readonly string[];
  readonly state: (typeof pluginStates)[number];
  /** Why it does not run, or why what lies in the folder now does not. */
  readonly reason: string;
  readonly devices: number;
  /** Which state of its folder this is about: see {@link printOf}. */
  readonly judged: string;
};

/** A short form of what {@link PluginFolder.scan} says of a plugin. */
export function printOf(fingerprint: string): string {
  return createHash('sha256').update(fingerprint).digest('hex').slice(0, 12);
}

const FILE = '.status.json';

/** Writes how the plugins fare into their folder, when that has changed. */
export class StatusFile {
  private readonly path: string;
  private written = '';

  constructor(folder: string) {
    this.path = join(folder, FILE);
  }

  /** Told by the folder's owner; lost with a power cut, and written anew at the next start. */
  async write(plugins: readonly PluginStatus[]): Promise<void> {
    const text = JSON.stringify({ pid: process.pid, started: startOf(process.pid), plugins });
    if (text === this.written) return;
    await writeFile(`${this.path}.new`, text);
    await rename(`${this.path}.new`, this.path);
    this.written = text;
  }
}

/** What the edgecore that runs on a folder says of its plugins; undefined when none runs. */
export async function runningStatus(folder: string): Promise<readonly PluginStatus[] | undefined> {
  try {
    const raw: unknown = JSON.parse(await readFile(join(folder, FILE), 'utf8'));
    if (!isRecord(raw) || !Array.isArray(raw.plugins)) return undefined;
    const { pid, started } = raw;
    return typeof pid === 'number' && startOf(pid) === started ? (raw.plugins as PluginStatus[]) : undefined;
  } catch {
    return undefined; // Nobody has written it, or is writing it for the first time.
  }
}

/** When a process was started, in the kernel's ticks: a number that was given again has another.
 * @source proc_pid_stat(5), field 22 */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
