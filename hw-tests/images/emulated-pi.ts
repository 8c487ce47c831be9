import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { Program, until } from '../program.ts';
import { ImageFile } from './image-file.ts';

export type PiOptions = {
  readonly dir: string;
  /** An image, which is written to. */
  readonly image: string;
  /** The private key that lets in, and the port of this machine that leads to its ssh. */
  readonly key: string;
  readonly sshPort: number;
  /** `raspi3b` is a Raspberry Pi 3B: its processor, card slot, USB and serial line, and 1 GB of memory. `virt` is a machine
   * of the emulator's own with PCI and USB, which starts what is in an image for a Pi that it has no model of. */
  readonly machine: 'raspi3b' | 'virt';
  /** Where the image is: in the slot for cards, or on a stick. */
  readonly medium: 'card' | 'usb';
};

const CARD_BYTES = 2 * 1024 ** 3; // the emulator wants a power of two
/** ms; 60 s where nothing else runs. */
const BOOT_LIMIT = 900_000;

/** What comes nearest to a Raspberry Pi in software. It has neither the firmware, whose part the emulator plays (kernel,
 * initramfs, device tree, arguments), nor Wi-Fi, nor a watchdog that counts; the network is a USB adapter. */
export class EmulatedPi {
  private readonly options: PiOptions;
  private program: Program | undefined;

  constructor(options: PiOptions) {
    this.options = options;
  }

  get log(): string {
    return join(this.options.dir, 'console.log');
  }

  /** Does what the firmware does, and starts it.
   * @returns when the kernel runs */
  async start(): Promise<void> {
    const { dir, image } = this.options;
    const boot = join(dir, 'boot');
    mkdirSync(boot, { recursive: true });
    new ImageFile(image).copyBoot(boot);
    truncateSync(image, CARD_BYTES);
    this.program = new Program({
      name: 'Pi',
      command: 'qemu-system-aarch64',
      args: this.arguments(join(boot, 'a')),
      log: this.log,
      isReady: (line) => line.includes('Booting Linux'),
    });
    await this.program.ready();
  }

  /** Resolves when its console has said something.
   * @returns the line */
  said(pattern: RegExp): Promise<string> {
    return until(`it says ${pattern}`, () => this.readConsole().match(pattern)?.[0], BOOT_LIMIT);
  }

  /** Runs a command as root in it.
   * @throws Error when it fails */
  shell(command: string): Promise<string> {
    const args = [
      ...['-i', this.options.key, '-p', `${this.options.sshPort}`, '-o', 'StrictHostKeyChecking=no'],
      ...['-o', 'UserKnownHostsFile=/dev/null', '-o', 'ConnectTimeout=20', '-o', 'LogLevel=ERROR'],
      ...['-o', 'BatchMode=yes', 'root@127.0.0.1', command],
    ];
    return new Promise((resolve, reject) => {
      execFile('ssh', args, { timeout: 120_000 }, (error, out, err) =>
        error ? reject(new Error(`in the Pi: ${command}: ${err || error.message}`)) : resolve(out),
      );
    });
  }

  async reachable(): Promise<void> {
    await until('the Pi lets in', async () => (await this.shell('true')) === '', BOOT_LIMIT);
  }

  async stop(): Promise<void> {
    await this.program?.kill();
  }

  private readConsole(): string {
    return readFileSync(this.log, 'utf8');
  }

  private arguments(slot: string): string[] {
    const { image, machine, medium, sshPort } = this.options;
    const isPi = machine === 'raspi3b';
    const drive = `file=${image},format=raw,cache=unsafe`;
    // With the emulator's watchdog, which goes off as soon as it is wound up, a Pi would restart for ever; of the two
    // drivers that take its network adapter for theirs, one does not get it to work.
    const ours = readFileSync(join(slot, 'cmdline.txt'), 'utf8').trim().replace(' quiet', '');
    const early = isPi ? '0x3f201000' : '0x9000000';
    const append = `${ours} console=ttyAMA0,115200 earlycon=pl011,${early} systemd.watchdog_sec=0 module_blacklist=cdc_subset`;
    return [
      ...['-M', machine, '-accel', 'tcg,thread=multi', '-nodefaults', '-display', 'none', '-serial', 'stdio'],
      ...(isPi
        ? ['-dtb', join(slot, 'bcm2837-rpi-3-b.dtb')]
        : ['-cpu', 'cortex-a72', '-smp', '2', '-m', '1024', '-device', 'qemu-xhci']),
      ...['-kernel', join(slot, 'vmlinuz'), '-initrd', join(slot, 'initrd'), '-append', append],
      ...(medium === 'card'
        ? ['-drive', `if=sd,${drive}`]
        : ['-drive', `if=none,id=stick,${drive}`, '-device', 'usb-storage,drive=stick']),
      ...['-netdev', `user,id=net,hostfwd=tcp:127.0.0.1:${sshPort}-:22`, '-device', 'usb-net,netdev=net'],
    ];
  }
}
