import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { EdgeError, errorCode } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { type Database, openDatabase } from './database.ts';
import { isDiskTrouble, removeQuietly } from './files.ts';
import { SCHEMA_SUFFIX } from './known-schema.ts';
import { takeOwnerLock } from './owner-lock.ts';
import type { Salvage } from './salvage.ts';

/** In memory on every Linux, and writable however full or read-only the disks are. */
const shelters = ['/dev/shm', '/run', tmpdir()];
const PREFIX = 'edgecore-store-';

/** Where the database lives: its file under the owner lock or, while that cannot be written, a copy in memory, so that a
 * node boots from a disk that is full or read-only. */
export class Home {
  readonly path: string;
  /** What came of the last database that was damaged. */
  salvaged: Salvage | undefined;
  private readonly now: () => number;
  private readonly log: Logger;
  private unlock: (() => void) | undefined;
  private shelter: string | undefined;

  constructor(deps: { path: string; now: () => number; log: Logger }) {
    this.path = deps.path;
    this.now = deps.now;
    this.log = deps.log;
  }

  get isSheltered(): boolean {
    return this.shelter !== undefined;
  }

  /** Opens the file, or a copy of it.
   * @returns the database, and why it is a copy if it is one
   * @throws EdgeError STORE_LOCKED, STORE_NEWER, STORE_WRITE_FAILED */
  open(): { readonly db: Database; readonly trouble: unknown } {
    try {
      return { db: this.openFile(), trouble: undefined };
    } catch (error) {
      if (error instanceof EdgeError && error.code !== 'STORE_WRITE_FAILED') throw error;
      if (isRefusal(error)) throw error;
      return { db: this.openCopy(error), trouble: error };
    }
  }

  /** Opens the file itself; a copy that is in use stays as it is until {@link leaveShelter}. */
  openFile(): Database {
    makeDirectory(dirname(this.path));
    this.unlock ??= takeOwnerLock(`${this.path}.owner`);
    return this.openAt(this.path);
  }

  /** The copy is no longer used. */
  leaveShelter(): void {
    if (this.shelter) removeQuietly(this.shelter);
    this.shelter = undefined;
  }

  /** Lets go of the data directory. */
  leave(): void {
    this.leaveShelter();
    this.unlock?.();
    this.unlock = undefined;
  }

  private openAt(path: string): Database {
    const { db, salvage } = openDatabase(path, this.now(), this.log);
    if (salvage) this.salvaged = salvage;
    return db;
  }

  private openCopy(why: unknown): Database {
    for (const place of shelters) {
      removeAbandoned(place);
      try {
        this.shelter = mkdtempSync(join(place, `${PREFIX}${process.pid}-`));
        const copy = join(this.shelter, basename(this.path));
        for (const suffix of ['', '-wal', SCHEMA_SUFFIX])
          if (existsSync(this.path + suffix)) copyFileSync(this.path + suffix, copy + suffix);
        return this.openAt(copy);
      } catch (error) {
        this.leaveShelter();
        if (error instanceof EdgeError && error.code === 'STORE_NEWER') throw error;
        // The next place may have room.
      }
    }
    this.unlock?.();
    throw why instanceof EdgeError
      ? why
      : new EdgeError('STORE_WRITE_FAILED', { detail: this.path, cause: why });
  }
}

/** Copies that a killed process left. */
function removeAbandoned(place: string): void {
  if (!existsSync(place)) return;
  for (const name of readdirSync(place)) {
    const pid = name.startsWith(PREFIX) && /^\d+/.exec(name.slice(PREFIX.length))?.[0];
    if (pid && !existsSync(`/proc/${pid}`)) removeQuietly(join(place, name));
  }
}

/** A directory that may not be used, or is none, is the configuration's fault: no waiting makes it better. */
function isRefusal(error: unknown): boolean {
  if (isDiskTrouble(error)) return false;
  for (let at = error; at instanceof Error; at = at.cause)
    if (['EACCES', 'EPERM', 'ENOTDIR', 'EISDIR'].includes(errorCode(at) ?? '')) return true;
  return false;
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new EdgeError('STORE_WRITE_FAILED', {
      detail: `the data directory ${path} cannot be made`,
      cause: error,
    });
  }
}
