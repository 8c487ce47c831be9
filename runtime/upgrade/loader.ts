import { join } from 'node:path';
import { type Disk, writeDurably } from './disk.ts';

export type SystemSlot = 'a' | 'b';
export const systemSlots = ['a', 'b'] as const;

/** What starts the machine, told by files on the boot partition. Every method is done or not done when the power goes. */
export interface Loader {
  /** The slot that starts when no other one is tried. */
  current(): Promise<SystemSlot>;
  /** Has the next start take `slot`, and the one after it {@link current} again.
   * @param words the kernel's arguments */
  arm(slot: SystemSlot, words: string): Promise<void>;
  /** Every start takes `slot`. */
  keep(slot: SystemSlot): Promise<void>;
  /** Nothing but {@link current} starts any more: `slot` is another one. */
  forget(slot: SystemSlot): Promise<void>;
  /** What `reboot` has to be told to have the firmware try a slot. */
  readonly rebootArgument: string | undefined;
}

type Entry = { readonly slot: SystemSlot; readonly name: string; readonly isCounted: boolean };

/** systemd-boot, without EFI variables, which not every machine keeps: an entry `b+1.conf` has one start left, and systemd-boot
 * renames it to `b+0-1.conf` before it takes it. It starts what has starts left and the highest `version`.
 * @source systemd-boot(7); Boot Loader Specification, sorting and boot counting */
export class SystemdBoot implements Loader {
  readonly rebootArgument = undefined;
  private readonly folder: string;
  private readonly disk: Disk;

  /** @param boot the folder of the boot partition */
  constructor(boot: string, disk: Disk) {
    this.folder = join(boot, 'loader/entries');
    this.disk = disk;
  }

  async current(): Promise<SystemSlot> {
    let found: { slot: SystemSlot; version: number } | undefined;
    for (const { slot, name, isCounted } of await this.entries()) {
      const version = isCounted ? -1 : versionIn(await this.text(name));
      if (version > (found?.version ?? -1)) found = { slot, version };
    }
    if (!found) throw new Error(`${this.folder} has no entry that starts`);
    return found.slot;
  }

  async arm(slot: SystemSlot, words: string): Promise<void> {
    const text = entryOf(slot, await this.nextVersion(), words);
    await writeDurably(this.disk, this.folder, `${slot}+1.conf`, text);
  }

  async keep(slot: SystemSlot): Promise<void> {
    const own = (await this.entries()).filter((entry) => entry.slot === slot);
    const [entry] = own;
    if (!entry) throw new Error(`${this.folder} has no entry of slot ${slot}`);
    const text = (await this.text(entry.name)).replace(VERSION, `version ${await this.nextVersion()}`);
    await writeDurably(this.disk, this.folder, `${slot}.conf`, text);
    await this.remove(own.filter(({ isCounted }) => isCounted));
  }

  async forget(slot: SystemSlot): Promise<void> {
    await this.remove((await this.entries()).filter((entry) => entry.slot === slot));
  }

  private async remove(entries: readonly Entry[]): Promise<void> {
    for (const { name } of entries) await this.disk.remove(join(this.folder, name));
    await this.disk.syncFolder(this.folder);
  }

  private async nextVersion(): Promise<number> {
    let highest = 0;
    for (const { name } of await this.entries())
      highest = Math.max(highest, versionIn(await this.text(name)));
    return highest + 1;
  }

  private async entries(): Promise<Entry[]> {
    return (await this.disk.list(this.folder)).flatMap((name) => {
      const [, slot, counter] = name.match(/^([ab])(\+\d+(?:-\d+)?)?\.conf$/) ?? [];
      return slot === 'a' || slot === 'b' ? [{ slot, name, isCounted: counter !== undefined }] : [];
    });
  }

  private async text(name: string): Promise<string> {
    return (await this.disk.read(join(this.folder, name)))?.toString('utf8') ?? '';
  }
}

/** The firmware of the Raspberry Pi: config.txt names the folder that starts, tryboot.txt the one that `reboot "0 tryboot"` starts
 * once. What an operator has set in config.txt is in both.
 * @source raspberrypi.com/documentation: config.txt, tryboot */
export class RaspberryFirmware implements Loader {
  readonly rebootArgument = '0 tryboot';
  private readonly boot: string;
  private readonly disk: Disk;

  /** @param boot the folder of the boot partition */
  constructor(boot: string, disk: Disk) {
    this.boot = boot;
    this.disk = disk;
  }

  async current(): Promise<SystemSlot> {
    const [, slot] = (await this.config()).match(PREFIX) ?? [];
    if (slot === 'a' || slot === 'b') return slot;
    throw new Error(`${join(this.boot, 'config.txt')} has no line os_prefix=a/ or os_prefix=b/`);
  }

  async arm(slot: SystemSlot, words: string): Promise<void> {
    await writeDurably(this.disk, join(this.boot, slot), 'cmdline.txt', `${words}\n`);
    await writeDurably(this.disk, this.boot, 'tryboot.txt', await this.configOf(slot));
  }

  async keep(slot: SystemSlot): Promise<void> {
    await writeDurably(this.disk, this.boot, 'config.txt', await this.configOf(slot));
    await this.forget();
  }

  async forget(): Promise<void> {
    await this.disk.remove(join(this.boot, 'tryboot.txt'));
    await this.disk.syncFolder(this.boot);
  }

  private async configOf(slot: SystemSlot): Promise<string> {
    return (await this.config()).replace(PREFIX, `os_prefix=${slot}/`);
  }

  private async config(): Promise<string> {
    return (await this.disk.read(join(this.boot, 'config.txt')))?.toString('utf8') ?? '';
  }
}

/** An entry of systemd-boot. @source Boot Loader Specification, type 1 */
export function entryOf(slot: SystemSlot, version: number, words: string): string {
  return `title edgecore, slot ${slot}
sort-key edgecore
version ${version}
linux /${slot}/vmlinuz
initrd /${slot}/initrd
options ${words}
`;
}

const VERSION = /^version (\d+)$/m;
const PREFIX = /^os_prefix=([ab])\/$/m;

function versionIn(text: string): number {
  return Number(text.match(VERSION)?.[1] ?? 0);
}
