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
import type { Board } from './boards.ts';
import { initramfsOf } from './initramfs.ts';
import { faultOfKernel } from './kernel.ts';
import { kernelFiles } from './root.ts';
import { run } from './run.ts';

export type Slots = {
  /** UUIDs of the file systems. */
  readonly a: string;
  readonly b: string;
  readonly state: string;
};

/** Fills the folder of the boot partition: each slot has a kernel, what starts it and the kernel's arguments. Slot B has
 * nothing until its first update.
 * @param work for files in between */
export function makeBoot(boot: string, board: Board, root: string, slots: Slots, work: string): void {
  mkdirSync(join(boot, 'a'), { recursive: true });
  mkdirSync(join(boot, 'b'), { recursive: true });
  copyFileSync(kernelFiles(root).image, join(boot, 'a/vmlinuz'));
  writeFileSync(join(boot, 'a/initrd'), initramfsOf(root, board.drivers, join(work, 'initramfs')));
  if (board.loader === 'uefi') uefi(boot, board, root, slots);
  else raspberry(boot, board, root, slots);
}

/** The kernel's arguments for one slot. */
function argumentsOf(board: Board, slot: 'a' | 'b', slots: Slots): string {
  return [
    ...board.console.map((name) => `console=${name}`),
    `edgecore.root=${slots[slot]}`,
    `edgecore.state=${slots.state}`,
    `edgecore.slot=${slot}`,
    'panic=10',
    'quiet',
    // The memory controller of control groups is what pods' limits are kept by; the Pi's kernel has it off.
    'cgroup_enable=memory',
  ].join(' ');
}

/** @source systemd-boot(7), Boot Loader Specification type 1 */
function uefi(boot: string, board: Board, root: string, slots: Slots): void {
  mkdirSync(join(boot, 'EFI/BOOT'), { recursive: true });
  mkdirSync(join(boot, 'loader/entries'), { recursive: true });
  copyFileSync(
    join(root, 'usr/lib/systemd/boot/efi/systemd-bootaa64.efi'),
    join(boot, 'EFI/BOOT/BOOTAA64.EFI'),
  );
  writeFileSync(join(boot, 'loader/loader.conf'), 'timeout 0\neditor no\ndefault a.conf\n');
  for (const slot of ['a', 'b'] as const)
    writeFileSync(
      join(boot, `loader/entries/${slot}.conf`),
      `title edgecore, slot ${slot}\nlinux /${slot}/vmlinuz\ninitrd /${slot}/initrd\noptions ${argumentsOf(board, slot, slots)}\n`,
    );
}

/** @source raspberrypi.com/documentation: config.txt, tryboot */
function raspberry(boot: string, board: Board, root: string, slots: Slots): void {
  const fault = faultOfKernel(readFileSync(join(boot, 'a/vmlinuz')));
  if (fault) throw new Error(`the firmware of the Pi would not start Debian's kernel: ${fault}`);
  const firmware = join(root, 'usr/lib/raspi-firmware');
  for (const name of readdirSync(firmware))
    cpSync(join(firmware, name), join(boot, name), { recursive: true });
  const { trees } = kernelFiles(root);
  for (const tree of board.deviceTrees) {
    if (!existsSync(join(trees, tree))) throw new Error(`the kernel has no device tree ${tree}`);
    for (const slot of ['a', 'b']) copyFileSync(join(trees, tree), join(boot, slot, tree));
  }
  for (const overlay of board.overlays) {
    const [source, out] = [`build/image/overlays/${overlay}.dts`, join(boot, `overlays/${overlay}.dtbo`)];
    run('dtc', ['-q', '-I', 'dts', '-O', 'dtb', '-o', out, source]);
  }
  for (const slot of ['a', 'b'] as const) {
    writeFileSync(join(boot, slot, 'cmdline.txt'), `${argumentsOf(board, slot, slots)}\n`);
    writeFileSync(
      // `reboot "0 tryboot"` starts the other slot once.
      join(boot, slot === 'a' ? 'config.txt' : 'tryboot.txt'),
      `# Which slot starts: os_prefix is its folder.
arm_64bit=1
# The Pi 5 would first look whether there is a device tree for it, and not in that folder.
os_check=0
enable_uart=1
os_prefix=${slot}/
kernel=vmlinuz
initramfs initrd followkernel
cmdline=cmdline.txt
upstream_kernel=1
`,
    );
  }
}
