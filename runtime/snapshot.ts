import type { BrokerCounters } from './broker/hub.ts';
import type { ConsoleDevice, ConsolePod, ConsoleSnapshot } from './console/snapshot.ts';
import type { PodRef, PodStatus } from './core/pod.ts';
import type { DeviceEntry } from './devicetwin/device.ts';
import type { LinkState } from './edgehub/link.ts';

export type SnapshotParts = {
  readonly node: string;
  readonly version: string;
  readonly startedAt: number;
  readonly now: number;
  readonly twins: { list(): Iterable<Readonly<DeviceEntry>> };
  readonly broker: { readonly clients: number; readonly counters: BrokerCounters };
  readonly store: { health(): ConsoleSnapshot['store'] };
  readonly hub: { readonly state: LinkState };
  readonly agent: {
    readonly runtime: { readonly fault: string | undefined; readonly version: string };
    pods(): Iterable<{ readonly ref: PodRef; readonly status: PodStatus | undefined }>;
  };
};

/** Gathers what the console shows from the modules. */
export function snapshotOf(parts: SnapshotParts): ConsoleSnapshot {
  const { node, version, startedAt, now, twins, broker, hub, agent, store } = parts;
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
    pods: [...agent.pods()].map(podOf),
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
    properties: [...names].map((name) => {
      const twin = entry.twins.get(name);
      const fault = entry.faults.get(name);
      return {
        name,
        value: twin?.actual?.value ?? '',
        unit: entry.model?.spec.properties?.find((p) => p.name === name)?.unit ?? '',
        at: twin?.actual?.metadata.timestamp ?? 0,
        ...(twin?.expected ? { desired: twin.expected.value } : {}),
        ...(fault ? { fault } : {}),
      };
    }),
  };
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
