import type { DeviceId } from '../core/units.ts';
import type { DeviceEntry } from './device.ts';
import { membershipList } from './membership.ts';
import { refusalPayload, twinList } from './twin-events.ts';
import { eventBase, NO_JSON, notFound, parseEvent } from './twin-request.ts';

/** The payload of `membership/get/result`.
 * @source KubeEdge dtmanager/membership.go dealMembershipGet */
export function membershipAnswer(payload: string, entries: readonly DeviceEntry[], now: number): unknown {
  const event = parseEvent(payload);
  const base = eventBase(event ?? {}, now);
  return event ? membershipList(base, entries) : refusalPayload(base, NO_JSON);
}

/** The payload of `twin/get/result`.
 * @source KubeEdge dtmanager/twin.go dealTwinGet */
export function twinsAnswer(
  payload: string,
  id: DeviceId,
  entry: DeviceEntry | undefined,
  now: number,
): unknown {
  const event = parseEvent(payload);
  const base = eventBase(event ?? {}, now);
  if (!event) return refusalPayload(base, NO_JSON);
  return entry ? twinList(base, entry.twins) : refusalPayload(base, notFound(id));
}
