import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { bootId } from '../host/machine.ts';
import { systemDisk } from './disk.ts';
import { type Loader, RaspberryFirmware, SystemdBoot, type SystemSlot } from './loader.ts';
import { SystemSlots } from './system-slots.ts';

/** Where an image of build/image has its boot partition: not on /boot, which is read-only for the service. */
const BOOT = '/run/boot';

/** @param folder of the slots
 * @returns the slots of the system that runs; undefined for one that has none */
export function systemsAt(folder: string): SystemSlots | undefined {
  const own = kernelWord('edgecore.slot');
  if (own !== 'a' && own !== 'b') return undefined;
  return new SystemSlots({
    folder,
    boot: BOOT,
    loader: loaderAt(BOOT),
    own,
    state: kernelWord('edgecore.state') ?? '',
    bootId: bootId(),
  });
}

function loaderAt(boot: string): Loader {
  return existsSync(join(boot, 'config.txt'))
    ? new RaspberryFirmware(boot, systemDisk)
    : new SystemdBoot(boot, systemDisk);
}

/** An argument that the bootloader gave to the kernel. */
export function kernelWord(name: string): string | undefined {
  const words = read('/proc/cmdline').split(/\s+/);
  return words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** The kind of machine that the running system is for: what an image's `--board` was. */
export function boardOf(): string | undefined {
  return read('/usr/lib/edgecore-image/board').trim() || undefined;
}

/** @returns the partition of a slot: A is the second, B the third of the medium on which the state is the fourth
 * @throws Error when the medium is laid out otherwise */
export function partitionOf(slot: SystemSlot): { readonly path: string; readonly bytes: number } {
  const state = read('/proc/self/mounts')
    .split('\n')
    .find((line) => line.split(' ')[1] === '/var')
    ?.split(' ')[0];
  const name = basename(state ?? '');
  const [wanted, stem] = [slot === 'a' ? 2 : 3, name.replace(/4$/, '')];
  const found = `${stem}${wanted}`;
  const number = read(`/sys/class/block/${found}/partition`).trim();
  if (!state?.endsWith('4') || number !== String(wanted))
    throw new Error(
      `/var is on ${state ?? 'no disk of its own'}, which is not the fourth partition of an image`,
    );
  const sectors = Number(read(`/sys/class/block/${found}/size`));
  return { path: join(dirname(state), found), bytes: sectors * 512 };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
