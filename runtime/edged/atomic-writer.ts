import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, isAbsolute, join, normalize } from 'node:path';
import { EdgeError } from '../core/errors.ts';

export type VolumeFile = { readonly path: string; readonly content: Buffer; readonly mode: number };

const DATA = '..data';

/** Writes the files of a volume so that a reader sees all old ones or all new ones: each name is a link through
 * `..data`, which is swapped in one rename. Nothing is written when nothing changed.
 * @source kubelet pkg/volume/util atomic_writer.go */
export function writeAtomically(folder: string, files: readonly VolumeFile[]): void {
  for (const { path } of files) checkPath(path);
  mkdirSync(folder, { recursive: true });
  const link = join(folder, DATA);
  const before = existsSync(link) ? readlinkSync(link) : undefined;
  if (before && same(join(folder, before), files)) return;
  const next = mkdtempSync(join(folder, '..v'));
  chmodSync(next, 0o755);
  for (const { path, content, mode } of files) {
    mkdirSync(dirname(join(next, path)), { recursive: true });
    writeFileSync(join(next, path), content);
    chmodSync(join(next, path), mode);
  }
  // One that a power cut left behind.
  rmSync(`${link}_tmp`, { force: true });
  symlinkSync(basename(next), `${link}_tmp`);
  renameSync(`${link}_tmp`, link);
  const tops = new Set(files.map(({ path }) => path.split('/', 1)[0] ?? path));
  for (const top of tops) {
    if (!lstatSync(join(folder, top), { throwIfNoEntry: false }))
      symlinkSync(join(DATA, top), join(folder, top));
  }
  for (const name of readdirSync(folder)) {
    const stale = name.startsWith('..') ? name !== DATA && name !== basename(next) : !tops.has(name);
    if (stale) rmSync(join(folder, name), { recursive: true });
  }
}

function checkPath(path: string): void {
  const plain = normalize(path);
  if (isAbsolute(plain) || plain.split('/').includes('..') || plain.startsWith('..') || path === '')
    throw new EdgeError('OBJECT_INVALID', {
      detail: `volume path ${JSON.stringify(path)} leaves the volume`,
    });
}

function same(folder: string, files: readonly VolumeFile[]): boolean {
  const found = list(folder, '');
  if (found.length !== files.length) return false;
  return files.every(({ path, content, mode }) => {
    const stats = lstatSync(join(folder, path), { throwIfNoEntry: false });
    if (!stats?.isFile() || (stats.mode & 0o777) !== mode) return false;
    return readFileSync(join(folder, path)).equals(content);
  });
}

function list(folder: string, under: string): string[] {
  return readdirSync(join(folder, under), { withFileTypes: true }).flatMap((entry) => {
    const path = join(under, entry.name);
    return entry.isDirectory() ? list(folder, path) : [path];
  });
}
