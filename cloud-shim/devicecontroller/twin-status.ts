import type { Device, DeviceStatus, TwinValue } from '../../runtime/core/devices.ts';
import type { OwnerReference } from '../../runtime/core/k8s.ts';
import { isRecord } from '../../runtime/core/message.ts';
import { kinds } from '../kube/resource-kind.ts';

export type Status = DeviceStatus['status'];

/** Merges an edge's twin report into a status: `actual` becomes reported, `expected` observedDesired.
 * @param properties that the device has; twins of others go
 * @source KubeEdge cloud/pkg/devicecontroller/controller/upstream.go */
export function mergeTwins(status: Status, report: unknown, properties: ReadonlySet<string>): Status {
  const twins = new Map((status.twins ?? []).map((twin) => [twin.propertyName, twin]));
  for (const [name, twin] of Object.entries(isRecord(report) ? report : {})) {
    if (!isRecord(twin)) {
      twins.delete(name);
      continue;
    }
    const type = isRecord(twin.metadata) ? String(twin.metadata.type ?? '') : '';
    const reported = twinValue(twin.actual, type);
    const observedDesired = twinValue(twin.expected, type);
    twins.set(name, {
      ...(twins.get(name) ?? {}),
      propertyName: name,
      ...(reported ? { reported } : {}),
      ...(observedDesired ? { observedDesired } : {}),
    });
  }
  return { ...status, twins: [...twins.values()].filter(({ propertyName }) => properties.has(propertyName)) };
}

/** Merges an edge's state report. `reason` and `faults`, which our edges add, tell an operator what is wrong. */
export function mergeState(status: Status, report: unknown): Status {
  if (!isRecord(report)) return status;
  const { state, lastOnlineTime, reason, faults } = report;
  const { reason: _reason, faults: _faults, ...others } = status.extensions ?? {};
  const extensions = {
    ...others,
    ...(typeof reason === 'string' && reason ? { reason } : {}),
    ...(isRecord(faults) ? { faults } : {}),
  };
  return {
    ...status,
    ...(typeof state === 'string' ? { state } : {}),
    ...(typeof lastOnlineTime === 'string' && lastOnlineTime ? { lastOnlineTime } : {}),
    extensions,
  };
}

/** A merge patch leaves out what is gone, so it has to be said: null. */
export function statusPatch(current: Status, next: Status): unknown {
  const gone = Object.keys(current.extensions ?? {}).filter((key) => next.extensions?.[key] === undefined);
  const faults = next.extensions?.faults as Record<string, unknown> | undefined;
  const before = current.extensions?.faults as Record<string, unknown> | undefined;
  const healed = Object.keys(before ?? {}).filter((key) => faults && faults[key] === undefined);
  const extensions = {
    ...next.extensions,
    ...Object.fromEntries(gone.map((key) => [key, null])),
    ...(faults ? { faults: { ...faults, ...Object.fromEntries(healed.map((key) => [key, null])) } } : {}),
  };
  const dropped = Object.keys(current).filter((key) => !(key in next));
  return { ...Object.fromEntries(dropped.map((key) => [key, null])), ...next, extensions };
}

/** A new DeviceStatus, which goes when its device does. */
export function statusObject(device: Device, status: Status): unknown {
  const { name, namespace } = device.metadata;
  return {
    apiVersion: kinds.deviceStatus.apiVersion,
    kind: kinds.deviceStatus.kind,
    metadata: { name, namespace, ownerReferences: [ownerOf(device)] },
    spec: {},
    status,
  };
}

export function ownerOf({ metadata: { name, uid = '' } }: Device): OwnerReference {
  const { apiVersion, kind } = kinds.device;
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}

function twinValue(side: unknown, type: string): TwinValue | undefined {
  if (!isRecord(side) || typeof side.value !== 'string') return undefined;
  const { timestamp } = isRecord(side.metadata) ? side.metadata : {};
  return { value: side.value, metadata: { timestamp: String(timestamp ?? ''), type } };
}
