import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { START_MIB } from '../../build/image/disk.ts';
import { run } from '../../build/image/run.ts';
import { Program, until } from '../program.ts';
import { Qmp } from './qmp.ts';

export type MachineOptions = {
  readonly dir: string;
  /** The medium, which is written to. */
  readonly image: string;
  readonly memoryMiB: number;
  /** Ports of this machine by what they lead to in the emulated one. */
  readonly forwards: Readonly<Record<number, number>>;
  /** The private key that lets in. */
  readonly key: string;
  readonly sshPort: number;
  /** The end of a serial line that a USB adapter of the machine has. */
  readonly line: string;
};

/** 30 s where nothing else runs; a machine that is shared may take long. */
const BOOT_LIMIT = 400_000;
const FIRMWARE = '/usr/share/qemu-efi-aarch64/QEMU_EFI.fd';

/** A whole arm64 machine in software: starts from an image as a board does from its card. */
export class Machine {
  private readonly options: MachineOptions;
  private program: Program | undefined;
  private control: Qmp | undefined;
  private plugged = 0;
  private readonly followers: ChildProcess[] = [];

  constructor(options: MachineOptions) {
    this.options = options;
    mkdirSync(options.dir, { recursive: true });
  }

  /** Switches it on.
   * @param way whether its firmware finds the kernel on the medium, or kernel and initramfs are in memory already, as a
   *   Raspberry Pi's own loader leaves them: UEFI keeps a second copy of them, which a small machine has no room for
   * @returns when firmware or kernel run */
  async start(memoryMiB = this.options.memoryMiB, way: 'firmware' | 'direct' = 'firmware'): Promise<void> {
    const control = join(this.options.dir, 'control.sock');
    rmSync(control, { force: true });
    this.program = new Program({
      name: 'machine',
      command: 'qemu-system-aarch64',
      args: [
        ...this.arguments(memoryMiB, control),
        ...(way === 'firmware' ? ['-bios', FIRMWARE] : this.kernelArguments()),
      ],
      log: this.log,
      isReady: (line) => /UEFI firmware|Booting Linux/.test(line),
    });
    await this.program.ready();
    this.control = await Qmp.connect(control);
  }

  get log(): string {
    return join(this.options.dir, 'console.log');
  }

  get qmp(): Qmp {
    if (!this.control) throw new Error('the machine is off');
    return this.control;
  }

  get isRunning(): boolean {
    return this.program?.isRunning === true;
  }

  /** Runs a command as root in the machine.
   * @throws Error when it fails */
  shell(command: string, input?: Buffer): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = execFile(
        'ssh',
        this.sshArguments(command),
        { timeout: 120_000, maxBuffer: 16 * 1024 * 1024 },
        (error, out, err) =>
          error ? reject(new Error(`in the machine: ${command}: ${err || error.message}`)) : resolve(out),
      );
      child.stdin?.end(input);
    });
  }

  /** Runs a command as root in the machine for as long as that is on, and tells each line that it prints. */
  follow(command: string, tell: (line: string) => void): void {
    const child = spawn('ssh', this.sshArguments(command), { stdio: ['ignore', 'pipe', 'ignore'] });
    createInterface({ input: child.stdout }).on('line', tell);
    this.followers.push(child);
  }

  /** Plugs in a USB adapter with a serial line: the one that the options name. */
  async plug(serial: string): Promise<void> {
    const id = `adapter${++this.plugged}`;
    // The emulator may hold on to the line of an adapter that was pulled out, so each has a hold of its own.
    const backend = { type: 'serial', data: { device: this.options.line } };
    await this.qmp.run('chardev-add', { id: `${id}-line`, backend });
    await this.qmp.run('device_add', {
      driver: 'usb-serial',
      chardev: `${id}-line`,
      id,
      bus: 'usb.0',
      serial,
    });
  }

  /** Pulls out what was plugged in last. */
  async unplug(): Promise<void> {
    await this.qmp.run('device_del', { id: `adapter${this.plugged}` });
  }

  /** A file of the machine, byte by byte. */
  async fetch(path: string): Promise<Buffer> {
    return Buffer.from(await this.shell(`base64 -w 0 ${path}`), 'base64');
  }

  /** Resolves when its system is up and lets in. */
  async reachable(): Promise<void> {
    await until('the machine lets in', async () => (await this.shell('true')) === '', BOOT_LIMIT);
  }

  /** Pulls its plug. What the guest's disk has flushed stays, as on a card. */
  async kill(): Promise<void> {
    this.control?.close();
    this.control = undefined;
    await this.program?.kill();
    // They would wait for an answer for minutes.
    for (const child of this.followers.splice(0)) child.kill('SIGKILL');
  }

  /** The kernel of slot A, started as the medium says. */
  private kernelArguments(): string[] {
    const { image, dir } = this.options;
    const boot = `${image}@@${START_MIB}M`;
    run('mcopy', ['-o', '-i', boot, '::a/vmlinuz', '::a/initrd', dir]);
    const [, words] = /^options (.*)$/m.exec(run('mtype', ['-i', boot, '::loader/entries/a*.conf'])) ?? [];
    if (words === undefined) throw new Error(`${image}: slot A has no options`);
    const files = ['-kernel', join(dir, 'vmlinuz'), '-initrd', join(dir, 'initrd')];
    return [...files, '-append', words.replace(' quiet', '')];
  }

  private sshArguments(command: string): string[] {
    return [
      ...['-i', this.options.key, '-p', `${this.options.sshPort}`, '-o', 'StrictHostKeyChecking=no'],
      ...['-o', 'UserKnownHostsFile=/dev/null', '-o', 'ConnectTimeout=10', '-o', 'LogLevel=ERROR'],
      ...['-o', 'BatchMode=yes', 'root@127.0.0.1', command],
    ];
  }

  private arguments(memoryMiB: number, control: string): string[] {
    const { image, sshPort, forwards } = this.options;
    const all = Object.entries({ ...forwards, [sshPort]: 22 });
    const hostfwd = all.map(([outside, inside]) => `hostfwd=tcp:127.0.0.1:${outside}-:${inside}`).join(',');
    return [
      ...[
        '-M',
        'virt',
        '-cpu',
        'cortex-a53',
        '-smp',
        '2',
        '-m',
        `${memoryMiB}`,
        '-accel',
        'tcg,thread=multi',
      ],
      ...['-nodefaults', '-display', 'none', '-serial', 'stdio'],
      ...['-qmp', `unix:${control},server=on,wait=off`],
      ...['-drive', `if=none,id=card,file=${image},format=raw,cache=writeback,discard=unmap`],
      ...['-device', 'virtio-blk-pci,drive=card'],
      ...['-netdev', `user,id=net,${hostfwd}`, '-device', 'virtio-net-pci,netdev=net,romfile='],
      ...['-device', 'virtio-rng-pci', '-device', 'i6300esb', '-device', 'qemu-xhci,id=usb'],
    ];
  }
}
