import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pod } from '../core/pod.ts';
import { namespaceMode, protocol, type SandboxConfig } from '../wire/cri-messages.ts';
import type { In } from '../wire/protobuf.ts';
import { label } from './observed.ts';

export type SandboxSettings = {
  readonly podLogsDir: string;
  readonly clusterDomain: string;
  readonly clusterDNS: readonly string[];
};

/** The sandbox that a pod's containers share.
 * @source kubelet generatePodSandboxConfig */
export function sandboxConfig(
  pod: Pod,
  attempt: number,
  settings: SandboxSettings,
): In<typeof SandboxConfig> {
  const { metadata, spec } = pod;
  const security = spec.securityContext ?? {};
  const user = security.runAsUser;
  const group = security.runAsGroup;
  return {
    metadata: { name: metadata.name, uid: metadata.uid, namespace: metadata.namespace, attempt },
    hostname: spec.hostNetwork ? '' : (spec.hostname ?? metadata.name).slice(0, 63),
    logDirectory: logFolder(pod, settings),
    dnsConfig: dnsConfig(pod, settings),
    portMappings: spec.hostNetwork ? [] : portMappings(pod),
    labels: { ...metadata.labels, ...podLabels(pod) },
    annotations: { ...metadata.annotations },
    linux: {
      sysctls: Object.fromEntries((security.sysctls ?? []).map(({ name, value }) => [name, value])),
      securityContext: {
        namespaceOptions: namespaces(pod),
        privileged: spec.containers.some((c) => c.securityContext?.privileged),
        supplementalGroups: groupsOf(pod),
        ...(user === undefined ? {} : { runAsUser: { value: user } }),
        ...(group === undefined || user === undefined ? {} : { runAsGroup: { value: group } }),
      },
    },
  };
}

/** `<podLogsDir>/<namespace>_<name>_<uid>`, where log collectors look for it. */
export function logFolder({ metadata }: Pod, settings: { readonly podLogsDir: string }): string {
  return join(settings.podLogsDir, `${metadata.namespace}_${metadata.name}_${metadata.uid}`);
}

export function podLabels({ metadata }: Pod): Record<string, string> {
  return {
    [label.podName]: metadata.name,
    [label.podNamespace]: metadata.namespace ?? 'default',
    [label.podUid]: metadata.uid ?? '',
  };
}

/** Which namespaces of the host a pod uses. */
export function namespaces({ spec }: Pod): { network: number; pid: number; ipc: number } {
  const { pod, container, node } = namespaceMode;
  return {
    network: spec.hostNetwork ? node : pod,
    pid: spec.hostPID ? node : spec.shareProcessNamespace ? pod : container,
    ipc: spec.hostIPC ? node : pod,
  };
}

export function groupsOf({ spec }: Pod): number[] {
  const { fsGroup, supplementalGroups = [] } = spec.securityContext ?? {};
  return fsGroup === undefined ? [...supplementalGroups] : [...supplementalGroups, fsGroup];
}

function portMappings({ spec }: Pod) {
  return spec.containers
    .flatMap(({ ports }) => ports ?? [])
    .map((port) => ({
      protocol: protocol[port.protocol ?? 'TCP'],
      containerPort: port.containerPort,
      hostPort: port.hostPort ?? 0,
      hostIp: port.hostIP ?? '',
    }));
}

/** @source Kubernetes: DNS for Services and Pods, Pod's DNS policy */
function dnsConfig({ metadata, spec }: Pod, { clusterDNS, clusterDomain }: SandboxSettings) {
  const extra = spec.dnsConfig ?? {};
  const options = (extra.options ?? []).map(({ name, value }) => (value ? `${name}:${value}` : name));
  const policy = spec.dnsPolicy ?? 'ClusterFirst';
  const cluster =
    clusterDNS.length > 0 &&
    (policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && !spec.hostNetwork));
  const base = cluster
    ? {
        servers: [...clusterDNS],
        searches: [`${metadata.namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain],
        options: ['ndots:5'],
      }
    : policy === 'None'
      ? { servers: [], searches: [], options: [] }
      : hostDns();
  return {
    servers: [...base.servers, ...(extra.nameservers ?? [])],
    searches: [...base.searches, ...(extra.searches ?? [])],
    options: [...base.options, ...options],
  };
}

function hostDns(): { servers: string[]; searches: string[]; options: string[] } {
  let text = '';
  try {
    text = readFileSync('/etc/resolv.conf', 'utf8');
  } catch {
    // A gateway without a resolver: its pods have none either.
  }
  const words = (key: string): string[] =>
    text
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([first]) => first === key)
      .flatMap(([, ...rest]) => rest);
  return { servers: words('nameserver'), searches: words('search'), options: words('options') };
}
