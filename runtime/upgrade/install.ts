import type { KeyObject } from 'node:crypto';
import { createReadStream, statfsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { EdgeError, errorCode, errorText } from '../core/errors.ts';
import { type Disk, systemDisk } from './disk.ts';
import { readPublicKey } from './manifest.ts';
import type { FileSlots, SlotAdapter, TrialRequest } from './slots.ts';
import { DRAFT, type SystemTarget, type Unpacked, unpack } from './unpack.ts';

/** A server that sends nothing for so long, ms, is given up. */
const SILENCE = 60_000;

export type InstallOptions = {
  /** A file, or an http(s) URL: what arrives is believed for its signature, not for its way. */
  readonly source: string;
  /** The folder of the public keys, `*.pem`. */
  readonly keys: string;
  readonly slots: FileSlots;
  /** The version in use. */
  readonly version: string;
  readonly force: boolean;
  /** Where a whole system may go. */
  readonly system?: (() => SystemTarget) | undefined;
  readonly disk?: Disk;
};

/** Puts a bundle into a slot; nothing that is in use changes.
 * @throws EdgeError UPGRADE_* */
export async function installBundle(options: InstallOptions): Promise<Unpacked> {
  const { slots, keys, version, force, disk = systemDisk } = options;
  const { trial } = await slots.state();
  if (trial) throw new EdgeError('UPGRADE_BUSY', { detail: `${trial.slot} is on trial` });
  const { folder } = slots;
  try {
    await mkdir(folder, { recursive: true });
    for (const name of await slots.unused()) await disk.removeFolder(join(folder, name));
    await disk.removeFolder(join(folder, DRAFT));
    const known = await readKeys(keys);
    const pieces = await open(options.source);
    return await unpack(pieces, {
      disk,
      folder,
      keys: known,
      keysFrom: keys,
      platform: `${process.platform}-${process.arch}`,
      version,
      force,
      room: () => freeBytes(folder),
      system: options.system,
    });
  } catch (error) {
    throw explained(error, options.source, folder);
  }
}

/** Has the next start try what was installed. */
export async function armTrial(slots: SlotAdapter, slot: string, request: TrialRequest): Promise<void> {
  try {
    await slots.setTrial(slot, request);
  } catch (error) {
    throw explained(error, slot, `slot ${slot}`);
  }
}

function explained(error: unknown, source: string, folder: string): unknown {
  if (error instanceof EdgeError) return error;
  const code = errorCode(error) ?? '';
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new EdgeError('UPGRADE_NO_ROOM', { detail: `${folder}: ${errorText(error)}`, cause: error });
  if (['EACCES', 'EPERM', 'EROFS'].includes(code))
    return new EdgeError('UPGRADE_NO_ACCESS', { detail: errorText(error), cause: error });
  const cause = error instanceof Error && error.cause ? `: ${errorText(error.cause)}` : '';
  return new EdgeError('UPGRADE_UNREACHABLE', {
    detail: `${source}: ${errorText(error)}${cause}`,
    cause: error,
  });
}

/** @throws EdgeError UPGRADE_UNTRUSTED for a file that is no key: a key that was meant must not be missed silently */
export async function readKeys(folder: string): Promise<KeyObject[]> {
  const names = await readdir(folder).catch((error) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  const keys: KeyObject[] = [];
  for (const name of names.filter((candidate) => candidate.endsWith('.pem')).sort()) {
    const path = join(folder, name);
    const key = readPublicKey(await readFile(path, 'utf8'));
    if ('wrong' in key) throw new EdgeError('UPGRADE_UNTRUSTED', { detail: `${path}: ${key.wrong}` });
    keys.push(key);
  }
  return keys;
}

/** @returns the archive, unzipped */
async function open(source: string): Promise<AsyncIterable<Uint8Array>> {
  const zipped = /^https?:\/\//.test(source) ? await fromUrl(source) : await fromFile(source);
  const gunzip = createGunzip({ chunkSize: 64 * 1024 });
  zipped.once('error', (error) => gunzip.destroy(error));
  return zipped.pipe(gunzip);
}

async function fromFile(path: string): Promise<Readable> {
  if (!(await stat(path)).isFile()) throw new Error('it is no file');
  return createReadStream(path);
}

async function fromUrl(url: string): Promise<Readable> {
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(), SILENCE);
  const response = await fetch(url, { signal: abort.signal });
  clearTimeout(timer);
  if (!response.ok || !response.body)
    throw new Error(`the server answers ${response.status} ${response.statusText}`);
  const body = Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]);
  const alive = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => body.destroy(new Error(`nothing came for ${SILENCE / 1000} s`)), SILENCE);
  };
  alive();
  return Readable.from(
    (async function* () {
      try {
        for await (const piece of body) {
          alive();
          yield piece;
        }
      } catch (cause) {
        throw new EdgeError('UPGRADE_UNREACHABLE', {
          detail: `${url}: it breaks off: ${errorText(cause)}`,
          cause,
        });
      } finally {
        clearTimeout(timer);
      }
    })(),
  );
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
