import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { EdgeError, errorText } from '../core/errors.ts';
import { type Disk, type DiskFile, systemDisk } from './disk.ts';
import { type BundleManifest, ROOT } from './manifest.ts';
import { boardOf, partitionOf } from './system.ts';
import type { SystemSlots } from './system-slots.ts';
import type { TarEntry } from './tar.ts';
import { damaged, foldersOf, mb, type SystemTarget, takeFiles } from './unpack.ts';

export type Partition = { readonly path: string; readonly bytes: number };

/** A card takes into memory what it then needs minutes for, and nobody else's sync gets through meanwhile. */
const SYNC_EVERY = 8 * 1024 * 1024;
/** Only the kernel of Raspberry Pi OS has it, and only that kernel tells the firmware `tryboot`.
 * @source github.com/raspberrypi/rpi-eeprom issue 716 */
const PI_KERNEL = '/dev/vcio';

/** The place for a system on this machine.
 * @throws EdgeError UPGRADE_NO_TRIAL, UPGRADE_WRONG_MACHINE */
export function systemTarget(slots: SystemSlots): SystemTarget {
  if (slots.parts.loader.rebootArgument && !existsSync(PI_KERNEL))
    throw new EdgeError('UPGRADE_NO_TRIAL', { detail: `the kernel has no ${PI_KERNEL}` });
  let partition: Partition;
  try {
    partition = partitionOf(slots.other);
  } catch (error) {
    throw new EdgeError('UPGRADE_WRONG_MACHINE', { detail: errorText(error), cause: error });
  }
  return {
    board: boardOf() ?? 'of an unknown kind',
    write: (entries, manifest) => writeSystem(entries, manifest, { slots, partition, disk: systemDisk }),
  };
}

/** Writes the slot that does not run. From before the first byte until all lie on the medium nothing can start it.
 * @returns the slot
 * @throws EdgeError UPGRADE_BUSY, UPGRADE_DAMAGED, UPGRADE_NO_ROOM */
export async function writeSystem(
  entries: AsyncIterable<TarEntry>,
  manifest: BundleManifest,
  { slots, partition, disk }: { slots: SystemSlots; partition: Partition; disk: Disk },
): Promise<string> {
  const { trial } = await slots.state();
  if (trial) throw new EdgeError('UPGRADE_BUSY', { detail: `the system in slot ${trial.slot} is on trial` });
  const root = manifest.files[ROOT];
  if (!root || root.bytes > partition.bytes)
    throw new EdgeError('UPGRADE_NO_ROOM', {
      detail: `${partition.path} has ${mb(partition.bytes)} MB, the system needs ${mb(root?.bytes ?? 0)} MB: write a new image`,
    });
  const slot = slots.other;
  const folder = join(slots.parts.boot, slot);
  await slots.clear();
  // The boot partition has no room for three kernels.
  await disk.removeFolder(folder);
  const folders = foldersOf(Object.keys(manifest.files)).map((inner) => join(folder, inner));
  for (const path of [folder, ...folders]) await disk.makeFolder(path);
  await disk.syncFolder(slots.parts.boot);
  await takeFiles(entries, manifest, async (path) =>
    path === ROOT
      ? inSteps(await disk.openPartition(partition.path))
      : disk.create(join(folder, path), 0o644),
  );
  for (const path of [...folders.reverse(), folder]) await disk.syncFolder(path);
  // It was closed since, so that the kernel has forgotten it and asks the medium.
  if ((await hashOf(partition.path, root.bytes)) !== root.sha256)
    throw damaged(`${partition.path} does not hold what was written to it: the medium is worn`);
  await slots.complete(manifest.version);
  return slot;
}

function inSteps(file: DiskFile): DiskFile {
  let since = 0;
  return {
    async write(piece) {
      await file.write(piece);
      since += piece.length;
      if (since < SYNC_EVERY) return;
      since = 0;
      await file.sync();
    },
    sync: () => file.sync(),
    close: () => file.close(),
  };
}

async function hashOf(path: string, bytes: number): Promise<string> {
  const hash = createHash('sha256');
  if (bytes === 0) return hash.digest('hex');
  for await (const piece of createReadStream(path, { end: bytes - 1, highWaterMark: 256 * 1024 }))
    hash.update(piece);
  return hash.digest('hex');
}
