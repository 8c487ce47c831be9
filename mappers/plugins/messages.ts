import type { MessagePort } from 'node:worker_threads';
import type { Device, DeviceModel, DeviceState } from '../../runtime/core/devices.ts';
import { isRecord } from '../../runtime/core/message.ts';
import type { DeviceId } from '../../runtime/core/units.ts';
import type { LineSettings } from '../kit/serial-port.ts';

/** What is said between edgecore and a plugin's worker. Each side has at most one `devices` and one `report` under way:
 * neither can pile up messages at the other. */

/** What a worker is started with. */
export type WorkerStart = {
  readonly name: string;
  readonly protocols: readonly string[];
  /** Path of the plugin's module. */
  readonly main: string;
  /** Where all of the below goes. */
  readonly port: MessagePort;
};

export type ToWorker =
  | { readonly kind: 'devices'; readonly apply: readonly Handed[]; readonly remove: readonly DeviceId[] }
  /** The last report was taken: the next one may come. */
  | { readonly kind: 'noted' }
  /** Somebody waits to see a value written; answered by `wrote` of the same number. */
  | {
      readonly kind: 'write';
      readonly number: number;
      readonly id: DeviceId;
      readonly property: string;
      readonly value: string;
    }
  | { readonly kind: 'stop' };

export type Handed = { readonly device: Device; readonly model: DeviceModel };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'refused'; readonly reason: string }
  /** The loop turns. `held` is what it holds outside of V8's heap, which V8 does not limit: bytes. */
  | { readonly kind: 'beat'; readonly held: number }
  /** The last devices were taken. */
  | { readonly kind: 'took'; readonly faults: readonly DeviceFault[] }
  | ({ readonly kind: 'report' } & Report)
  | { readonly kind: 'wrote'; readonly number: number; readonly fault?: string }
  | { readonly kind: 'log'; readonly level: 'info' | 'warn'; readonly text: string }
  | { readonly kind: 'serial'; readonly options: SerialOptions; readonly port: MessagePort };

export type DeviceFault = { readonly id: DeviceId; readonly fault: string };

export type Report = {
  /** For the `pushMethod`s, in the order in which they were read. `age` is ms since then. */
  readonly pushes: readonly {
    readonly id: DeviceId;
    readonly property: string;
    readonly value: string;
    readonly age: number;
  }[];
  readonly readings: readonly { readonly id: DeviceId; readonly property: string; readonly value: string }[];
  readonly states: readonly { readonly id: DeviceId; readonly state: DeviceState; readonly reason: string }[];
  readonly writes: readonly {
    readonly id: DeviceId;
    readonly property: string;
    readonly desired: string;
    readonly fault?: string;
  }[];
  /** Entries that found no place since the last report. */
  readonly dropped: number;
};

/** How a serial line is opened. */
export type SerialOptions = LineSettings & {
  /** `/dev/serial/by-id/…` stays the same when adapters are plugged in another order. */
  readonly path: string;
};

/** Of one batch. */
export const MOST_ENTRIES = 64;
/** Of one value, in characters; a batch of the longest is a megabyte. */
export const LONGEST_VALUE = 16 * 1024;
/** Of reasons, faults, lines of the log. */
export const LONGEST_TEXT = 1024;
const LONGEST_NAME = 512;

const states = new Set<unknown>(['online', 'offline', 'ok', 'unknown', 'unhealthy']);

/** Reads what a worker said. The kit makes it, but a plugin runs beside the kit: nothing is taken on trust.
 * @returns undefined for anything else; entries that are wrong are left out */
export function parseFromWorker(raw: unknown): FromWorker | undefined {
  if (!isRecord(raw)) return undefined;
  switch (raw.kind) {
    case 'ready':
      return { kind: 'ready' };
    case 'refused':
      return { kind: 'refused', reason: textOf(raw.reason) };
    case 'beat':
      return { kind: 'beat', held: countOf(raw.held) };
    case 'took':
      return { kind: 'took', faults: listOf(raw.faults).flatMap(faultOf) };
    case 'report':
      return {
        kind: 'report',
        pushes: listOf(raw.pushes).flatMap(pushOf),
        readings: listOf(raw.readings).flatMap(readingOf),
        states: listOf(raw.states).flatMap(stateOf),
        writes: listOf(raw.writes).flatMap(writeOf),
        dropped: countOf(raw.dropped),
      };
    case 'wrote': {
      const fault = raw.fault === undefined ? {} : { fault: textOf(raw.fault) };
      return { kind: 'wrote', number: countOf(raw.number), ...fault };
    }
    case 'log':
      return { kind: 'log', level: raw.level === 'warn' ? 'warn' : 'info', text: textOf(raw.text) };
    case 'serial':
      return serialOf(raw);
    default:
      return undefined;
  }
}

function faultOf({ id, fault }: Entry): DeviceFault[] {
  return isName(id) ? [{ id: id as DeviceId, fault: textOf(fault) }] : [];
}

function readingOf({ id, property, value }: Entry): Report['readings'][number][] {
  return isName(id) && isName(property) && isValue(value) ? [{ id: id as DeviceId, property, value }] : [];
}

function pushOf(entry: Entry): Report['pushes'][number][] {
  return readingOf(entry).map((reading) => ({ ...reading, age: Math.max(0, countOf(entry.age)) }));
}

function stateOf({ id, state, reason }: Entry): Report['states'][number][] {
  if (!isName(id) || !states.has(state)) return [];
  return [{ id: id as DeviceId, state: state as DeviceState, reason: textOf(reason) }];
}

function writeOf({ id, property, desired, fault }: Entry): Report['writes'][number][] {
  if (!isName(id) || !isName(property) || !isValue(desired)) return [];
  return [
    { id: id as DeviceId, property, desired, ...(fault === undefined ? {} : { fault: textOf(fault) }) },
  ];
}

function serialOf(raw: Entry): FromWorker | undefined {
  const { options, port } = raw;
  if (!isRecord(options) || !isName(options.path) || typeof port !== 'object' || port === null)
    return undefined;
  return { kind: 'serial', options: options as SerialOptions, port: port as MessagePort };
}

type Entry = Readonly<Record<string, unknown>>;

function listOf(raw: unknown): Entry[] {
  return Array.isArray(raw) ? raw.slice(0, 3 * MOST_ENTRIES).filter(isRecord) : [];
}

function isName(raw: unknown): raw is string {
  return typeof raw === 'string' && raw !== '' && raw.length <= LONGEST_NAME;
}

function isValue(raw: unknown): raw is string {
  return typeof raw === 'string' && raw.length <= LONGEST_VALUE;
}

function textOf(raw: unknown): string {
  return (typeof raw === 'string' ? raw : String(raw)).slice(0, LONGEST_TEXT);
}

function countOf(raw: unknown): number {
  return typeof raw === 'number' && Number.isFinite(raw) ? raw : 0;
}
