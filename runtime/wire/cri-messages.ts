import {
  bool,
  enumeration,
  int32,
  int64,
  int64s,
  many,
  message,
  one,
  raw,
  str,
  stringMap,
  strings,
  uint32,
  uint64,
} from './protobuf.ts';

/** The messages of the Container Runtime Interface, with the fields that are used.
 * @source Kubernetes cri-api runtime/v1 api.proto */

export const sandboxState = { ready: 0, notReady: 1 } as const;
export const containerState = { created: 0, running: 1, exited: 2, unknown: 3 } as const;
export const namespaceMode = { pod: 0, container: 1, node: 2 } as const;
export const mountPropagation = { None: 0, HostToContainer: 1, Bidirectional: 2 } as const;
export const protocol = { TCP: 0, UDP: 1, SCTP: 2 } as const;

const SandboxMetadata = message({ name: str(1), uid: str(2), namespace: str(3), attempt: uint32(4) });
const ContainerMetadata = message({ name: str(1), attempt: uint32(2) });
const NamespaceOption = message({ network: enumeration(1), pid: enumeration(2), ipc: enumeration(3) });
const Int64Value = message({ value: int64(1) });
const SecurityProfile = message({ profileType: enumeration(1), localhostRef: str(2) });
const ImageSpec = message({ image: str(1) });
const KeyValue = message({ key: str(1), value: raw(2) });
const AuthConfig = message({ username: str(1), password: str(2), auth: str(3), serverAddress: str(4) });
const DnsConfig = message({ servers: strings(1), searches: strings(2), options: strings(3) });
const PortMapping = message({
  protocol: enumeration(1),
  containerPort: int32(2),
  hostPort: int32(3),
  hostIp: str(4),
});

const Resources = message({
  cpuPeriod: int64(1),
  cpuQuota: int64(2),
  cpuShares: int64(3),
  memoryLimitInBytes: int64(4),
  oomScoreAdj: int64(5),
});

const SandboxSecurity = message({
  namespaceOptions: one(1, NamespaceOption),
  runAsUser: one(3, Int64Value),
  supplementalGroups: int64s(5),
  privileged: bool(6),
  runAsGroup: one(8, Int64Value),
  seccomp: one(9, SecurityProfile),
});

export const SandboxConfig = message({
  metadata: one(1, SandboxMetadata),
  hostname: str(2),
  logDirectory: str(3),
  dnsConfig: one(4, DnsConfig),
  portMappings: many(5, PortMapping),
  labels: stringMap(6),
  annotations: stringMap(7),
  linux: one(
    8,
    message({ cgroupParent: str(1), securityContext: one(2, SandboxSecurity), sysctls: stringMap(3) }),
  ),
});

const Mount = message({
  containerPath: str(1),
  hostPath: str(2),
  readonly: bool(3),
  propagation: enumeration(5),
});

const ContainerSecurity = message({
  capabilities: one(1, message({ addCapabilities: strings(1), dropCapabilities: strings(2) })),
  privileged: bool(2),
  namespaceOptions: one(3, NamespaceOption),
  runAsUser: one(5, Int64Value),
  readonlyRootfs: bool(7),
  supplementalGroups: int64s(8),
  noNewPrivs: bool(11),
  runAsGroup: one(12, Int64Value),
  maskedPaths: strings(13),
  readonlyPaths: strings(14),
  seccomp: one(15, SecurityProfile),
});

export const ContainerConfig = message({
  metadata: one(1, ContainerMetadata),
  image: one(2, ImageSpec),
  command: strings(3),
  args: strings(4),
  workingDir: str(5),
  envs: many(6, KeyValue),
  mounts: many(7, Mount),
  labels: stringMap(9),
  annotations: stringMap(10),
  logPath: str(11),
  stdin: bool(12),
  stdinOnce: bool(13),
  tty: bool(14),
  linux: one(15, message({ resources: one(1, Resources), securityContext: one(2, ContainerSecurity) })),
});

export const Sandbox = message({
  id: str(1),
  metadata: one(2, SandboxMetadata),
  state: enumeration(3),
  createdAt: int64(4),
  labels: stringMap(5),
  annotations: stringMap(6),
});

export const SandboxStatus = message({
  id: str(1),
  metadata: one(2, SandboxMetadata),
  state: enumeration(3),
  createdAt: int64(4),
  network: one(5, message({ ip: str(1), additionalIps: many(2, message({ ip: str(1) })) })),
});

export const Container = message({
  id: str(1),
  podSandboxId: str(2),
  metadata: one(3, ContainerMetadata),
  image: one(4, ImageSpec),
  imageRef: str(5),
  state: enumeration(6),
  createdAt: int64(7),
  labels: stringMap(8),
  annotations: stringMap(9),
});

