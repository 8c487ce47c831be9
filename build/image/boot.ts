import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { entryOf } from '../../runtime/upgrade/loader.ts';
import type { Board } from './boards.ts';
import { initramfsOf } from './initramfs.ts';
import { faultOfKernel } from './kernel.ts';
import { kernelFiles } from './root.ts';
import { run } from './run.ts';

/** Fills the folder of a slot on the boot partition: what a system needs beside its root.
 * @param work for files in between */
export function makeSlot(folder: string, board: Board, root: string, work: string): void {
  const { image, trees } = kernelFiles(root);
  mkdirSync(folder, { recursive: true });
  copyFileSync(image, join(folder, 'vmlinuz'));
  writeFileSync(join(folder, 'initrd'), initramfsOf(root, board.drivers, join(work, 'initramfs')));
  writeFileSync(join(folder, 'arguments'), `${argumentsOf(board)}\n`);
  for (const tree of board.deviceTrees) {
    if (!existsSync(join(trees, tree))) throw new Error(`the kernel has no device tree ${tree}`);
    copyFileSync(join(trees, tree), join(folder, tree));
  }
}

/** Fills the folder of the boot partition; slot A has its files already, slot B has none until its first update.
 * @param state UUID of the state partition
 * @param version of the system in slot A */
export function makeBoot(
  boot: string,
  { board, root, state, version }: { board: Board; root: string; state: string; version: string },
): void {
  mkdirSync(join(boot, 'b'), { recursive: true });
  // Says that the slot is whole: see SystemSlots.
  writeFileSync(join(boot, 'a/.version'), `${version}\n`);
  const words = `${argumentsOf(board)} edgecore.state=${state} edgecore.slot=a`;
  if (board.loader === 'uefi') uefi(boot, root, words);
  else raspberry(boot, board, root, words);
}

/** The kernel's arguments, but for what tells a machine and a slot from others. */
function argumentsOf(board: Board): string {
  return [
    ...board.console.map((name) => `console=${name}`),
    'panic=10',
    'quiet',
    // The memory controller of control groups is what pods' limits are kept by; the Pi's kernel has it off.
    'cgroup_enable=memory',
  ].join(' ');
}

/** @source systemd-boot(7), Boot Loader Specification type 1 */
function uefi(boot: string, root: string, words: string): void {
  mkdirSync(join(boot, 'EFI/BOOT'), { recursive: true });
  mkdirSync(join(boot, 'loader/entries'), { recursive: true });
  copyFileSync(
    join(root, 'usr/lib/systemd/boot/efi/systemd-bootaa64.efi'),
    join(boot, 'EFI/BOOT/BOOTAA64.EFI'),
  );
  // No default: what is tried, and else the highest version, starts.
  writeFileSync(join(boot, 'loader/loader.conf'), 'timeout 0\neditor no\n');
  writeFileSync(join(boot, 'loader/entries/a.conf'), entryOf('a', 1, words));
}

/** @source raspberrypi.com/documentation: config.txt */
function raspberry(boot: string, board: Board, root: string, words: string): void {
  const fault = faultOfKernel(readFileSync(join(boot, 'a/vmlinuz')));
  if (fault) throw new Error(`the firmware of the Pi would not start Debian's kernel: ${fault}`);
  const firmware = join(root, 'usr/lib/raspi-firmware');
  for (const name of readdirSync(firmware))
    cpSync(join(firmware, name), join(boot, name), { recursive: true });
  for (const overlay of board.overlays) {
    const [source, out] = [`build/image/overlays/${overlay}.dts`, join(boot, `overlays/${overlay}.dtbo`)];
    run('dtc', ['-q', '-I', 'dts', '-O', 'dtb', '-o', out, source]);
  }
  writeFileSync(join(boot, 'a/cmdline.txt'), `${words}\n`);
  writeFileSync(
    join(boot, 'config.txt'),
    `# Which slot starts: os_prefix is its folder.
arm_64bit=1
# The Pi 5 would first look whether there is a device tree for it, and not in that folder.
os_check=0
enable_uart=1
os_prefix=a/
kernel=vmlinuz
initramfs initrd followkernel
cmdline=cmdline.txt
upstream_kernel=1
`,
  );
}
