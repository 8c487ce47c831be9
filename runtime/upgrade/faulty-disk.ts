import {
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { type Disk, type DiskFile, systemDisk } from './disk.ts';

/** The power went. */
export class PowerCut extends Error {}

type Change = { readonly folder: string; readonly undo: () => void };

/** A real disk whose power goes after `operations` changes. What was not synced by then may be lost: contents of files, and
 * the latest of the changes of names. */
export class FaultyDisk implements Disk {
  /** Changes that were made. */
  count = 0;
  private readonly operations: number;
  private changes: Change[] = [];
  private readonly unsynced = new Set<string>();

  constructor(operations = Number.POSITIVE_INFINITY) {
    this.operations = operations;
  }

  /** What a machine finds that starts after the power cut.
   * @param kept [0, 1] of the changes of names that were not synced */
  crash(kept: number): void {
    const lost = this.changes.splice(Math.round(this.changes.length * kept));
    if (kept < 1) for (const path of this.unsynced) truncateSync(path, 0);
    for (const { undo } of lost.reverse()) undo();
  }

  async create(path: string, mode: number): Promise<DiskFile> {
    this.step();
    const before = contentOf(path);
    const file = await systemDisk.create(path, mode);
    if (before === undefined) this.changed(path, () => rmSync(path, { force: true }));
    return this.faulty(path, file);
  }

  async openPartition(path: string): Promise<DiskFile> {
    this.step();
    return this.faulty(path, await systemDisk.openPartition(path));
  }

  private faulty(path: string, file: DiskFile): DiskFile {
    this.unsynced.add(path);
    return {
      write: async (piece) => {
        if (this.count >= this.operations) await file.write(piece.subarray(0, piece.length >> 1));
        this.step();
        await file.write(piece);
      },
      sync: async () => {
        this.step();
        await file.sync();
        this.unsynced.delete(path);
      },
      close: () => file.close(),
    };
  }

  async makeFolder(path: string): Promise<void> {
    this.step();
    await systemDisk.makeFolder(path);
  }

  async rename(from: string, to: string): Promise<void> {
    this.step();
    const restore = restorer(to);
    await systemDisk.rename(from, to);
    if (this.unsynced.delete(from)) this.unsynced.add(to);
    this.changed(to, () => {
      renameSync(to, from);
      restore();
    });
  }

  async link(target: string, path: string): Promise<void> {
    this.step();
    await systemDisk.link(target, path);
    this.changed(path, () => rmSync(path));
  }

  async remove(path: string): Promise<void> {
    this.step();
    const restore = restorer(path);
    await systemDisk.remove(path);
    this.unsynced.delete(path);
    this.changed(path, restore);
  }

  async removeFolder(path: string): Promise<void> {
    this.step();
    await systemDisk.removeFolder(path);
    for (const file of this.unsynced) if (file.startsWith(`${path}/`)) this.unsynced.delete(file);
    this.changes = this.changes.filter(({ folder }) => folder !== path && !folder.startsWith(`${path}/`));
  }

  async syncFolder(path: string): Promise<void> {
    this.step();
    await systemDisk.syncFolder(path);
    this.changes = this.changes.filter(({ folder }) => folder !== path);
  }

  read(path: string): Promise<Buffer | undefined> {
    return systemDisk.read(path);
  }

  readLink(path: string): Promise<string | undefined> {
    return systemDisk.readLink(path);
  }

  list(path: string): Promise<string[]> {
    return systemDisk.list(path);
  }

  private step(): void {
    if (this.count >= this.operations) throw new PowerCut('the power went');
    this.count++;
  }

  private changed(path: string, undo: () => void): void {
    this.changes.push({ folder: dirname(path), undo });
  }
}

/** @returns what puts back the file or link that is at `path` now */
function restorer(path: string): () => void {
  const target = linkAt(path);
  if (target !== undefined) return () => symlinkSync(target, path);
  const content = contentOf(path);
  return content === undefined ? () => {} : () => writeFileSync(path, content);
}

function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // a file, or nothing
  }
}

function contentOf(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined; // a folder, or nothing
  }
}
