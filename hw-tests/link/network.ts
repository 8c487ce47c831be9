import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { requireCondition, requireProgram } from '../real-parts.ts';

const execute = promisify(execFile);

/** A name of the cloud that only the edge's namespace knows. */
export const CLOUD_NAME = 'cloud.test';
const NET = '10.231';
/** The cloud's two addresses, both on this machine. */
export const CLOUD = [`${NET}.1.1`, `${NET}.1.3`] as const;
export const EDGE = `${NET}.2.1`;
const ROUTER = [`${NET}.1.2`, `${NET}.2.2`] as const;

/** True on machines where networks can be made and broken. */
export function canBreakNetworks(): boolean {
  const programs = [requireProgram('ip', 'iproute2'), requireProgram('tc', 'iproute2')];
  const filter = requireProgram('iptables', 'iptables') && requireProgram('curl', 'curl');
  const isRoot = requireCondition(process.getuid?.() === 0, 'network namespaces need root');
  return isRoot && filter !== undefined && programs.every(Boolean);
}

/** The edge in a network namespace of its own, behind a router in another, where packets get lost:
 *
 *     this machine, the cloud ── veth ── router ── veth ── edge
 */
export class Network {
  readonly edgePrefix: readonly string[];
  private readonly edge: string;
  private readonly router: string;
  private readonly devices: readonly string[];

  constructor() {
    const id = process.pid;
    this.edge = `edge-${id}`;
    this.router = `router-${id}`;
    this.edgePrefix = ['ip', 'netns', 'exec', this.edge];
    this.devices = [`lt${id}c`, `lt${id}e`];
  }

  open(): void {
    const { edge, router, devices } = this;
    const [toCloud = '', toEdge = ''] = devices;
    this.rename([CLOUD[0]]);
    const lines = [
      `ip netns add ${edge}`,
      `ip netns add ${router}`,
      `ip link add ${toCloud} type veth peer name north netns ${router}`,
      `ip addr add ${CLOUD[0]}/24 dev ${toCloud}`,
      `ip addr add ${CLOUD[1]}/24 dev ${toCloud}`,
      `ip link set ${toCloud} up`,
      `ip netns exec ${router} ip addr add ${ROUTER[0]}/24 dev north`,
      `ip netns exec ${router} ip link set north up`,
      `ip netns exec ${router} ip link add south type veth peer name ${toEdge}`,
      `ip netns exec ${router} ip link set ${toEdge} netns ${edge}`,
      `ip netns exec ${router} ip addr add ${ROUTER[1]}/24 dev south`,
      `ip netns exec ${router} ip link set south up`,
      `ip netns exec ${router} sysctl -qw net.ipv4.ip_forward=1`,
      `ip netns exec ${edge} ip addr add ${EDGE}/24 dev ${toEdge}`,
      `ip netns exec ${edge} ip link set lo up`,
      `ip netns exec ${edge} ip link set ${toEdge} up`,
      `ip netns exec ${edge} ip route add default via ${ROUTER[1]}`,
      `ip route add ${NET}.2.0/24 via ${ROUTER[0]}`,
    ];
    for (const line of lines) run(line);
  }

  close(): void {
    for (const namespace of [this.edge, this.router]) spawnSync('ip', ['netns', 'del', namespace]);
    rmSync(`/etc/netns/${this.edge}`, { recursive: true, force: true });
  }

  /** Silently drops what goes to and comes from these addresses of the cloud, on one port. */
  drop(port: number, addresses: readonly string[] = CLOUD): void {
    for (const address of addresses) {
      this.filter(`-A FORWARD -p tcp -d ${address} --dport ${port} -j DROP`);
      this.filter(`-A FORWARD -p tcp -s ${address} --sport ${port} -j DROP`);
    }
  }

  /** A slow line that loses packets, both ways. */
  slow(kilobits: number, loss: number): void {
    this.filter(`-A FORWARD -m statistic --mode random --probability ${loss} -j DROP`);
    for (const device of ['north', 'south'])
      this.inRouter(`tc qdisc add dev ${device} root tbf rate ${kilobits}kbit burst 1600 latency 4s`);
  }

  /** Reads a page of the edge without using the network that is tested. */
  async page(url: string): Promise<string> {
    const [command = '', ...args] = [...this.edgePrefix, 'curl', '-s', '-m', '5', url];
    return (await execute(command, args)).stdout;
  }

  /** The network is well again. */
  heal(): void {
    this.filter('-F FORWARD');
    for (const device of ['north', 'south'])
      spawnSync('ip', ['netns', 'exec', this.router, 'tc', 'qdisc', 'del', 'dev', device, 'root']);
  }

  /** What the cloud's name stands for, in the edge's namespace. */
  rename(addresses: readonly string[]): void {
    const folder = `/etc/netns/${this.edge}`;
    mkdirSync(folder, { recursive: true });
    // The file stays the same one: it is mounted where a running edge sees it.
    const names = addresses.map((address) => `${address} ${CLOUD_NAME}\n`).join('');
    writeFileSync(`${folder}/hosts`, `127.0.0.1 localhost\n${names}`);
  }

  private filter(rule: string): void {
    this.inRouter(`iptables ${rule}`);
  }

  private inRouter(line: string): void {
    run(`ip netns exec ${this.router} ${line}`);
  }
}

function run(line: string): void {
  const [command = '', ...args] = line.split(' ');
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${line}: ${stderr}`);
}
