import type { BrokerCounters } from './broker/hub.ts';
import type { ConsoleDevice, ConsoleSnapshot } from './console/snapshot.ts';
import type { DeviceEntry } from './devicetwin/device.ts';
import type { LinkState } from './edgehub/link.ts';

export type SnapshotParts = {
  readonly node: string;
  readonly version: string;
  readonly startedAt: number;
  readonly now: number;
  readonly twins: { list(): Iterable<Readonly<DeviceEntry>> };
  readonly broker: { readonly clients: number; readonly counters: BrokerCounters };
  readonly hub: { readonly state: LinkState };
};

/** Gathers what the console shows from the modules. */
export function snapshotOf(parts: SnapshotParts): ConsoleSnapshot {
  const { node, version, startedAt, now, twins, broker, hub } = parts;
  const { received, sent, dropped } = broker.counters;
  return {
    node,
    version,
    now,
    startedAt,
    rssMb: Math.round(process.memoryUsage.rss() / 1e6),
    link: hub.state,
    runtime: { ready: false, message: 'no container runtime' },
    devices: [...twins.list()].map(deviceOf),
    pods: [],
    mqtt: {
      clients: broker.clients,
      received: received.value,
      sent: sent.value,
      dropped: dropped.value,
    },
  };
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
