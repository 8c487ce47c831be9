import { shortened } from '../core/devices.ts';
import { isRecord } from '../core/message.ts';
import type { DeviceId } from '../core/units.ts';
import type { TwinRefusal, TwinType, TwinUpdate } from './twin.ts';

/** The fields that every payload of `$hw/events` carries. */
export type EventBase = { readonly event_id: string; readonly timestamp: number };

export type TwinRequest = EventBase & { readonly twin: ReadonlyMap<string, TwinUpdate> };

const KEY = /^[a-zA-Z0-9\-_.,:/@#]{1,128}$/;
const types: Readonly<Record<string, TwinType>> = {
  '': 'string',
  string: 'string',
  int: 'int',
  integer: 'int',
  float: 'float',
  boolean: 'boolean',
  deleted: 'deleted',
};

/** Why a payload is refused that is no JSON object. */
export const NO_JSON: TwinRefusal = { code: 400, reason: 'the payload is no JSON object' };

/** Reads any JSON payload of a `$hw/events` topic; an empty one stands for `{}`. */
export function parseEvent(payload: string): Record<string, unknown> | undefined {
  if (payload.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(payload);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function eventBase(event: Record<string, unknown>, now: number): EventBase {
  return { event_id: typeof event.event_id === 'string' ? event.event_id : '', timestamp: now };
}

/** Reads the payload of `twin/update`: `{event_id, timestamp, twin: {name: MsgTwin | null}}`.
 * @source KubeEdge dttype/MQTTType.go, dtmanager/twin.go */
export function parseTwinRequest(payload: string, now: number): TwinRequest | { refused: TwinRefusal } {
  const event = parseEvent(payload);
  if (!event) return { refused: NO_JSON };
  if (!isRecord(event.twin)) return refuse('the payload has no twin');
  const twin = new Map<string, TwinUpdate>();
  for (const [name, raw] of Object.entries(event.twin)) {
    if (!KEY.test(name))
      return refuse(`twin name ${JSON.stringify(name.slice(0, 64))} has characters that a name cannot have`);
    const update = parseUpdate(raw);
    if (update !== null && 'refused' in update) return refuse(`twin ${name}: ${update.refused}`);
    twin.set(name, update);
  }
  return { ...eventBase(event, now), twin };
}

function parseUpdate(raw: unknown): TwinUpdate | { refused: string } {
  if (raw === null) return null;
  if (!isRecord(raw)) return { refused: 'want an object or null' };
  const type = isRecord(raw.metadata) ? raw.metadata.type : undefined;
  if (type !== undefined && (typeof type !== 'string' || types[type.toLowerCase()] === undefined)) {
    return { refused: `${shortened(type)} is no twin type: want string, int, float or boolean` };
  }
  const sides: { expected?: string; actual?: string } = {};
  for (const side of ['expected', 'actual'] as const) {
    const value = isRecord(raw[side]) ? raw[side].value : undefined;
    if (value === undefined) continue;
    if (typeof value !== 'string') return { refused: `${side}.value must be a string` };
    sides[side] = value;
  }
  return {
    ...sides,
    ...(typeof type === 'string' ? { type: types[type.toLowerCase()] ?? 'string' } : {}),
    ...(typeof raw.optional === 'boolean' ? { optional: raw.optional } : {}),
  };
}

function refuse(reason: string): { refused: TwinRefusal } {
  return { refused: { code: 400, reason } };
}

/** The answer about a device that is not here. */
export function notFound(id: DeviceId): TwinRefusal {
  return { code: 404, reason: `device ${id} is not on this node` };
}
