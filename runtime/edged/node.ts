import { readFileSync, statfsSync } from 'node:fs';
import { arch, cpus, networkInterfaces, release, totalmem } from 'node:os';
import { type Condition, kubeTime, type Node, type NodeStatus } from '../core/k8s.ts';
import type { NodeProblem } from '../core/node-problem.ts';
import type { EdgedConfig } from './config.ts';

/** What the machine says of itself. */
export type NodeFacts = {
  readonly memoryTotal: number;
  readonly memoryAvailable: number;
  readonly cpus: number;
  readonly diskTotal: number;
  readonly diskAvailable: number;
  readonly address: string;
  /** Why the node's own state does not reach the disk; undefined while it does. */
  readonly storeFault?: string | undefined;
  /** One that others add to the node's own. */
  readonly condition?: Pick<Condition, 'type' | 'status' | 'reason' | 'message'> | undefined;
  /** What is measured on the machine, and may be wrong. */
  readonly problems?: readonly NodeProblem[];
  readonly info: Readonly<Record<string, string>>;
};

export type RuntimeFacts = {
  /** undefined while it works, else why not. */
  readonly fault: string | undefined;
  readonly version: string;
};

/** Go's names of architectures, which images and schedulers use. */
const architectures: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'arm',
  ia32: '386',
};
/** Below these the node says so, and the scheduler sends it nothing more.
 * @source Kubernetes: default hard eviction thresholds */
const LEAST_MEMORY = 100 * 1024 * 1024;
const LEAST_DISK = 0.1;

/** Reads what the node object tells of the machine.
 * @param rootDirectory whose disk counts */
export function readFacts(config: EdgedConfig, rootDirectory: string): NodeFacts {
  const disk = statfs(rootDirectory);
  return {
    memoryTotal: totalmem(),
    memoryAvailable: available(),
    cpus: cpus().length || 1,
    diskTotal: disk.total,
    diskAvailable: disk.available,
    address: config.nodeIP || addressOf(config.customInterfaceName),
    info: {
      machineID: read('/etc/machine-id'),
      systemUUID: read('/sys/class/dmi/id/product_uuid') || read('/etc/machine-id'),
      bootID: read('/proc/sys/kernel/random/boot_id'),
      kernelVersion: release(),
      osImage: read('/etc/os-release').match(/^PRETTY_NAME="?([^"\n]*)/m)?.[1] ?? 'Linux',
      operatingSystem: 'linux',
      architecture: architectures[arch()] ?? arch(),
      kubeProxyVersion: '',
    },
  };
}

/** The Node that is registered.
 * @source KubeEdge edge/pkg/edged initialNode; kubelet kubelet_node_status.go */
export function nodeObject(
  config: EdgedConfig,
  version: string,
  facts: NodeFacts,
  runtime: RuntimeFacts,
  now: number,
): Node {
  const name = config.hostnameOverride;
  const { architecture = '' } = facts.info;
  const { registerWithTaints } = config.tailoredKubeletConfig;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': architecture,
        'beta.kubernetes.io/os': 'linux',
        'beta.kubernetes.io/arch': architecture,
        'node-role.kubernetes.io/edge': '',
        'node-role.kubernetes.io/agent': '',
        ...config.nodeLabels,
      },
      annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' },
    },
    spec: {
      ...(config.registerSchedulable ? {} : { unschedulable: true }),
      ...(registerWithTaints.length > 0
        ? {
            taints: registerWithTaints.map(({ key, value, effect }) => ({
              key,
              effect,
              ...(value ? { value } : {}),
            })),
          }
        : {}),
    },
    status: nodeStatus(config, version, facts, runtime, now),
  };
}

/** The node's status now. */
export function nodeStatus(
  config: EdgedConfig,
  version: string,
  facts: NodeFacts,
  runtime: RuntimeFacts,
  now: number,
  previous?: NodeStatus,
): NodeStatus {
  const capacity = {
    cpu: String(facts.cpus),
    memory: `${Math.floor(facts.memoryTotal / 1024)}Ki`,
    'ephemeral-storage': `${Math.floor(facts.diskTotal / 1024)}Ki`,
    pods: String(config.maxPods),
  };
  return {
    capacity,
    allocatable: { ...capacity, memory: `${Math.floor((facts.memoryTotal - LEAST_MEMORY) / 1024)}Ki` },
    addresses: [
      { type: 'InternalIP', address: facts.address },
      { type: 'Hostname', address: config.hostnameOverride },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: config.tailoredKubeletConfig.readOnlyPort } },
    nodeInfo: {
      ...facts.info,
      containerRuntimeVersion: runtime.version,
      kubeletVersion: `v1.32.10-kubeedge-v1.23.0-edgecore-${version}`,
    },
    conditions: conditions(facts, runtime, now, previous?.conditions ?? []),
  };
}

