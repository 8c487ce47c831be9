import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { EdgeError, errorCode } from '../core/errors.ts';
import { removeQuietly } from './files.ts';

/** Who holds a data directory: a process of one boot, told from a later one with the same pid by its start time. */
type Owner = { pid: number; bootId: string; startTime: string };

/** Takes the data directory for this process, or finds out that it is taken.
 * node-sqlite3-wasm's own lock is a directory that outlives a killed process and then blocks for ever,
 * so this lock comes first; whoever holds it may remove a stale one.
 * @param path of the lock file
 * @returns a function that gives the lock back
 * @throws EdgeError STORE_LOCKED when its owner lives, STORE_WRITE_FAILED */
export function takeOwnerLock(path: string): () => void {
  for (let attempt = 0; attempt < 2; attempt++) {
    if (create(path)) return () => removeQuietly(path);
    refuseLiving(path, readOwner(path));
    removeStale(path);
  }
  throw new EdgeError('STORE_LOCKED', { detail: `${path} is being taken by another process` });
}

/** @param path of the lock file
 * @returns the process that holds it; undefined when none does */
export function livingOwner(path: string): number | undefined {
  const owner = readOwner(path);
  return owner && lives(owner) ? owner.pid : undefined;
}

/** @returns false when there is one */
function create(path: string): boolean {
  try {
    writeFileSync(path, JSON.stringify(thisProcess()), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    removeQuietly(path); // on a full disk it is there, and empty
    throw new EdgeError('STORE_WRITE_FAILED', { detail: path, cause: error });
  }
}

/** Another process may find the same stale lock and put its own there in between: what was moved away is looked at again,
 * and put back if it lives. */
function removeStale(path: string): void {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw new EdgeError('STORE_WRITE_FAILED', { detail: path, cause: error });
  }
  const owner = readOwner(aside);
  if (owner && lives(owner) && !existsSync(path)) renameSync(aside, path);
  else removeQuietly(aside);
  refuseLiving(path, owner);
}

function refuseLiving(path: string, owner: Owner | undefined): void {
  if (!owner || !lives(owner)) return;
  throw new EdgeError('STORE_LOCKED', { detail: `${path} is held by process ${owner.pid}` });
}

function thisProcess(): Owner {
  return { pid: process.pid, bootId: bootId(), startTime: startTime(process.pid) ?? '' };
}

function lives(owner: Owner): boolean {
  return owner.bootId === bootId() && startTime(owner.pid) === owner.startTime;
}

/** A lock file cut short by a power failure has no owner. */
function readOwner(path: string): Owner | undefined {
  try {
    const { pid, bootId, startTime } = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof pid === 'number' && typeof bootId === 'string' && typeof startTime === 'string') {
      return { pid, bootId, startTime };
    }
  } catch (error) {
    if (!(error instanceof SyntaxError) && errorCode(error) !== 'ENOENT') throw error;
  }
  return undefined;
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Field 22 of /proc/PID/stat, ticks after boot; undefined when there is no such process.
 * The command name, field 2, may hold spaces and brackets, so fields are counted from its end. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined; // gone between two looks, or never there
  }
}
