import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { requireCondition, requireProgram } from '../real-parts.ts';

/** A name of the cloud that only the edge's namespace knows. */
export const CLOUD_NAME = 'cloud.test';
const NET = '10.231';
/** The cloud's two addresses, both on this machine. */
export const CLOUD = [`${NET}.1.1`, `${NET}.1.3`] as const;
/** The edge's address on a cable of its own, which is always well. */
export const EDGE = `${NET}.3.2`;
const SIDE = `${NET}.3.1`;
const ROUTER = [`${NET}.1.2`, `${NET}.2.2`] as const;

/** True on machines where networks can be made and broken. */
export function canBreakNetworks(): boolean {
  const programs = [requireProgram('ip', 'iproute2'), requireProgram('tc', 'iproute2')];
  const filter = requireProgram('iptables', 'iptables');
  const isRoot = requireCondition(process.getuid?.() === 0, 'network namespaces need root');
  return isRoot && filter !== undefined && programs.every(Boolean);
}

/** The edge in a network namespace of its own, behind a router in another, where packets get lost:
 *
 *     this machine, the cloud ── veth ── router ── veth ── edge
 *                        └─────────── veth, for the tests ──┘
 */
export class Network {
  readonly edgePrefix: readonly string[];
  /** Name of the edge's namespace. */
  readonly edge: string;
  private readonly router: string;
  private readonly devices: readonly string[];

  constructor() {
    const id = process.pid;
    this.edge = `edge-${id}`;
    this.router = `router-${id}`;
    this.edgePrefix = ['ip', 'netns', 'exec', this.edge];
    this.devices = [`lt${id}c`, `lt${id}e`, `lt${id}s`];
  }

  open(): void {
    const { edge, router, devices } = this;
    const [toCloud = '', toEdge = '', side = ''] = devices;
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
      `ip netns exec ${edge} ip addr add ${NET}.2.1/24 dev ${toEdge}`,
      `ip netns exec ${edge} ip link set lo up`,
      `ip netns exec ${edge} ip link set ${toEdge} up`,
      `ip netns exec ${edge} ip route add default via ${ROUTER[1]}`,
      `ip route add ${NET}.2.0/24 via ${ROUTER[0]}`,
      `ip link add ${side} type veth peer name side netns ${edge}`,
      `ip addr add ${SIDE}/24 dev ${side}`,
      `ip link set ${side} up`,
      `ip netns exec ${edge} ip addr add ${EDGE}/24 dev side`,
      `ip netns exec ${edge} ip link set side up`,
    ];
    for (const line of lines) run(line);
  }

  close(): void {
    // A namespace lives on while connections in it linger, and with it these, and their addresses.
    for (const device of this.devices) spawnSync('ip', ['link', 'del', device]);
    for (const namespace of [this.edge, this.router]) spawnSync('ip', ['netns', 'del', namespace]);
    rmSync(`/etc/netns/${this.edge}`, { recursive: true, force: true });
  }

  /** Silently drops what goes to and comes from these addresses of the cloud, on one port. */
  drop(port: number, addresses: readonly string[] = CLOUD): void {
    this.forEach(addresses, port, '-j DROP');
  }

  /** Cuts connections to one port of the cloud, at the next packet, and refuses new ones. */
  refuse(port: number): void {
    this.forEach(CLOUD, port, '-j REJECT --reject-with tcp-reset');
  }

  /** A slow line that loses packets, both ways. */
  slow(kilobits: number, loss: number): void {
    this.filter(`-A FORWARD -m statistic --mode random --probability ${loss} -j DROP`);
    for (const device of ['north', 'south'])
      this.inRouter(`tc qdisc add dev ${device} root tbf rate ${kilobits}kbit burst 1600 latency 4s`);
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

  private forEach(addresses: readonly string[], port: number, verdict: string): void {
    for (const address of addresses) {
      this.filter(`-A FORWARD -p tcp -d ${address} --dport ${port} ${verdict}`);
      this.filter(`-A FORWARD -p tcp -s ${address} --sport ${port} ${verdict}`);
    }
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
