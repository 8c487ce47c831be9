import { type Device, type DeviceModel, type DeviceState, shortened, soundDevice } from '../core/devices.ts';
import type { DeviceId } from '../core/units.ts';
import { PropertyFaults } from './faults.ts';
import { restampTwin, type Twin, twinType } from './twin.ts';
import type { TwinChange } from './twin-events.ts';

/** A device of this node, as it is kept in memory; the store holds the same. */
export type DeviceEntry = {
  readonly id: DeviceId;
  name: string;
  description: string;
  state: DeviceState;
  /** When it was said to be online last: RFC 3339, or empty. */
  lastOnline: string;
  /** Why it is not online, or empty. */
  reason: string;
  /** Why it could not be handed to a mapper when that was last tried; holds no longer when it could be. */
  unserved: string | undefined;
  /** The cluster's object; absent until it came. */
  device: Device | undefined;
  /** Its model; absent until it came. */
  model: DeviceModel | undefined;
  readonly twins: Map<string, Twin>;
  /** What is wrong with single properties. */
  readonly faults: PropertyFaults;
  /** What of the cluster's object cannot be served, by property. */
  objectFaults: ReadonlyMap<string, string>;
  /** Properties whose last change the cloud has not confirmed. */
  readonly unsynced: Set<string>;
  /** Properties whose newest value is on its way to the disk. */
  readonly settling: Map<string, Settling>;
  /** The state has changed since the cloud confirmed it. */
  stateUnsynced: boolean;
};

/** A value that a power cut may still undo: until it is on disk the cloud hears the one before, if that is news to it. */
export type Settling = { readonly newest: Twin; before: Twin | undefined };

const NO_FAULTS: ReadonlyMap<string, string> = new Map();

export function newDeviceEntry(id: DeviceId, name: string, description: string): DeviceEntry {
  return {
    id,
    name,
    description,
    state: 'unknown',
    lastOnline: '',
    reason: '',
    unserved: undefined,
    device: undefined,
    model: undefined,
    twins: new Map(),
    faults: new PropertyFaults(),
    objectFaults: NO_FAULTS,
    unsynced: new Set(),
    settling: new Map(),
    stateUnsynced: true,
  };
}

/** Takes what can be served of the cluster's object. What was wrong with a desired value does not hold for another one.
 * @returns the object before it, and the new one */
export function takeDevice(
  entry: DeviceEntry,
  given: Device,
): { before: Device | undefined; device: Device } {
  const before = entry.device;
  const { object: device, faults } = soundDevice(given);
  entry.device = device;
  entry.objectFaults = faults;
  const desired = new Map(device.spec.properties?.map((p) => [p.name, p.desired?.value]));
  for (const property of before?.spec.properties ?? []) {
    const isSame = desired.get(property.name) === property.desired?.value;
    if (!isSame && entry.faults.clear('desired', property.name)) entry.stateUnsynced = true;
  }
  return { before, device };
}

export function adopt(
  entry: DeviceEntry,
  changes: readonly TwinChange[],
  goesToCloud: (name: string) => boolean,
): void {
  for (const { name, current } of changes) {
    entry.twins.set(name, current);
    if (goesToCloud(name)) entry.unsynced.add(name);
  }
}

/** Changes whose way to the disk begins; to be called before they are adopted. */
export function settle(entry: DeviceEntry, changes: readonly TwinChange[]): void {
  for (const { name, last, current } of changes) {
    const under = entry.settling.get(name);
    const unheard = entry.unsynced.has(name) ? last : undefined;
    entry.settling.set(name, { newest: current, before: under ? under.before : unheard });
  }
}

/** The changes are on disk, or will never be: then memory is all that there is. */
export function settled(entry: DeviceEntry, changes: readonly TwinChange[]): void {
  for (const { name, current } of changes) {
    const under = entry.settling.get(name);
    if (under?.newest === current) entry.settling.delete(name);
    else if (under) under.before = current;
  }
}

/** What the cloud may hear of a property now; undefined when it has to wait. */
export function tellable(entry: DeviceEntry, name: string): Twin | undefined {
  const under = entry.settling.get(name);
  return under ? under.before : entry.twins.get(name);
}

/** Whether a mapper's readings of a property go to the cloud; KubeEdge's mappers send none without the mark. */
export function reportsToCloud(entry: DeviceEntry, property: string): boolean {
  return entry.device?.spec.properties?.find((p) => p.name === property)?.reportToCloud === true;
}

/** `last_online` as the node tells it: empty for a device that is not online.
 * @source KubeEdge dtmanager/device.go dealDeviceStateUpdate */
export function lastOnlineOf({ state, lastOnline }: DeviceEntry): string {
  return isOnline(state) ? lastOnline : '';
}

export function isOnline(state: DeviceState): boolean {
  return state === 'online' || state === 'ok';
}

/** Gives values taken while the clock was wrong their true time; those that the cloud has already are told to it again.
 * @returns the properties that changed */
export function restampEntry(entry: DeviceEntry, boot: string, epoch: number): string[] {
  const names: string[] = [];
  for (const [name, twin] of entry.twins) {
    const restamped = restampTwin(twin, boot, epoch);
    if (!restamped) continue;
    entry.twins.set(name, restamped);
    if (reportsToCloud(entry, name)) entry.unsynced.add(name);
    names.push(name);
  }
  return names;
}

/** `<namespace>/<name>` of a model. */
export function keyOf(model: DeviceModel): string {
  return `${model.metadata.namespace ?? 'default'}/${model.metadata.name}`;
}

/** The same of the model that a device refers to. */
export function modelKey(device: Device): string {
  return `${device.metadata.namespace ?? 'default'}/${device.spec.deviceModelRef?.name ?? ''}`;
}

/** What an operator is told of a device without model. */
export function modelAbsence(device: Device): string {
  if (!device.spec.deviceModelRef?.name) return 'spec.deviceModelRef.name: missing';
  return `DeviceModel ${modelKey(device)} is not here: create it in the cluster`;
}

/** Empty when the device names none. */
export function protocolOf(device: Device): string {
  return device.spec.protocol?.protocolName ?? '';
}

/** What an operator is told of a device that no mapper of this node serves: somebody else may, over MQTT. */
export function unservedReason(device: Device): string {
  const protocol = protocolOf(device);
  if (protocol === '') return 'spec.protocol.protocolName: missing; values can come over MQTT only';
  return `spec.protocol.protocolName: no mapper here serves ${shortened(protocol)}; values can come over MQTT only`;
}

/** How many devices answer. */
export function onlineAmong(entries: ReadonlyMap<DeviceId, DeviceEntry>): number {
  let n = 0;
  for (const { state } of entries.values()) if (state === 'online') n++;
  return n;
}

/** The type that the model gives a property, as part of an update; nothing without a model. */
export function typeOf(entry: DeviceEntry, property: string): { type: Twin['metadata']['type'] } | undefined {
  const model = entry.model?.spec.properties?.find((p) => p.name === property);
  return model ? { type: twinType(model.type) } : undefined;
}

const STATES = new Set(['online', 'offline', 'ok', 'unknown', 'unhealthy']);

export function isState(text: string): text is DeviceState {
  return STATES.has(text);
}
