import { createHash, type KeyObject } from 'node:crypto';
import { dirname, join } from 'node:path';
import { EdgeError, errorCode, errorText } from '../core/errors.ts';
import type { Disk, DiskFile } from './disk.ts';
import {
  type BundleFile,
  type BundleManifest,
  compareVersions,
  digestOf,
  isSigned,
  MANIFEST,
  parseManifest,
  SIGNATURE,
} from './manifest.ts';
import { slotName } from './slots.ts';
import { readTar, type TarEntry } from './tar.ts';

export type UnpackDeps = {
  readonly disk: Disk;
  /** Of the slots. */
  readonly folder: string;
  readonly keys: readonly KeyObject[];
  /** Where the keys were looked for. */
  readonly keysFrom: string;
  /** `linux-arm64` */
  readonly platform: string;
  /** The version in use. */
  readonly version: string;
  /** Whether an older version, or the same one again, is wanted. */
  readonly force: boolean;
  /** Free bytes where the slots are. */
  readonly room: () => number;
  /** Where a whole system goes; undefined where there is no place for one. @throws EdgeError that says why not now */
  readonly system: (() => SystemTarget) | undefined;
};

export type Unpacked = { readonly slot: string; readonly version: string; readonly isSystem: boolean };

export type SystemTarget = {
  /** The kind of machine. */
  readonly board: string;
  /** @returns the slot that is whole then */
  write(entries: AsyncIterable<TarEntry>, manifest: BundleManifest): Promise<string>;
};

/** A manifest of 4096 files is shorter. */
const LARGEST_MANIFEST = 1024 * 1024;
/** What the state may still need while an upgrade is tried. */
const SPARE = 16 * 1024 * 1024;
export const DRAFT = '.incoming';

/** Takes a bundle as it arrives into a slot of its own. Nothing is written before the signature is known to be good, and the
 * slot gets its name when every file in it is what the manifest says and lies on the disk.
 * @param pieces the archive, unzipped
 * @throws EdgeError UPGRADE_UNTRUSTED, UPGRADE_WRONG_MACHINE, UPGRADE_OLDER, UPGRADE_DAMAGED, UPGRADE_NO_ROOM */
export async function unpack(pieces: AsyncIterable<Uint8Array>, deps: UnpackDeps): Promise<Unpacked> {
  const { disk, folder } = deps;
  const draft = join(folder, DRAFT);
  try {
    const entries = readTar(pieces);
    const text = await small(await entries.next(), MANIFEST);
    const signature = await small(await entries.next(), SIGNATURE);
    const manifest = trusted(text, signature, deps);
    const { version } = manifest;
    if (manifest.name === 'edgecore-system')
      return { slot: await system(entries, manifest, deps), version, isSystem: true };
    checkMachine(manifest, deps);
    const slot = slotName(manifest.version, digestOf(text));
    const isThere = (await disk.list(folder)).includes(slot);
    await disk.removeFolder(draft);
    await disk.makeFolder(draft);
    for (const inner of foldersOf(Object.keys(manifest.files))) await disk.makeFolder(join(draft, inner));
    await takeFiles(entries, manifest, (path, { executable }) =>
      disk.create(join(draft, path), executable ? 0o755 : 0o644),
    );
    await put(await disk.create(join(draft, MANIFEST), 0o644), [Buffer.from(text)]);
    await syncTree(disk, draft, Object.keys(manifest.files));
    // The same content is there already, and may be in use.
    if (isThere) await disk.removeFolder(draft);
    else await disk.rename(draft, join(folder, slot));
    await disk.syncFolder(folder);
    return { slot, version, isSystem: false };
  } catch (error) {
    await disk.removeFolder(draft).catch(() => {});
    throw explained(error, folder);
  }
}

/** What is neither ours nor the system's word is the archive's fault: it is cut short, or something else. */
function explained(error: unknown, folder: string): unknown {
  const code = errorCode(error) ?? '';
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new EdgeError('UPGRADE_NO_ROOM', { detail: `${folder}: ${errorText(error)}`, cause: error });
  if (error instanceof EdgeError || /^(E|UND_)/.test(code)) return error;
  return new EdgeError('UPGRADE_DAMAGED', { detail: errorText(error), cause: error });
}

