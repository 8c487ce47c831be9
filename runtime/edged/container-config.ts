import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EdgeError } from '../core/errors.ts';
import type { Container, Pod, VolumeMount } from '../core/pod.ts';
import { type ContainerConfig, mountPropagation } from '../wire/cri-messages.ts';
import type { In } from '../wire/protobuf.ts';
import { expand } from './env.ts';
import { label } from './observed.ts';
import { linuxResources } from './resources.ts';
import { groupsOf, namespaces, podLabels } from './sandbox-config.ts';

export type ContainerParts = {
  readonly pod: Pod;
  readonly container: Container;
  readonly attempt: number;
  readonly imageRef: string;
  readonly env: ReadonlyMap<string, string>;
  /** Host path of each volume. */
  readonly volumes: ReadonlyMap<string, string>;
  readonly podFolder: string;
  readonly podIP: string;
  /** Bytes, for the share that a container has of it. */
  readonly nodeMemory: number;
};

/** Paths of /proc and /sys that a container without privileges does not see, or may only read.
 * @source Kubernetes: default masked and read-only paths of container runtimes */
const MASKED = [
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
];
const READ_ONLY = ['/proc/asound', '/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** What the runtime is asked to create.
 * @throws EdgeError OBJECT_INVALID for a mount that cannot be made
 * @source kubelet generateContainerConfig */
export function containerConfig(parts: ContainerParts): In<typeof ContainerConfig> {
  const { pod, container, attempt, imageRef, env } = parts;
  return {
    metadata: { name: container.name, attempt },
    image: { image: imageRef },
    command: (container.command ?? []).map((text) => expand(text, env)),
    args: (container.args ?? []).map((text) => expand(text, env)),
    workingDir: container.workingDir ?? '',
    envs: [...env].map(([key, value]) => ({ key, value: Buffer.from(value) })),
    mounts: mountsOf(parts),
    labels: { ...podLabels(pod), [label.container]: container.name },
    annotations: { [label.hash]: containerHash(container) },
    logPath: `${container.name}/${attempt}.log`,
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    tty: container.tty ?? false,
    linux: {
      resources: linuxResources(pod, container, parts.nodeMemory),
      securityContext: securityContext(pod, container),
    },
  };
}

/** Tells whether a container has to be replaced because its part of the spec changed. */
export function containerHash(container: Container): string {
  return createHash('sha256').update(canonical(container)).digest('hex').slice(0, 16);
}

/** JSON with sorted keys: the same object may come with another order after a restart of the other side. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

function securityContext(pod: Pod, container: Container) {
  const own = container.securityContext ?? {};
  const shared = pod.spec.securityContext ?? {};
  const user = own.runAsUser ?? shared.runAsUser;
  const group = own.runAsGroup ?? shared.runAsGroup;
  if ((own.runAsNonRoot ?? shared.runAsNonRoot) && user === 0)
    throw new EdgeError('OBJECT_INVALID', {
      detail: `container ${container.name}: runAsNonRoot with runAsUser 0`,
    });
  return {
    privileged: own.privileged ?? false,
    readonlyRootfs: own.readOnlyRootFilesystem ?? false,
    noNewPrivs: own.allowPrivilegeEscalation === false,
    capabilities: {
      addCapabilities: own.capabilities?.add ?? [],
      dropCapabilities: own.capabilities?.drop ?? [],
    },
    namespaceOptions: namespaces(pod),
    supplementalGroups: groupsOf(pod),
    maskedPaths: own.privileged ? [] : MASKED,
    readonlyPaths: own.privileged ? [] : READ_ONLY,
    ...(user === undefined ? {} : { runAsUser: { value: user } }),
    ...(group === undefined || user === undefined ? {} : { runAsGroup: { value: group } }),
  };
}

type Mount = { containerPath: string; hostPath: string; readonly?: boolean; propagation?: number };

function mountsOf(parts: ContainerParts): Mount[] {
  const { container, pod, podFolder, attempt } = parts;
  const mounts = (container.volumeMounts ?? []).map((mount) => mountOf(parts, mount));
  const taken = new Set(mounts.map(({ containerPath }) => containerPath));
  if (!pod.spec.hostNetwork && !taken.has('/etc/hosts'))
    mounts.push({ containerPath: '/etc/hosts', hostPath: writeHosts(parts) });
  const messagePath = container.terminationMessagePath ?? '/dev/termination-log';
  const hostPath = terminationLog(podFolder, container.name, attempt);
  mkdirSync(join(podFolder, 'containers', container.name), { recursive: true });
  writeFileSync(hostPath, '');
  // Writable for whichever user the container runs as.
  chmodSync(hostPath, 0o666);
  mounts.push({ containerPath: messagePath, hostPath });
  return mounts;
}

/** Where a container's last words are kept. */
export function terminationLog(podFolder: string, container: string, attempt: number): string {
  return join(podFolder, 'containers', container, `termination-${attempt}`);
}

function mountOf({ container, volumes, env }: ContainerParts, mount: VolumeMount): Mount {
  const volume = volumes.get(mount.name);
  if (volume === undefined)
    throw new EdgeError('OBJECT_INVALID', { detail: `container ${container.name}: no volume ${mount.name}` });
  const sub = mount.subPathExpr ? expand(mount.subPathExpr, env) : mount.subPath;
  if (sub?.split('/').includes('..'))
    throw new EdgeError('OBJECT_INVALID', { detail: `container ${container.name}: subPath ${sub}` });
  return {
    containerPath: mount.mountPath,
    hostPath: sub ? join(volume, sub) : volume,
    readonly: mount.readOnly ?? false,
    propagation: mountPropagation[mount.mountPropagation ?? 'None'],
  };
}

function writeHosts({ pod, podFolder, podIP }: ContainerParts): string {
  const path = join(podFolder, 'etc-hosts');
  const { hostname, subdomain, hostAliases = [] } = pod.spec;
  const name = hostname ?? pod.metadata.name;
  const lines = [
    '# Written by edgecore.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    ...(podIP ? [`${podIP}\t${subdomain ? `${name}.${subdomain} ` : ''}${name}`] : []),
    ...hostAliases.map(({ ip, hostnames }) => `${ip}\t${hostnames.join('\t')}`),
  ];
  mkdirSync(podFolder, { recursive: true });
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}
