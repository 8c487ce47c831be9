import type { Container, Pod, ResourceRequirements } from '../core/pod.ts';
import { quantity, thousandths } from './quantity.ts';

/** Period over which a CPU limit counts, microseconds. */
const CPU_PERIOD = 100_000;
const LEAST_QUOTA = 1000;
const LEAST_SHARES = 2;

export type LinuxResources = {
  readonly cpuPeriod: number;
  readonly cpuQuota: number;
  readonly cpuShares: number;
  readonly memoryLimitInBytes: number;
  readonly oomScoreAdj: number;
};

/** What a container may take, in cgroup terms.
 * @source kubelet pkg/kubelet/cm helpers_linux.go, pkg/kubelet/qos policy.go */
export function linuxResources(pod: Pod, container: Container, nodeMemory: number): LinuxResources {
  const { limits, requests } = container.resources ?? {};
  const cpuLimit = quantity(limits?.cpu);
  const cpuRequest = quantity(requests?.cpu) ?? cpuLimit ?? 0;
  return {
    cpuPeriod: cpuLimit ? CPU_PERIOD : 0,
    cpuQuota: cpuLimit ? Math.max(LEAST_QUOTA, (thousandths(cpuLimit) * CPU_PERIOD) / 1000) : 0,
    cpuShares: Math.max(LEAST_SHARES, Math.floor((thousandths(cpuRequest) * 1024) / 1000)),
    memoryLimitInBytes: Math.round(quantity(limits?.memory) ?? 0),
    oomScoreAdj: oomScore(qosClass(pod), quantity(requests?.memory ?? limits?.memory) ?? 0, nodeMemory),
  };
}

function oomScore(qos: string, memoryRequest: number, nodeMemory: number): number {
  if (qos === 'Guaranteed') return -997;
  if (qos === 'BestEffort') return 1000;
  return Math.min(999, Math.max(3, 1000 - Math.floor((1000 * memoryRequest) / nodeMemory)));
}

/** @source Kubernetes: Pod Quality of Service Classes */
export function qosClass(pod: Pod): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  const asked = containers.filter(({ resources }) => hasAny(resources));
  if (asked.length === 0) return 'BestEffort';
  return containers.every(({ resources }) => isFixed(resources)) ? 'Guaranteed' : 'Burstable';
}

function hasAny(resources: ResourceRequirements | undefined): boolean {
  const names = Object.keys({ ...resources?.limits, ...resources?.requests });
  return names.includes('cpu') || names.includes('memory');
}

function isFixed(resources: ResourceRequirements | undefined): boolean {
  return ['cpu', 'memory'].every((name) => {
    const limit = quantity(resources?.limits?.[name]);
    return limit !== undefined && limit === (quantity(resources?.requests?.[name]) ?? limit);
  });
}
