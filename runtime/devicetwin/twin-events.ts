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

/** What an update says on MQTT: topic suffix below `$hw/events/device/<ns>/<name>` and payload. */
export type TwinEvent = { readonly topic: string; readonly payload: unknown };

/** The events of an update that was accepted, in KubeEdge's order.
 * @param all every twin of the device after the update
 * @source KubeEdge dtmanager/twin.go dealTwinResult, dealDocument, dealDelta */
export function twinEvents(
  base: EventBase,
  changes: readonly TwinChange[],
  all: ReadonlyMap<string, Twin>,
): TwinEvent[] {
  const twin = Object.fromEntries(changes.map((c) => [c.name, shown(c.current)]));
  const document = Object.fromEntries(
    changes.map((c) => [c.name, { last: shown(c.last), current: shown(c.current) }]),
  );
  const events: TwinEvent[] = [
    { topic: 'twin/update/result', payload: { ...base, twin } },
    { topic: 'twin/update/document', payload: { ...base, twin: document } },
  ];
  const wanted = [...all].filter(([, t]) => differs(t));
  if (wanted.length > 0)
    events.push({ topic: 'twin/update/delta', payload: deltaPayload(base, wanted, all) });
  return events;
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

function deltaPayload(base: EventBase, wanted: [string, Twin][], all: ReadonlyMap<string, Twin>): unknown {
  const withExpected = [...all].filter(([, t]) => t.expected !== undefined && t.expected.value !== '');
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
