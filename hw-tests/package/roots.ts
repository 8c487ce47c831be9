import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { until } from '../program.ts';
import { requireCondition, requireProgram } from '../real-parts.ts';

/** The oldest Debian whose own Node.js edgecore runs on. */
const SUITE = 'trixie';
const MIRROR = process.env.EDGECORE_DEBIAN_MIRROR ?? hostMirror();

/** Runs a program to its end.
 * @throws Error with what it says when it fails */
export function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 3_600_000, // all of Debian set up by an emulator
  });
  if (status !== 0)
    throw new Error(
      `${command} ${args.join(' ')} ended with ${status}: ${error?.message ?? `${stdout}${stderr}`}`,
    );
  return stdout;
}

/** What all of it needs: root, and the means to make and enter a root file system. */
export function canMakeRoots(): boolean {
  return (
    requireCondition(process.getuid?.() === 0, 'root file systems are made as root only') &&
    requireProgram('mmdebstrap', 'mmdebstrap') !== undefined &&
    requireProgram('dpkg-deb', 'dpkg') !== undefined &&
    requireProgram('unshare', 'util-linux') !== undefined
  );
}

/** Whether programs of that architecture run here, by qemu. */
export function canEmulate(qemu: 'qemu-aarch64' | 'qemu-arm'): boolean {
  if (!requireProgram(`${qemu}-static`, 'qemu-user-static')) return false;
  const table = '/proc/sys/fs/binfmt_misc';
  if (!existsSync(`${table}/register`)) spawnSync('mount', ['-t', 'binfmt_misc', 'binfmt_misc', table]);
  if (!existsSync(`${table}/${qemu}`)) spawnSync('update-binfmts', ['--enable', qemu]);
  return requireCondition(
    existsSync(`${table}/${qemu}`),
    `the kernel does not know ${qemu} (binfmt-support)`,
  );
}

/** Makes a Debian root.
 * @param variant `extract` unpacks and sets nothing up, which takes seconds also where an emulator would have to */
export function makeRoot(
  path: string,
  arch: string,
  variant: 'minbase' | 'extract',
  include: readonly string[],
): void {
  mkdirSync(path, { recursive: true });
  const source = `deb ${MIRROR} ${SUITE} main`;
  const what = [`--architectures=${arch}`, `--variant=${variant}`, `--include=${include.join()}`];
  const patience = '--aptopt=Acquire::Retries "3"'; // a mirror may stumble
  run('mmdebstrap', ['--quiet', '--format=directory', patience, ...what, SUITE, path, source]);
}

/** A root with systemd as its first process, in a network of its own, or in one that was made for it. */
export class Machine {
  private readonly nspawn: ChildProcess;
  private leader = 0;

  private constructor(root: string, network: string | undefined) {
    const alone =
      network === undefined ? '--private-network' : `--network-namespace-path=/run/netns/${network}`;
    const options = ['--boot', '--register=no', '--keep-unit', alone, '--link-journal=no'];
    this.nspawn = spawn('systemd-nspawn', ['--directory', root, ...options], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.nspawn.stdout?.resume();
  }

  /** @param network name of a network namespace */
  static async boot(root: string, network?: string): Promise<Machine> {
    const machine = new Machine(root, network);
    try {
      await until('systemd has started everything', () => machine.isUp(), 120_000);
    } catch (error) {
      await machine.halt();
      throw error;
    }
    return machine;
  }

  /** Runs a line of shell in it.
   * @throws Error when it fails */
  sh(line: string): string {
    return run('nsenter', ['--target', String(this.leader), '--all', '--', '/bin/bash', '-c', line], {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      LC_ALL: 'C',
    });
  }

  /** Where this machine finds a file of that one. */
  outside(path: string): string {
    return `/proc/${this.leader}/root${path}`;
  }

  /** One property of the service. */
  show(property: string): string {
    return this.sh(`systemctl show -P ${property} edgecore`).trim();
  }

  async halt(): Promise<void> {
    const gone = once(this.nspawn, 'exit');
    // SIGTERM asks the machine to shut down; one that does not is made to.
    this.nspawn.kill('SIGTERM');
    const timer = setTimeout(() => this.nspawn.kill('SIGKILL'), 30_000);
    await gone;
    clearTimeout(timer);
  }

  /** The machine's process 1: while it starts others come and go before it. */
  private findLeader(): boolean {
    const { pid } = this.nspawn;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    this.leader = Number(children.find((child) => isFirstProcess(child)) ?? 0);
    return this.leader > 0;
  }

  private isUp(): boolean {
    if (!this.findLeader()) return false;
    const { stdout } = spawnSync(
      'nsenter',
      ['--target', String(this.leader), '--all', '--', '/bin/systemctl', 'is-system-running'],
      { encoding: 'utf8' },
    );
    return /running|degraded/.test(stdout);
  }
}

function isFirstProcess(pid: string): boolean {
  try {
    return /^NSpid:.*\t1$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false; // it has ended
  }
}

/** The mirror that this machine's own packages come from. */
function hostMirror(): string {
  for (const path of ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list']) {
    if (!existsSync(path)) continue;
    const found = /^(?:URIs:|deb) +(?:\[[^\]]*\] +)?(https?:\S+\/debian)\/?(?: |$)/m.exec(
      readFileSync(path, 'utf8'),
    );
    if (found?.[1]) return found[1];
  }
  return 'http://deb.debian.org/debian';
}
