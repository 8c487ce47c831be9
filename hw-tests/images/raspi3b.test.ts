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
import { Raspi3b } from './raspi3b.ts';

type Context = { dir: string; stack: Stack; image: string; key: string };
const test = suite<Context>('the image for the Raspberry Pi 3B in an emulator');
/** Where the emulated machine finds the one that it runs on. */
const HOST = '10.0.2.2';
/** ms; what the emulated processor makes slow. */
const SLOW = 600_000;
// Minutes of a busy processor.
const able =
  process.env.EDGECORE_LONG === 'true' &&
  requireProgram('qemu-system-aarch64', 'qemu-system-arm') !== undefined &&
  requireProgram('mmdebstrap', 'mmdebstrap') !== undefined &&
  requireProgram('mcopy', 'mtools') !== undefined &&
  requireProgram('ssh', 'openssh-client') !== undefined;

if (able) {
  test.before(async (context) => {
    const dir = mkdtempSync(join(tmpdir(), 'edgecore-raspi3b-'));
    const stack = new Stack({
      dir: join(dir, 'stack'),
      ports: await freePorts(),
      node: 'edge-pi',
      cloudHosts: [HOST],
    });
    const [key, image] = [join(dir, 'key'), join(dir, 'rpi3.img')];
    Object.assign(context, { dir, stack, key, image });
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    await stack.startMaster();
    await stack.startShim();
    await makeImage(image, stack, `${key}.pub`);
  });
  test.after(async ({ dir, stack }) => {
    await stack.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test('from its card it starts with the tree, the kernel and the initramfs of its slot, and joins', async ({
    dir,
    stack,
    image,
    key,
  }) => {
    const card = join(dir, 'card.img');
    run('cp', ['--sparse=always', image, card]);
    const sshPort = stack.options.ports.kubelet;
    const pi = new Raspi3b({ dir: join(dir, 'card'), image: card, key, sshPort, medium: 'card' });
    const begun = performance.now();
    const tell = (what: string) =>
      process.stdout.write(`${what} after ${((performance.now() - begun) / 1000).toFixed(0)} s\n`);
    try {
      await pi.start();
      await pi.said(/EXT4-fs \(mmcblk0p2\): mounted filesystem \S+ ro/);
      await pi.said(/EXT4-fs \(mmcblk0p4\): mounted filesystem \S+ r\/w/);
      tell('root and state mounted');
      await until(
        'the node reports',
        async () => (await stack.object<Node>(kinds.node, 'edge-pi', ''))?.status?.conditions?.length,
        SLOW,
      );
      tell('joined');
      await pi.reachable();
      assert.is((await pi.shell('systemctl is-active edgecore')).trim(), 'active');
      assert.match(await pi.shell('tr -d "\\0" </proc/device-tree/model'), /Raspberry Pi 3 Model B/);
      assert.match(await pi.shell('findmnt -n -o OPTIONS /'), /^ro,/);
      assert.match(await pi.shell('cat /etc/kubeedge/config/edgecore.yaml'), /token: ""/);
      await until(
        'the state has the rest of the card',
        async () => Number(await pi.shell('df -BM --output=size /var | tail -n 1 | tr -dc 0-9')) > 500,
        SLOW,
      );
      assert.is((await pi.shell('systemctl --failed --plain --no-legend')).trim(), '');
      tell('all up');
      process.stdout.write(
        await pi.shell('free -m; grep VmRSS /proc/$(systemctl show -P MainPID edgecore)/status'),
      );
    } finally {
      await pi.stop();
    }
  });

  test('it also starts from a disk on USB', async ({ dir, stack, image, key }) => {
    const sshPort = stack.options.ports.kubelet;
    const pi = new Raspi3b({ dir: join(dir, 'usb'), image, key, sshPort, medium: 'usb' });
    try {
      await pi.start();
      await pi.said(/EXT4-fs \(sda2\): mounted filesystem \S+ ro/);
      await pi.said(/EXT4-fs \(sda4\): mounted filesystem \S+ r\/w/);
    } finally {
      await pi.stop();
    }
  });
}

async function makeImage(out: string, stack: Stack, keys: string): Promise<void> {
  const { cloudhub, enrolment } = stack.options.ports;
  const args = [
    ...['--import', 'tsx', 'build/image/image.ts', '--board', 'rpi3', '--out', out, '--ssh-key', keys],
    ...['--join', `${HOST}:${cloudhub}`, '--enrolment-port', `${enrolment}`, '--token', '-'],
    ...['--node-name', stack.options.node],
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
