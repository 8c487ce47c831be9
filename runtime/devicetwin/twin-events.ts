import type { DeviceState } from '../core/devices.ts';
import type { DeviceId } from '../core/units.ts';
import { differs, type Twin, type TwinRefusal, withoutVersions } from './twin.ts';
import type { EventBase } from './twin-request.ts';

/** One property before and after an update. */
export type TwinChange = { readonly name: string; readonly last: Twin | undefined; readonly current: Twin };

/** Who acts on what devices report. */
export interface TwinObserver {
  heard(id: DeviceId, changes: readonly TwinChange[]): void;
  /** The state is another one than before, or has another reason. */
  heardState(id: DeviceId, state: DeviceState): void;
}

/** Whether somebody waits to see it: another value is wanted, or what was wanted is there. */
export function isAwaited({ last, current }: TwinChange): boolean {
  if (last?.expected?.value !== current.expected?.value) return true;
  return last !== undefined && differs(last) && !differs(current);
}

const RESULT = 'twin/update/result';
const DOCUMENT = 'twin/update/document';
const DELTA = 'twin/update/delta';

/** What an update says on MQTT: topic suffix below `$hw/events/device/<ns>/<name>` and payload. */
export type TwinEvent = { readonly topic: string; readonly payload: unknown };

/** The events of an update that was accepted, in KubeEdge's order.
 * @param all every twin of the device after the update
 * @param hears whether anybody wants what is said on a topic; what nobody wants is not made
 * @source KubeEdge dtmanager/twin.go dealTwinResult, dealDocument, dealDelta */
export function twinEvents(
  base: EventBase,
  changes: readonly TwinChange[],
  all: ReadonlyMap<string, Twin>,
  hears: (topic: string) => boolean = () => true,
): TwinEvent[] {
  const events: TwinEvent[] = [];
  if (hears(RESULT)) {
    const twin: Record<string, Twin | null> = {};
    for (const { name, current } of changes) twin[name] = shown(current);
    events.push({ topic: RESULT, payload: { ...base, twin } });
  }
  if (hears(DOCUMENT)) {
    const twin: Record<string, { last: Twin | null; current: Twin | null }> = {};
    for (const { name, last, current } of changes)
      twin[name] = { last: shown(last), current: shown(current) };
    events.push({ topic: DOCUMENT, payload: { ...base, twin } });
  }
  if (someDiffer(all) && hears(DELTA)) events.push({ topic: DELTA, payload: deltaPayload(base, all) });
  return events;
}

/** Who hears of updates. */
export type TwinOutlet = {
  /** Publishes a JSON payload on an MQTT topic. */
  readonly publish: (topic: string, payload: unknown) => void;
  /** Whether anybody would get what is published on a topic; absent = always. */
  readonly hears?: (topic: string) => boolean;
  /** Who acts on what devices report. */
  readonly observer?: TwinObserver;
};

/** Where a device is spoken of on MQTT. */
export function topicOf(id: DeviceId): string {
  return `$hw/events/device/${id}`;
}

/** Tells everyone who wants to hear of an update that was accepted.
 * @param device as it is after the update */
export function publishTwins(
  { publish, hears = () => true, observer }: TwinOutlet,
  device: { readonly id: DeviceId; readonly twins: ReadonlyMap<string, Twin> },
  base: EventBase,
  changes: readonly TwinChange[],
): void {
  const at = topicOf(device.id);
  const events = twinEvents(base, changes, device.twins, (suffix) => hears(`${at}/${suffix}`));
  for (const { topic, payload } of events) publish(`${at}/${topic}`, payload);
  observer?.heard(device.id, changes);
}

/** The answer to `twin/get`.
 * @source KubeEdge dttype BuildDeviceTwinResult: neither versions nor twins that were removed */
export function twinList(base: EventBase, all: ReadonlyMap<string, Twin>): unknown {
  const twins = [...all].filter(([, t]) => t.metadata.type !== 'deleted');
  return { ...base, twin: Object.fromEntries(twins.map(([name, t]) => [name, withoutVersions(t)])) };
}

/** The answer to an update that was refused, or to any request that failed. */
export function refusalPayload(base: EventBase, { code, reason }: TwinRefusal): unknown {
  return { ...base, code, reason };
}

/** Asked at every change of every device, and nearly always false. */
function someDiffer(all: ReadonlyMap<string, Twin>): boolean {
  for (const twin of all.values()) if (differs(twin)) return true;
  return false;
}

function deltaPayload(base: EventBase, all: ReadonlyMap<string, Twin>): unknown {
  const withExpected = [...all].filter(([, t]) => t.expected !== undefined && t.expected.value !== '');
  const wanted = withExpected.filter(([, t]) => differs(t));
  return {
    ...base,
    twin: Object.fromEntries(withExpected.map(([name, t]) => [name, withoutVersions(t)])),
    delta: Object.fromEntries(wanted.map(([name, t]) => [name, t.expected?.value])),
  };
}

/** A twin that was removed is null. */
function shown(twin: Twin | undefined): Twin | null {
  return !twin || twin.metadata.type === 'deleted' ? null : withoutVersions(twin);
}
