import { readFileSync } from 'node:fs';

export type Memory = { readonly rssMb: number; readonly pssMb: number; readonly anonMb: number };

/** Clock ticks in a second; Linux tells user space 100 on every architecture. @source proc(5), sysconf(_SC_CLK_TCK) */
const TICKS = 100;

/** Resident memory of a process. @source proc(5) smaps_rollup */
export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mb = (name: string): number =>
    Number(text.match(new RegExp(`^${name}: +(\\d+) kB`, 'm'))?.[1] ?? Number.NaN) / 1024;
  return { rssMb: mb('Rss'), pssMb: mb('Pss'), anonMb: mb('Anonymous') };
}

/** Seconds of CPU that a process has used, in user and kernel mode. @source proc(5) stat, fields 14 and 15 */
export function cpuSecondsOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** Bytes that a process has had written to a disk: pages that it made dirty, in whole pages. @source proc(5) io */
export function bytesWrittenBy(pid: number): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
}
