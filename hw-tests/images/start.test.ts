import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../build/image/run.ts';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import type { Node } from '../../runtime/core/k8s.ts';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { freePorts, Stack } from '../stack.ts';
import { EmulatedPi } from './emulated-pi.ts';

type Context = { dir: string; stack: Stack; image: string; key: string };
const test = suite<Context>('images for the Raspberry Pi, started in an emulator');
/** Where the emulated machine finds the one that it runs on. */
const HOST = '10.0.2.2';
/** ms; what the emulated processor makes slow. */
const SLOW = 900_000;
// Minutes of a busy processor.
const able =
  process.env.EDGECORE_LONG === 'true' &&
  requireProgram('qemu-system-aarch64', 'qemu-system-arm') !== undefined &&
  requireProgram('mmdebstrap', 'mmdebstrap') !== undefined &&
  requireProgram('mcopy', 'mtools') !== undefined &&
  requireProgram('dtc', 'device-tree-compiler') !== undefined &&
  requireProgram('ssh', 'openssh-client') !== undefined;

if (able) {
  test.before(async (context) => {
    const dir = mkdtempSync(join(tmpdir(), 'edgecore-start-'));
    const ports = await freePorts();
    const stack = new Stack({ dir: join(dir, 'stack'), ports, node: 'edge-pi', cloudHosts: [HOST] });
    const key = join(dir, 'key');
    const image = join(dir, 'rpi3.img');
    Object.assign(context, { dir, stack, key, image });
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    await stack.startMaster();
    await stack.startShim();
    await makeImage('rpi3', image, context, 'edge-pi');
  });
  test.after(async ({ dir, stack }) => {
    await stack.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test('a Pi 3B starts from its card with the device tree, kernel and initramfs of its slot, and joins', async (context) => {
    const card = join(context.dir, 'card.img');
    run('cp', ['--sparse=always', context.image, card]);
    const pi = piOf(context, 'raspi3b', 'card', card);
    try {
      await joins(context, pi, 'edge-pi', 'mmcblk0p');
      assert.match(await pi.shell('tr -d "\\0" </proc/device-tree/model'), /Raspberry Pi 3 Model B/);
      await until(
        'the state has the rest of the card',
        async () => Number(await pi.shell('df -BM --output=size /var | tail -n 1 | tr -dc 0-9')) > 500,
        SLOW,
      );
    } finally {
      await pi.stop();
    }
  });

  test('a Pi 3B also starts from a disk on USB', async (context) => {
    const pi = piOf(context, 'raspi3b', 'usb', context.image);
    try {
      await pi.start();
      await pi.said(/EXT4-fs \(sda2\): mounted filesystem \S+ ro/);
      await pi.said(/EXT4-fs \(sda4\): mounted filesystem \S+ r\/w/);
    } finally {
      await pi.stop();
    }
  });

  test("the Pi 5's kernel, initramfs and root start from a disk on USB, and join", async (context) => {
    const image = join(context.dir, 'rpi5.img');
    await makeImage('rpi5', image, context, 'edge-pi5');
    const pi = piOf(context, 'virt', 'usb', image);
    try {
      await joins(context, pi, 'edge-pi5', 'sda');
      assert.is((await pi.shell('find /lib/modules -name "rp1_pci.ko*" | wc -l')).trim(), '1');
    } finally {
      await pi.stop();
    }
  });
}

function piOf(
  { dir, key, stack }: Context,
  machine: 'raspi3b' | 'virt',
  medium: 'card' | 'usb',
  image: string,
): EmulatedPi {
  const sshPort = stack.options.ports.kubelet;
  return new EmulatedPi({ dir: join(dir, `${machine}-${medium}`), image, key, sshPort, machine, medium });
}

/** Starts it, and follows it until its node has reported.
 * @param partition its partitions but for their numbers */
async function joins({ stack }: Context, pi: EmulatedPi, node: string, partition: string): Promise<void> {
  const begun = performance.now();
  const tell = (what: string) =>
    process.stdout.write(`${node}: ${what} after ${((performance.now() - begun) / 1000).toFixed(0)} s\n`);
  await pi.start();
  await pi.said(new RegExp(`EXT4-fs \\(${partition}2\\): mounted filesystem \\S+ ro`));
  await pi.said(new RegExp(`EXT4-fs \\(${partition}4\\): mounted filesystem \\S+ r/w`));
  tell('root and state mounted');
  await until(
    'the node reports',
    async () => (await stack.object<Node>(kinds.node, node, ''))?.status?.conditions?.length,
    SLOW,
  );
  tell('joined');
  await pi.reachable();
  await until(
    'edgecore is active',
    async () => /^active/.test(await pi.shell('systemctl is-active edgecore')),
    SLOW,
  );
  assert.match(await pi.shell('findmnt -n -o OPTIONS /'), /^ro,/);
  assert.match(await pi.shell('cat /etc/kubeedge/config/edgecore.yaml'), /token: ""/);
  assert.is((await pi.shell('systemctl --failed --plain --no-legend')).trim(), '');
  process.stdout.write(
    await pi.shell('uname -r; free -m; grep VmRSS /proc/$(systemctl show -P MainPID edgecore)/status'),
  );
}

async function makeImage(board: string, out: string, { stack, key }: Context, node: string): Promise<void> {
  const { cloudhub, enrolment } = stack.options.ports;
  const args = [
    ...['--import', 'tsx', 'build/image/image.ts', '--board', board, '--out', out, '--ssh-key', `${key}.pub`],
    ...['--join', `${HOST}:${cloudhub}`, '--enrolment-port', `${enrolment}`, '--token', '-'],
    ...['--node-name', node],
  ];
  const token = await stack.token();
  await new Promise<void>((resolve, reject) => {
    const child = execFile(process.execPath, args, (error, _, stderr) =>
      error ? reject(new Error(`no image: ${stderr || error.message}`)) : resolve(),
    );
    child.stdin?.end(token);
  });
}

test.run();
