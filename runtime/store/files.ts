import {
  close,
  closeSync,
  existsSync,
  fdatasync,
  fsyncSync,
  open,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { errorCode } from '../core/errors.ts';

const openFile = promisify(open);
const closeFile = promisify(close);
const dataSync = promisify(fdatasync);

/** Makes a file's content durable, off the event loop. */
export async function syncFile(path: string): Promise<void> {
  const fd = await openFile(path, 'r');
  try {
    await dataSync(fd);
  } finally {
    await closeFile(fd);
  }
}

export function syncFileNow(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes the names of a directory durable: that of `path`. */
export function syncDirectory(path: string): void {
  syncFileNow(dirname(path));
}

/** Of the files `<path>.<kind>-…` the newest few stay, each with its WAL. */
export function keepNewest(path: string, kind: string, count: number): void {
  const start = `${basename(path)}.${kind}-`;
  const folder = dirname(path);
  const files = readdirSync(folder)
    .filter((name) => name.startsWith(start) && !name.endsWith('-wal'))
    .map((name) => ({ file: join(folder, name), name, at: statSync(join(folder, name)).mtimeMs }))
    .sort((a, b) => b.at - a.at || compare(b.name, a.name));
  for (const { file } of files.slice(count))
    for (const suffix of ['', '-wal']) rmSync(file + suffix, { force: true });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const LEAST_ROOM = 256 * 1024;
const PIECE = 64 * 1024;

/** Whether a file of the size of that at `path` could be written beside it. */
export function roomFor(path: string): boolean {
  const probe = `${path}.probe`;
  try {
    const size = Math.max(LEAST_ROOM, existsSync(path) ? statSync(path).size : 0);
    const fd = openSync(probe, 'w');
    try {
      for (let written = 0; written < size; written += PIECE) writeSync(fd, Buffer.alloc(PIECE));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    return true;
  } catch {
    return false;
  } finally {
    removeQuietly(probe);
  }
}

/** Removes a file or folder, if it can be removed. */
export function removeQuietly(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // on a disk that cannot be written it stays
  }
}

/** What a disk answers that is full, read-only or broken. */
const troubles: readonly (string | undefined)[] = ['ENOSPC', 'EROFS', 'EDQUOT', 'EIO'];

/** Whether the error, or one that caused it, says that the disk cannot be written. */
export function isDiskTrouble(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (troubles.includes(errorCode(at))) return true;
  return false;
}
