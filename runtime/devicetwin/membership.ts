import { type DeviceEntry, lastOnlineOf } from './device.ts';
import type { EventBase } from './twin-request.ts';

/** A device as the cloud names it when it joins or leaves the node. */
export type Membership = { readonly id: string; readonly name: string; readonly description: string };

/** Payload of `membership/updated`; a list that is empty is null, as KubeEdge sends it. */
export function membershipEvent(
  base: EventBase,
  added: readonly Membership[],
  removed: readonly Membership[],
): unknown {
  return { ...base, added_devices: orNull(added), removed_devices: orNull(removed) };
}

/** Payload of `membership/get/result`. */
export function membershipList(base: EventBase, entries: readonly DeviceEntry[]): unknown {
  const devices = entries.map((entry) => {
    const { id, name, description, state } = entry;
    return { id, name, description, state, last_online: lastOnlineOf(entry) };
  });
  return { ...base, devices };
}

function orNull<T>(list: readonly T[]): readonly T[] | null {
  return list.length > 0 ? list : null;
}
