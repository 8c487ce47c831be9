import { type Device, desiredFault, shortened } from '../core/devices.ts';
import type { WriteResult } from '../core/dmi.ts';
import { type DeviceEntry, typeOf } from './device.ts';
import { mergeTwin, type SideMetadata, type TwinRefusal, type TwinUpdate } from './twin.ts';
import type { TwinChange } from './twin-events.ts';

/** What is right of some updates, and why the others are refused, by property. */
export type Merged = {
  readonly changes: readonly TwinChange[];
  readonly refused: ReadonlyMap<string, TwinRefusal>;
};

/** Twins that a device may have; each costs memory, a row, and its part of every message to the cloud. */
const MOST_TWINS = 10_000;

/** Merges updates into the twins of a device, each by itself; the device is untouched.
 * @param now edge clock */
export function mergeEach(
  entry: DeviceEntry,
  updates: ReadonlyMap<string, TwinUpdate>,
  now: SideMetadata,
): Merged {
  const changes: TwinChange[] = [];
  const refused = new Map<string, TwinRefusal>();
  let size = entry.twins.size;
  for (const [name, update] of updates) {
    const last = entry.twins.get(name);
    if (!last) size++;
    const current = size > MOST_TWINS ? tooMany(name) : mergeTwin(name, last, update, now);
    if ('refused' in current) refused.set(name, current.refused);
    else changes.push({ name, last, current });
  }
  return { changes, refused };
}

/** Checks what somebody wants of a property against the model.
 * Differs: KubeEdge takes any value that has the twin's type.
 * @returns what is wrong; undefined when nothing is, or the model does not have the property */
export function wantedFault(entry: DeviceEntry, name: string, value: string): string | undefined {
  const property = entry.model?.spec.properties?.find((p) => p.name === name);
  return property && value !== '' ? desiredFault(value, property) : undefined;
}

/** The first desired value among updates that the model does not allow. */
export function wantedRefusal(
  entry: DeviceEntry,
  updates: ReadonlyMap<string, TwinUpdate>,
): TwinRefusal | undefined {
  for (const [name, update] of updates) {
    const value = update?.expected;
    const fault = value === undefined ? undefined : wantedFault(entry, name, value);
    if (fault) return { code: 400, reason: `twin ${name}: expected ${shortened(value)}: ${fault}` };
  }
  return undefined;
}

/** Desired values of the cluster's object that are new: merged where the model allows them, refused where not. */
export function desiredOf(
  entry: DeviceEntry,
  device: Device,
  now: SideMetadata,
): { readonly changes: readonly TwinChange[]; readonly refused: readonly WriteResult[] } {
  const updates = new Map<string, TwinUpdate>();
  const refused: WriteResult[] = [];
  for (const { name: property, desired } of device.spec.properties ?? []) {
    const value = desired?.value;
    if (value === undefined || value === entry.twins.get(property)?.expected?.value) continue;
    const update = new Map([[property, { expected: value, ...typeOf(entry, property) }]]);
    const fault =
      wantedFault(entry, property, value) ?? mergeEach(entry, update, now).refused.get(property)?.reason;
    if (fault) refused.push({ property, desired: value, fault });
    else for (const [name, sound] of update) updates.set(name, sound);
  }
  return { changes: mergeEach(entry, updates, now).changes, refused };
}

function tooMany(name: string): { refused: TwinRefusal } {
  return { refused: { code: 400, reason: `twin ${name}: the device has ${MOST_TWINS} twins already` } };
}