/** @returns what the manifest says, when it is of somebody who may say so, and newer */
function trusted(text: string, signature: string, deps: UnpackDeps): BundleManifest {
  const { keys, keysFrom, version, force } = deps;
  if (keys.length === 0)
    throw new EdgeError('UPGRADE_UNTRUSTED', {
      detail: `there is no public key in ${keysFrom}: put the one of whoever makes your bundles there, as NAME.pem`,
    });
  if (!isSigned(text, signature, keys))
    throw new EdgeError('UPGRADE_UNTRUSTED', { detail: `no key in ${keysFrom} has signed this bundle` });
  const manifest = parseManifest(text);
  if ('wrong' in manifest) throw damaged(`${MANIFEST}: ${manifest.wrong}`);
  if (!force && compareVersions(manifest.version, version) <= 0)
    throw new EdgeError('UPGRADE_OLDER', { detail: `it is ${manifest.version}, in use is ${version}` });
  return manifest;
}

function checkMachine(manifest: BundleManifest, { platform, folder, room }: UnpackDeps): void {
  if (manifest.platform !== platform)
    throw new EdgeError('UPGRADE_WRONG_MACHINE', {
      detail: `it is for ${manifest.platform}, this machine is ${platform}`,
    });
  const needed = Object.values(manifest.files).reduce((sum, { bytes }) => sum + bytes, SPARE);
  if (room() < needed)
    throw new EdgeError('UPGRADE_NO_ROOM', {
      detail: `${folder} has ${mb(room())} MB free, ${mb(needed)} MB are needed`,
    });
}

async function system(
  entries: AsyncIterable<TarEntry>,
  manifest: BundleManifest,
  deps: UnpackDeps,
): Promise<string> {
  const target = deps.system?.();
  if (!target)
    throw new EdgeError('UPGRADE_WRONG_MACHINE', {
      detail: `it is a whole system for ${manifest.platform}, which \`edgecore upgrade\` takes on a gateway that started from an image`,
    });
  if (target.board !== manifest.platform)
    throw new EdgeError('UPGRADE_WRONG_MACHINE', {
      detail: `it is a whole system for ${manifest.platform}, this machine is ${target.board}`,
    });
  return target.write(entries, manifest);
}

/** Takes every file that the manifest names, as it arrives, and checks it.
 * @param open where a file goes
 * @throws EdgeError UPGRADE_DAMAGED */
export async function takeFiles(
  entries: AsyncIterable<TarEntry>,
  manifest: BundleManifest,
  open: (path: string, file: BundleFile) => Promise<DiskFile>,
): Promise<void> {
  const missing = new Map(Object.entries(manifest.files));
  for await (const entry of entries) {
    const wanted = missing.get(entry.name);
    if (!wanted) throw damaged(`${entry.name} is not in the manifest, or twice in the archive`);
    await takeFile(entry, wanted, open);
    missing.delete(entry.name);
  }
  const [first] = missing.keys();
  if (first !== undefined) throw damaged(`${first} is missing`);
}

async function takeFile(
  entry: TarEntry,
  wanted: BundleFile,
  open: (path: string, file: BundleFile) => Promise<DiskFile>,
): Promise<void> {
  const hash = createHash('sha256');
  const checked = (async function* () {
    for await (const piece of entry.content) {
      hash.update(piece);
      yield piece;
    }
  })();
  if (entry.bytes !== wanted.bytes) throw damaged(`${entry.name} has another length than the manifest says`);
  await put(await open(entry.name, wanted), checked);
  if (hash.digest('hex') !== wanted.sha256) throw damaged(`${entry.name} is not what was signed`);
}

async function put(file: DiskFile, pieces: Iterable<Buffer> | AsyncIterable<Buffer>): Promise<void> {
  try {
    for await (const piece of pieces) await file.write(piece);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the names durable, the deepest first. */
async function syncTree(disk: Disk, root: string, paths: readonly string[]): Promise<void> {
  for (const folder of foldersOf(paths).reverse()) await disk.syncFolder(join(root, folder));
  await disk.syncFolder(root);
}

/** @returns every folder that is named in a path, each before what is in it */
export function foldersOf(paths: Iterable<string>): string[] {
  const found = new Set<string>();
  for (const path of paths) for (let at = dirname(path); at !== '.'; at = dirname(at)) found.add(at);
  return [...found].sort();
}

/** The content of one of the first two files. */
async function small(next: IteratorResult<TarEntry>, name: string): Promise<string> {
  const entry = next.done ? undefined : next.value;
  if (entry?.name !== name)
    throw damaged(`it has no ${name} where that belongs: it is no bundle of edgecore`);
  if (entry.bytes > LARGEST_MANIFEST) throw damaged(`${name} is too long`);
  const parts: Buffer[] = [];
  for await (const piece of entry.content) parts.push(piece);
  return Buffer.concat(parts).toString('utf8');
}

export function damaged(detail: string): EdgeError {
  return new EdgeError('UPGRADE_DAMAGED', { detail });
}

export function mb(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
