import type { BrokerCounters } from './broker/hub.ts';
import type {
  ConsoleDevice,
  ConsolePlugin,
  ConsolePod,
  ConsoleProperty,
  ConsoleSnapshot,
} from './console/snapshot.ts';
import type { PodRef, PodStatus } from './core/pod.ts';
import { methodsOf } from './device-control.ts';
import type { DeviceEntry } from './devicetwin/device.ts';
import type { LinkState } from './edgehub/link.ts';

export type SnapshotParts = {
  readonly node: string;
  readonly version: string;
  readonly startedAt: number;
  readonly now: number;
  readonly twins: { list(): Iterable<Readonly<DeviceEntry>> };
  readonly plugins: { list(): readonly ConsolePlugin[] };
  /** Whether the page may write. */
  readonly writes: boolean;
  readonly broker: { readonly clients: number; readonly counters: BrokerCounters };
  readonly store: { health(): ConsoleSnapshot['store'] };
  readonly hub: { readonly state: LinkState };
  readonly rules: { list(): ConsoleSnapshot['rules'] };
  readonly agent: {
    readonly runtime: { readonly fault: string | undefined; readonly version: string };
    pods(): Iterable<{ readonly ref: PodRef; readonly status: PodStatus | undefined }>;
  };
};

/** Gathers what the console shows from the modules. */
export function snapshotOf(parts: SnapshotParts): ConsoleSnapshot {
  const { node, version, startedAt, now, twins, broker, hub, agent, store, rules, writes } = parts;
  const { fault, version: runtimeVersion } = agent.runtime;
  const { received, sent, dropped } = broker.counters;
  return {
    node,
    version,
    now,
    startedAt,
    rssMb: Math.round(process.memoryUsage.rss() / 1e6),
    link: hub.state,
    runtime: { ready: fault === undefined, message: fault ?? runtimeVersion },
    store: store.health(),
    devices: [...twins.list()].map(deviceOf),
    plugins: parts.plugins.list().map(pluginOf),
    writes,
    pods: [...agent.pods()].map(podOf),
    rules: rules.list(),
    mqtt: {
      clients: broker.clients,
      received: received.value,
      sent: sent.value,
      dropped: dropped.value,
    },
  };
}

/** The node in one line, for who asks the service manager. */
export function statusLine({
  twins,
  hub,
  agent,
  store,
}: Pick<SnapshotParts, 'twins' | 'hub' | 'agent' | 'store'>): string {
  const devices = [...twins.list()];
  const online = devices.filter(({ state }) => state === 'online').length;
  const pods = [...agent.pods()];
  const running = pods.filter(({ status }) => status?.phase === 'Running').length;
  const disk = store.health().state === 'ok' ? '' : ', the disk takes nothing';
  return `cloud ${hub.state.state}, devices ${online}/${devices.length} online, pods ${running}/${pods.length} running${disk}`;
}

function deviceOf(entry: Readonly<DeviceEntry>): ConsoleDevice {
  const names = new Set([...(entry.device?.spec.properties ?? []).map((p) => p.name), ...entry.twins.keys()]);
  return {
    id: entry.id,
    state: entry.state,
    reason: entry.reason,
    protocol: entry.device?.spec.protocol?.protocolName ?? '',
    lastOnline: entry.lastOnline,
    model: entry.device?.spec.deviceModelRef?.name ?? '',
    methods: methodsOf(entry).map(({ name, description = '', propertyNames = [] }) => {
      return { name, description, properties: propertyNames };
    }),
    properties: [...names].map((name) => propertyOf(entry, name)),
  };
}

function propertyOf(entry: Readonly<DeviceEntry>, name: string): ConsoleProperty {
  const twin = entry.twins.get(name);
  const fault = entry.faults.get(name);
  const model = entry.model?.spec.properties?.find((p) => p.name === name);
  const isOwn = entry.device?.spec.properties?.some((p) => p.name === name) === true;
  return {
    name,
    value: twin?.actual?.value ?? '',
    unit: model?.unit ?? '',
    at: twin?.actual?.metadata.timestamp ?? 0,
    ...(twin?.expected ? { desired: twin.expected.value } : {}),
    ...(fault ? { fault } : {}),
    type: model?.type ?? '',
    writable: isOwn && model !== undefined && model.accessMode !== 'ReadOnly',
    ...(model?.minimum ? { minimum: model.minimum } : {}),
    ...(model?.maximum ? { maximum: model.maximum } : {}),
  };
}

function pluginOf({ name, version, protocols, state, reason, devices }: ConsolePlugin): ConsolePlugin {
  return { name, version, protocols, state, reason, devices };
}

function podOf({ ref, status }: { ref: PodRef; status: PodStatus | undefined }): ConsolePod {
  const containers = status?.containerStatuses ?? [];
  const waiting = containers.find((c) => c.state.waiting)?.state.waiting;
  return {
    name: `${ref.namespace}/${ref.name}`,
    phase: status?.phase ?? 'Pending',
    ready: `${containers.filter((c) => c.ready).length}/${containers.length}`,
    restarts: containers.reduce((sum, c) => sum + c.restartCount, 0),
    reason: waiting ? `${waiting.reason}: ${waiting.message ?? ''}` : (status?.message ?? ''),
  };
}
