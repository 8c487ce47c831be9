import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

/** A disk of this machine, as a user knows it. */
export type Medium = {
  /** `sdb`, `mmcblk0`. */
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  readonly title: string;
  /** Where its partitions are mounted by whoever sits at the machine; they are unmounted first. */
  readonly mounts: readonly string[];
  /** Why it must not be written to; absent when it may. */
  readonly refusal?: string;
};

/** Below these a desktop mounts what was plugged in; everything else was mounted for a reason. */
const userMounts = ['/media/', '/run/media/'] as const;
const SECTOR = 512;

/** The disks that `/sys/block` knows, each with what speaks against writing to it.
 * @param root `/`, or the root of a tree that has `sys`, `proc` and `dev`
 * @source Linux Documentation/ABI/stable/sysfs-block */
export function listMedia(root = '/'): Medium[] {
  const block = join(root, 'sys/block');
  const mounts = mountsOf(root);
  return readdirSync(block)
    .filter((name) => !/^(loop|ram|zram|dm-|md|nbd|sr|fd)/.test(name))
    .sort()
    .map((name) => mediumOf(root, name, mounts));
}

function mediumOf(root: string, name: string, mounts: ReadonlyMap<string, string[]>): Medium {
  const folder = join(root, 'sys/block', name);
  const bytes = Number(textOf(join(folder, 'size'))) * SECTOR;
  const mounted = numbersOf(root, folder).flatMap((number) => mounts.get(number) ?? []);
  const title = [
    textOf(join(folder, 'device/vendor')),
    textOf(join(folder, 'device/model')),
    textOf(join(folder, 'device/name')),
  ]
    .filter(Boolean)
    .join(' ');
  const refusal = refusalOf(folder, bytes, mounted);
  return {
    name,
    path: join(root, 'dev', name),
    bytes,
    title: title || 'no name',
    mounts: mounted,
    ...(refusal ? { refusal } : {}),
  };
}

function refusalOf(folder: string, bytes: number, mounted: readonly string[]): string | undefined {
  const inUse = mounted.filter((path) => !userMounts.some((prefix) => path.startsWith(prefix)));
  if (inUse.length > 0) return `this machine uses it: ${inUse.slice(0, 3).join(', ')}`;
  if (bytes === 0) return 'there is no card in it';
  if (textOf(join(folder, 'ro')) === '1')
    return 'it is write-protected: look for the little switch on its side';
  if (!isRemovable(folder)) return 'it is built in: neither removable, nor on USB, nor an SD card';
  return undefined;
}

/** USB disks and built-in card readers do not call themselves removable. */
function isRemovable(folder: string): boolean {
  if (textOf(join(folder, 'removable')) === '1') return true;
  if (textOf(join(folder, 'device/type')) === 'SD') return true;
  const device = join(folder, 'device');
  return existsSync(device) && /\/usb\d+\//.test(realpathSync(device));
}

/** `MAJOR:MINOR` of a disk, its partitions and whatever is built on them (encryption, volumes, RAID). */
function numbersOf(root: string, folder: string): string[] {
  const parts = readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((path) => existsSync(join(path, 'partition')));
  return [folder, ...parts].flatMap((path) => {
    const holders = existsSync(join(path, 'holders')) ? readdirSync(join(path, 'holders')) : [];
    return [
      textOf(join(path, 'dev')),
      ...holders.flatMap((holder) => {
        const above = join(root, 'sys/block', holder);
        return existsSync(above) ? numbersOf(root, above) : [];
      }),
    ];
  });
}

/** What is mounted, and what is swapped to, by device number.
 * @source proc(5), mountinfo */
function mountsOf(root: string): Map<string, string[]> {
  const mounts = new Map<string, string[]>();
  const add = (number: string, path: string): void => {
    mounts.set(number, [...(mounts.get(number) ?? []), path]);
  };
  for (const line of textOf(join(root, 'proc/self/mountinfo')).split('\n')) {
    const fields = line.split(' ');
    if (fields[2] && fields[4]) add(fields[2], fields[4].replace(/\\040/g, ' '));
  }
  for (const line of textOf(join(root, 'proc/swaps')).split('\n').slice(1)) {
    const name = line.match(/^\/dev\/(\S+)/)?.[1];
    const number = name && textOf(join(root, 'sys/class/block', name, 'dev'));
    if (number) add(number, 'swap');
  }
  return mounts;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return ''; // not every disk says everything
  }
}
