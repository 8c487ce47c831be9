import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { makeDeb, VERSION } from './debs.ts';
import { canEmulate, canMakeRoots, makeRoot, run } from './roots.ts';

/** The packages of the other architectures, by qemu-user. `--long` sets the whole Debian up, and has apt find what the
 * package depends on; without, it is only unpacked. */
const isLong = process.env.EDGECORE_LONG === 'true';
/** What dpkg and the scripts of the package need. */
const TOOLS = [
  ...['dpkg', 'dash', 'coreutils', 'sed', 'grep', 'tar', 'gzip', 'diffutils', 'findutils', 'perl-base'],
  ...['base-files', 'base-passwd', 'libc-bin', 'libstdc++6', 'init-system-helpers'],
];
const cases = [
  { arch: 'arm64', qemu: 'qemu-aarch64', machine: 'aarch64', node: [] },
  { arch: 'armhf', qemu: 'qemu-arm', machine: 'arm', node: ['nodejs'] },
] as const;

const test = suite('packages of other architectures');

if (canMakeRoots() && requireProgram('mosquitto_sub', 'mosquitto-clients')) {
  for (const { arch, qemu, node } of cases) {
    if (!canEmulate(qemu)) continue;
    test(`${arch}: it installs, starts, answers on MQTT, and is purged`, async () => {
      const root = mkdtempSync(join(tmpdir(), `package-${arch}-`));
      let network: Network | undefined;
      try {
        if (isLong) makeRoot(root, arch, 'minbase', ['ca-certificates']);
        else makeRoot(root, arch, 'extract', [...TOOLS, ...node]);
        const deb = makeDeb(arch);
        copyFileSync(deb, join(root, basename(deb)));
        const chroot = (line: string): string =>
          run('chroot', [root, '/bin/sh', '-c', line], { LC_ALL: 'C' });
        if (isLong)
          chroot(`apt-get update -qq && apt-get install -y -qq --no-install-recommends ./${basename(deb)}`);
        else chroot(`dpkg --force-depends -i /${basename(deb)}`);
        assert.is(chroot('edgecore --version').trim(), VERSION);

        network = new Network();
        await network.start(root);
        const kept = network.run('mosquitto_pub', ['-h', '127.0.0.1', '-q', '1', '-r', '-t', 'a', '-m', 'b']);
        assert.is(kept.status, 0, kept.stderr);
        const { stdout } = network.run('mosquitto_sub', [
          '-h',
          '127.0.0.1',
          '-t',
          'a',
          '-C',
          '1',
          '-W',
          '20',
        ]);
        assert.is(stdout.trim(), 'b');
        await network.stop();
        network = undefined;
        chroot('dpkg --force-depends -P edgecore');
        chroot('test ! -e /etc/kubeedge && test ! -e /var/lib/kubeedge && test ! -e /usr/lib/edgecore');
      } finally {
        await network?.stop();
        rmSync(root, { recursive: true, force: true });
      }
    });
  }
}

/** edgecore in a root, with processes and a network of its own. */
class Network {
  private child: ChildProcess | undefined;
  private output = '';

  async start(root: string): Promise<void> {
    const script = join(root, 'start.sh');
    writeFileSync(
      script,
      `ip link set lo up
mount -t proc proc ${root}/proc
exec chroot ${root} /bin/sh -c 'exec edgecore'
`,
    );
    this.child = spawn('unshare', ['--net', '--mount', '--pid', '--fork', '--kill-child', 'sh', script], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk;
      });
    try {
      await until('edgecore has started', () => this.output.includes('"message":"started"'), 120_000);
    } catch (error) {
      throw new Error(`${error}; it said: ${this.output.slice(-2000)}`);
    }
  }

  run(command: string, args: readonly string[]) {
    const target = String(this.child?.pid);
    return spawnSync('nsenter', ['--target', target, '--net', '--', command, ...args], { encoding: 'utf8' });
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
}

test.run();
