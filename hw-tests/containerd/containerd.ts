import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seconds } from '../../runtime/core/units.ts';
import { connectCri } from '../../runtime/wire/cri.ts';
import { requireCondition, requireProgram } from '../real-parts.ts';
import { makeImage } from './image.ts';

export const BUSYBOX = 'localhost/busybox:test';
export const PAUSE = 'localhost/pause:test';

/** A containerd of its own, with its own directory, socket, network and images. */
export type Containerd = {
  readonly endpoint: string;
  /** Its log, for a failure. */
  readonly log: string;
  stop(): Promise<void>;
};

/** Whether this machine can run containers; says so when not. */
export function canRunContainers(): boolean {
  const programs = [
    requireProgram('containerd', 'containerd'),
    requireProgram('runc', 'runc'),
    requireProgram('busybox', 'busybox-static'),
  ];
  const cni = requireCondition(
    spawnSync('test', ['-x', '/usr/lib/cni/bridge']).status === 0,
    'no CNI plugins in /usr/lib/cni (apt-get install containernetworking-plugins)',
  );
  return requireCondition(process.getuid?.() === 0, 'containers need root') && cni && programs.every(Boolean);
}

/** Starts containerd and imports the test images. */
export async function startContainerd(): Promise<Containerd> {
  const folder = mkdtempSync(join(tmpdir(), 'edgecore-containerd-'));
  const socket = join(folder, 'containerd.sock');
  const log = join(folder, 'containerd.log');
  writeConfig(folder, socket);
  const child = spawn('containerd', ['--config', join(folder, 'config.toml')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const out = createWriteStream(log);
  child.stdout.pipe(out, { end: false });
  child.stderr.pipe(out, { end: false });
  await ready(socket, child);
  for (const [name, command] of [
    [BUSYBOX, ['sh']],
    [PAUSE, ['sleep', 'infinity']],
  ] as const) {
    const archive = makeImage(folder, name, command);
    ctr(socket, ['images', 'import', archive]);
    rmSync(archive);
  }
  return { endpoint: `unix://${socket}`, log, stop: () => stop(folder, child, out) };
}

function writeConfig(folder: string, socket: string): void {
  mkdirSync(join(folder, 'cni'));
  // Its own bridge and addresses for each instance, so that suites do not meet.
  const subnet = `10.${100 + (process.pid % 100)}.${process.pid % 250}.0/24`;
  writeFileSync(
    join(folder, 'cni/10-test.conflist'),
    JSON.stringify({
      cniVersion: '0.4.0',
      name: `edgecore-test-${process.pid}`,
      plugins: [
        {
          type: 'bridge',
          bridge: `ect${process.pid % 100_000}`,
          isGateway: true,
          ipam: { type: 'host-local', dataDir: join(folder, 'ipam'), ranges: [[{ subnet }]] },
        },
        { type: 'portmap', capabilities: { portMappings: true } },
      ],
    }),
  );
  writeFileSync(
    join(folder, 'config.toml'),
    `version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE}"
  # Virtual machines without CAP_SYS_RESOURCE cannot lower it.
  restrict_oom_score_adj = true
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${folder}/cni"
`,
  );
}

async function ready(socket: string, child: ChildProcess): Promise<void> {
  const cri = connectCri(`unix://${socket}`);
  const until = Date.now() + 30_000;
  for (;;) {
    const { status } = await cri.call('status', {}, seconds(2)).catch(() => ({ status: undefined }));
    if (status?.conditions.every((c) => c.status)) break;
    if (child.exitCode !== null) throw new Error(`containerd ended with ${child.exitCode}`);
    if (Date.now() > until) throw new Error(`containerd is not ready: ${JSON.stringify(status)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  cri.close();
}

function ctr(socket: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync('ctr', ['-a', socket, '-n', 'k8s.io', ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ctr ${args.join(' ')}: ${stderr}`);
}

async function stop(folder: string, child: ChildProcess, out: NodeJS.WritableStream): Promise<void> {
  const cri = connectCri(`unix://${join(folder, 'containerd.sock')}`);
  const { items } = await cri.call('listPodSandbox', {}).catch(() => ({ items: [] }));
  for (const { id } of items) {
    await cri.call('stopPodSandbox', { podSandboxId: id }).catch(() => {});
    await cri.call('removePodSandbox', { podSandboxId: id }).catch(() => {});
  }
  cri.close();
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
  out.end();
  // Mounts of a sandbox that did not go hold the folder.
  spawnSync('sh', ['-c', `grep -o ' ${folder}[^ ]*' /proc/mounts | sort -r | xargs -r umount -l`]);
  spawnSync('ip', ['link', 'delete', `ect${process.pid % 100_000}`]);
  rmSync(folder, { recursive: true, force: true });
}