export const ContainerStatusMessage = message({
  id: str(1),
  metadata: one(2, ContainerMetadata),
  state: enumeration(3),
  createdAt: int64(4),
  startedAt: int64(5),
  finishedAt: int64(6),
  exitCode: int32(7),
  image: one(8, ImageSpec),
  imageRef: str(9),
  reason: str(10),
  message: str(11),
  labels: stringMap(12),
  annotations: stringMap(13),
  logPath: str(15),
});

const Image = message({
  id: str(1),
  repoTags: strings(2),
  repoDigests: strings(3),
  size: uint64(4),
  uid: one(5, Int64Value),
  username: str(6),
});

const sandboxId = message({ podSandboxId: str(1) });
const containerId = message({ containerId: str(1) });
const nothing = message({});

/** Request and answer of every call, by `Service/Method`. */
export const criMethods = {
  version: {
    path: 'RuntimeService/Version',
    request: message({ version: str(1) }),
    response: message({
      version: str(1),
      runtimeName: str(2),
      runtimeVersion: str(3),
      runtimeApiVersion: str(4),
    }),
  },
  status: {
    path: 'RuntimeService/Status',
    request: message({ verbose: bool(1) }),
    response: message({
      status: one(
        1,
        message({
          conditions: many(1, message({ type: str(1), status: bool(2), reason: str(3), message: str(4) })),
        }),
      ),
    }),
  },
  runPodSandbox: {
    path: 'RuntimeService/RunPodSandbox',
    request: message({ config: one(1, SandboxConfig), runtimeHandler: str(2) }),
    response: sandboxId,
  },
  stopPodSandbox: { path: 'RuntimeService/StopPodSandbox', request: sandboxId, response: nothing },
  removePodSandbox: { path: 'RuntimeService/RemovePodSandbox', request: sandboxId, response: nothing },
  podSandboxStatus: {
    path: 'RuntimeService/PodSandboxStatus',
    request: sandboxId,
    response: message({ status: one(1, SandboxStatus) }),
  },
  listPodSandbox: {
    path: 'RuntimeService/ListPodSandbox',
    request: message({ filter: one(1, message({ labelSelector: stringMap(3) })) }),
    response: message({ items: many(1, Sandbox) }),
  },
  createContainer: {
    path: 'RuntimeService/CreateContainer',
    request: message({
      podSandboxId: str(1),
      config: one(2, ContainerConfig),
      sandboxConfig: one(3, SandboxConfig),
    }),
    response: containerId,
  },
  startContainer: { path: 'RuntimeService/StartContainer', request: containerId, response: nothing },
  stopContainer: {
    path: 'RuntimeService/StopContainer',
    request: message({ containerId: str(1), timeout: int64(2) }),
    response: nothing,
  },
  removeContainer: { path: 'RuntimeService/RemoveContainer', request: containerId, response: nothing },
  listContainers: {
    path: 'RuntimeService/ListContainers',
    request: message({ filter: one(1, message({ labelSelector: stringMap(4) })) }),
    response: message({ containers: many(1, Container) }),
  },
  containerStatus: {
    path: 'RuntimeService/ContainerStatus',
    request: containerId,
    response: message({ status: one(1, ContainerStatusMessage) }),
  },
  execSync: {
    path: 'RuntimeService/ExecSync',
    request: message({ containerId: str(1), cmd: strings(2), timeout: int64(3) }),
    response: message({ stdout: raw(1), stderr: raw(2), exitCode: int32(3) }),
  },
  exec: {
    path: 'RuntimeService/Exec',
    request: message({
      containerId: str(1),
      cmd: strings(2),
      tty: bool(3),
      stdin: bool(4),
      stdout: bool(5),
      stderr: bool(6),
    }),
    response: message({ url: str(1) }),
  },
  reopenContainerLog: { path: 'RuntimeService/ReopenContainerLog', request: containerId, response: nothing },
  imageStatus: {
    path: 'ImageService/ImageStatus',
    request: message({ image: one(1, ImageSpec) }),
    response: message({ image: one(1, Image) }),
  },
  pullImage: {
    path: 'ImageService/PullImage',
    request: message({
      image: one(1, ImageSpec),
      auth: one(2, AuthConfig),
      sandboxConfig: one(3, SandboxConfig),
    }),
    response: message({ imageRef: str(1) }),
  },
  listImages: {
    path: 'ImageService/ListImages',
    request: nothing,
    response: message({ images: many(1, Image) }),
  },
} as const;
