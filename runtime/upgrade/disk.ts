import { constants } from 'node:fs';
import {
  chmod,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  unlink,
} from 'node:fs/promises';
import { errorCode } from '../core/errors.ts';

/** A file that is written piece by piece. */
export interface DiskFile {
  write(piece: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** What an upgrade asks of the file system, an operation a method, so that a test can end it after any of them. */
export interface Disk {
  create(path: string, mode: number): Promise<DiskFile>;
  /** A partition, to be written from its start. @throws Error EBUSY while it is mounted */
  openPartition(path: string): Promise<DiskFile>;
  makeFolder(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  link(target: string, path: string): Promise<void>;
  /** Removes a file or link; one that is not there is no error. */
  remove(path: string): Promise<void>;
  removeFolder(path: string): Promise<void>;
  /** Makes the names in a folder durable. */
  syncFolder(path: string): Promise<void>;
  read(path: string): Promise<Buffer | undefined>;
  /** Where a link points; undefined when there is none, or something else. */
  readLink(path: string): Promise<string | undefined>;
  list(path: string): Promise<string[]>;
}

export const systemDisk: Disk = {
  async create(path, mode) {
    const handle = await open(path, 'w', mode);
    return {
      write: (piece) => handle.appendFile(piece),
      sync: () => handle.sync(),
      close: async () => {
        await handle.close();
        await chmod(path, mode); // whatever the umask took
      },
    };
  },
  async openPartition(path) {
    const handle = await open(path, constants.O_WRONLY | constants.O_EXCL);
    return {
      write: (piece) => handle.appendFile(piece),
      sync: () => handle.datasync(),
      close: () => handle.close(),
    };
  },
  makeFolder: async (path) => void (await mkdir(path, { recursive: true, mode: 0o755 })),
  rename,
  link: (target, path) => symlink(target, path),
  remove: (path) => unless('ENOENT', unlink(path)).then(() => {}),
  removeFolder: (path) => rm(path, { recursive: true, force: true }),
  async syncFolder(path) {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  read: (path) => unless('ENOENT', readFile(path)),
  readLink: (path) => unless('ENOENT', unless('EINVAL', readlink(path))),
  list: async (path) => (await unless('ENOENT', readdir(path))) ?? [],
};

/** Writes a small file whole or not at all, durably. */
export async function writeDurably(disk: Disk, folder: string, name: string, text: string): Promise<void> {
  const draft = `${folder}/.${name}.new`;
  const file = await disk.create(draft, 0o644);
  try {
    await file.write(Buffer.from(text));
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(draft, `${folder}/${name}`);
  await disk.syncFolder(folder);
}

/** Points a link elsewhere, in one step, durably. */
export async function linkDurably(disk: Disk, folder: string, name: string, target: string): Promise<void> {
  const draft = `${folder}/.${name}.new`;
  await disk.remove(draft);
  await disk.link(target, draft);
  await disk.rename(draft, `${folder}/${name}`);
  await disk.syncFolder(folder);
}

async function unless<T>(code: string, work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (errorCode(error) === code) return undefined;
    throw error;
  }
}
