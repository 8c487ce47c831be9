import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import type { DeviceStatus } from '../../runtime/core/devices.ts';
import type { Node } from '../../runtime/core/k8s.ts';
import { BUSYBOX } from '../containerd/containerd.ts';
import { makeImage as makeOciImage } from '../containerd/image.ts';
import { until } from '../program.ts';
import { requireCondition, requireProgram } from '../real-parts.ts';
import { Line } from '../serial/line.ts';
import { freePorts, Stack } from '../stack.ts';
import { Bundles } from './bundles.ts';
import { Machine } from './machine.ts';

/** Where an emulated machine finds the one that it runs on. */
const HOST = '10.0.2.2';
/** Where the gateway's broker is for others. */
const MQTT = 1884;
/** The image of a pod's sandbox, as containerd and edged of the image name it. */
const PAUSE = 'docker.io/kubeedge/pause:3.6';
const CARD_BYTES = 3 * 1024 ** 3;
/** ms; 30 s where nothing else runs. */
const BOOT_LIMIT = 400_000;

/** Whether this machine can make an image and start it; says what is missing. */
export function canEmulate(): boolean {
  const programs = [
    requireProgram('qemu-system-aarch64', 'qemu-system-arm'),
    requireProgram('mmdebstrap', 'mmdebstrap'),
    requireProgram('mcopy', 'mtools'),
    requireProgram('sfdisk', 'fdisk'),
    requireProgram('mke2fs', 'e2fsprogs'),
    requireProgram('depmod', 'kmod'),
    requireProgram('xz', 'xz-utils'),
    requireProgram('ssh', 'openssh-client'),
    requireProgram('socat', 'socat'),
  ];
  const firmware = spawnSync('test', ['-f', '/usr/share/qemu-efi-aarch64/QEMU_EFI.fd']).status === 0;
  return (
    requireCondition(firmware, 'no UEFI for arm64 (apt-get install qemu-efi-aarch64)') &&
    programs.every(Boolean)
  );
}

/** A cloud on this machine, and a gateway in an emulator that was started from its image. */
export class Gateway {
  readonly stack: Stack;
  readonly machine: Machine;
  readonly line: Line;
  /** The broker of the gateway, from here. */
  readonly mqttPort: number;
  readonly key: string;
  readonly bundles: Bundles;
  private readonly dir: string;

  private constructor(parts: Pick<Gateway, 'stack' | 'machine' | 'line' | 'mqttPort' | 'key'>, dir: string) {
    this.stack = parts.stack;
    this.machine = parts.machine;
    this.line = parts.line;
    this.mqttPort = parts.mqttPort;
    this.key = parts.key;
    this.dir = dir;
    this.bundles = new Bundles(join(dir, 'bundles'));
  }

  /** Starts the cloud and makes the image; the machine is off. */
  static async make(memoryMiB: number): Promise<Gateway> {
    const dir = mkdtempSync(join(tmpdir(), 'edgecore-board-'));
    const ports = await freePorts();
    const stack = new Stack({ dir: join(dir, 'stack'), ports, node: 'edge-board', cloudHosts: [HOST] });
    const line = new Line();
    try {
      return await Gateway.assemble({ dir, stack, line, memoryMiB });
    } catch (error) {
      await line.remove();
      await stack.stop();
      process.stdout.write(`no gateway: ${String(error)}\n`); // a hook's error is not printed
      throw error;
    }
  }

  private static async assemble(parts: { dir: string; stack: Stack; line: Line; memoryMiB: number }) {
    const { dir, stack, line, memoryMiB } = parts;
    const { ports } = stack.options;
    await stack.startMaster();
    await stack.startShim();
    const key = join(dir, 'key');
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    const image = join(dir, 'card.img');
    await makeImage(dir, image, stack, `${key}.pub`);
    // A card is larger than what is written to it.
    truncateSync(image, CARD_BYTES);
    await line.connect();
    const machine = new Machine({
      dir,
      image,
      memoryMiB,
      key,
      sshPort: ports.kubelet,
      forwards: { [ports.mqtt]: MQTT },
      line: line.master,
    });
    return new Gateway({ stack, machine, line, mqttPort: ports.mqtt, key }, dir);
  }

  /** Resolves when the node has told the cluster how it is after `since`, ready or not: without a container runtime it
   * is not.
   * @param version that it must say it is */
  async heard(since: number, version = ''): Promise<Node> {
    const { node } = this.stack.options;
    return until(
      `node ${node} reports ${version}`,
      async () => {
        const found = await this.stack.object<Node>(kinds.node, node, '');
        const ready = found?.status?.conditions?.find(({ type }) => type === 'Ready');
        const isNow = Date.parse(ready?.lastHeartbeatTime ?? '') >= since;
        return isNow && found?.status?.nodeInfo?.kubeletVersion?.endsWith(version) ? found : undefined;
      },
      BOOT_LIMIT,
    );
  }

  /** Gives its containerd the images of the test, as there is no registry. */
  async importImages(): Promise<void> {
    const busybox = join(this.dir, 'busybox');
    writeFileSync(busybox, await this.machine.fetch('/usr/bin/busybox'));
    await until('containerd answers', () => this.machine.shell('ctr version'), 180_000);
    for (const [name, command] of [
      [BUSYBOX, ['sh']],
      [PAUSE, ['sleep', 'infinity']],
    ] as const) {
      const archive = makeOciImage(this.dir, name, command, { busybox, architecture: 'arm64' });
      await this.machine.shell('ctr -n k8s.io images import -', readFileSync(archive));
    }
  }

  async deviceStatus(name: string): Promise<DeviceStatus['status'] | undefined> {
    return (await this.stack.object<DeviceStatus>(kinds.deviceStatus, name))?.status;
  }

  async close(): Promise<void> {
    await this.machine.kill();
    await this.line.remove();
    await this.stack.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

async function makeImage(dir: string, out: string, stack: Stack, keys: string): Promise<void> {
  const config = join(dir, 'more.yaml');
  mkdirSync(dir, { recursive: true });
  writeFileSync(
    config,
    stringify({
      modules: {
        eventBus: {
          listeners: [{ type: 'tcp', address: `0.0.0.0:${MQTT}`, allowAnonymous: true }],
          // The emulator's network may let one client in again seconds after another: what waits for it must not be dropped.
          limits: { queueCount: 100_000, queueBytes: 64 * 2 ** 20 },
        },
      },
    }),
  );
  const { cloudhub, enrolment } = stack.options.ports;
  const args = [
    ...[
      '--board',
      'virt',
      '--join',
      `${HOST}:${cloudhub}`,
      '--enrolment-port',
      `${enrolment}`,
      '--token',
      '-',
    ],
    ...[
      '--node-name',
      stack.options.node,
      '--ssh-key',
      keys,
      '--containerd',
      '--config',
      config,
      '--out',
      out,
    ],
  ];
  const token = await stack.token();
  await new Promise<void>((resolve, reject) => {
    const child = execFile(
      process.execPath,
      ['--import', 'tsx', 'build/image/image.ts', ...args],
      (error, _, stderr) => (error ? reject(new Error(`no image: ${stderr || error.message}`)) : resolve()),
    );
    child.stdin?.end(token);
  });
}