/** The conditions, each with the time since when it is so. `ContainerRuntimeReady` is ours: a gateway without a
 * container runtime still serves its devices, and the operator should see which of the two it is. So is `StoreWritable`:
 * a node whose disk is full or read-only goes on, but what it is told is lost at a restart. */
function conditions(
  facts: NodeFacts,
  runtime: RuntimeFacts,
  now: number,
  previous: readonly Condition[],
): Condition[] {
  const memory = facts.memoryAvailable < LEAST_MEMORY;
  const disk = facts.diskTotal > 0 && facts.diskAvailable / facts.diskTotal < LEAST_DISK;
  const ready = runtime.fault === undefined;
  const notReady = { reason: 'ContainerRuntimeNotReady', message: runtime.fault ?? '' };
  const wanted: Condition[] = [
    pressure('MemoryPressure', memory, 'KubeletHasInsufficientMemory', 'KubeletHasSufficientMemory'),
    pressure('DiskPressure', disk, 'KubeletHasDiskPressure', 'KubeletHasNoDiskPressure'),
    pressure('PIDPressure', false, 'KubeletHasInsufficientPID', 'KubeletHasSufficientPID'),
    ready
      ? {
          type: 'ContainerRuntimeReady',
          status: 'True',
          reason: 'ContainerRuntimeReady',
          message: runtime.version,
        }
      : { type: 'ContainerRuntimeReady', status: 'False', ...notReady },
    facts.storeFault === undefined
      ? {
          type: 'StoreWritable',
          status: 'True',
          reason: 'StoreWritable',
          message: 'state is kept on the disk',
        }
      : { type: 'StoreWritable', status: 'False', reason: 'StoreWriteFailed', message: facts.storeFault },
    ...(facts.condition ? [facts.condition] : []),
    ...(facts.problems ?? []).map(problem),
    ready
      ? { type: 'Ready', status: 'True', reason: 'EdgeReady', message: 'edge is posting ready status' }
      : { type: 'Ready', status: 'False', ...notReady },
  ];
  return wanted.map((condition) => {
    const before = previous.find((c) => c.type === condition.type);
    const since = before?.status === condition.status ? before.lastTransitionTime : undefined;
    return { ...condition, lastHeartbeatTime: kubeTime(now), lastTransitionTime: since ?? kubeTime(now) };
  });
}

function problem({ type, bad, good, is }: NodeProblem): Condition {
  return is === undefined
    ? { type, status: 'False', reason: good, message: `the node has no problem of this kind` }
    : { type, status: 'True', reason: bad, message: is };
}

function pressure(type: string, is: boolean, bad: string, good: string): Condition {
  return is
    ? { type, status: 'True', reason: bad, message: `the node has ${type}` }
    : { type, status: 'False', reason: good, message: `the node has no ${type}` };
}

/** The address that others reach this machine at: of the named interface, else the first that is not local. */
function addressOf(wanted: string): string {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (wanted ? name !== wanted : /^(lo|cni|docker|br-|veth|virbr)/.test(name)) continue;
    const found = addresses?.find(
      (a) => a.family === 'IPv4' && !a.internal && !a.address.startsWith('169.254.'),
    );
    if (found) return found.address;
  }
  return '127.0.0.1';
}

function available(): number {
  const kibibytes = read('/proc/meminfo').match(/^MemAvailable:\s+(\d+)/m)?.[1];
  return kibibytes ? Number(kibibytes) * 1024 : totalmem();
}

function statfs(path: string): { total: number; available: number } {
  try {
    const { blocks, bavail, bsize } = statfsSync(path);
    return { total: blocks * bsize, available: bavail * bsize };
  } catch {
    return { total: 0, available: 0 };
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
