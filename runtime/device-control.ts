import { sameValue } from '../mappers/kit/convert.ts';
import type { Clock } from './core/clock.ts';
import type { DeviceCommands, WriteOutcome } from './core/device-commands.ts';
import {
  type DeviceMethod,
  type DeviceModel,
  desiredFault,
  type ModelProperty,
  shortened,
} from './core/devices.ts';
import { errorText } from './core/errors.ts';
import { type DeviceId, seconds } from './core/units.ts';
import type { Desires } from './desires.ts';
import type { ApiDevice, DeviceSource } from './deviceapi/mapper-api.ts';
import { type DeviceEntry, modelKey } from './devicetwin/device.ts';
import type { DeviceTwin } from './devicetwin/devicetwin.ts';
import { isCurrent } from './twin-registers.ts';

export type DeviceControlDeps = {
  readonly twins: Pick<DeviceTwin, 'get' | 'writerOf' | 'onChange'>;
  readonly desires: Pick<Desires, 'desire'>;
  readonly clock: Clock;
};

/** How long somebody who waits for a device is kept waiting. @source KubeEdge mapper-framework NewRestServer WriteTimeout */
const LIMIT = seconds(10);
const LATE = `it is not confirmed after ${LIMIT / 1000} s`;
/** What Go's ParseBool takes. */
const booleans: Readonly<Record<string, string>> = Object.fromEntries([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, 'true']),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, 'false']),
]);

/** Desired values and method calls that come from the gateway itself: the console, the command line, local programs. */
export class DeviceControl implements DeviceCommands, DeviceSource {
  private readonly deps: DeviceControlDeps;

  constructor(deps: DeviceControlDeps) {
    this.deps = deps;
  }

  device(id: DeviceId): ApiDevice | undefined {
    const entry = this.deps.twins.get(id);
    return entry?.device && apiDevice(entry);
  }

  async set(id: DeviceId, property: string, value: string): Promise<WriteOutcome> {
    const { twins, desires } = this.deps;
    const device = twins.get(id)?.device;
    if (!device) return unknownDevice(id);
    const before = device.spec.properties?.find((p) => p.name === property)?.desired?.value;
    const kept = desires.desire(id, property, value);
    if (typeof kept === 'string')
      return { kind: 'refused', code: 422, reason: `property ${property}: ${kept}` };
    try {
      await kept;
    } catch (error) {
      return { kind: 'refused', code: 503, reason: `it cannot be kept: ${errorText(error)}` };
    }
    // A mapper brings a desired value once: who wants it again wants it brought again.
    const writer = before === value ? twins.writerOf(id) : undefined;
    if (!writer || has(twins.get(id), property, value)) return this.arrival(id, property, value);
    const fault = await this.limited(writer(property, value));
    return fault === undefined ? { kind: 'done' } : { kind: 'kept', reason: fault };
  }

  async call(id: DeviceId, method: string, property: string, text: string): Promise<WriteOutcome> {
    const { twins } = this.deps;
    const entry = twins.get(id);
    if (!entry?.device) return unknownDevice(id);
    const value = propertyOf(entry, property)?.type === 'BOOLEAN' ? (booleans[text] ?? text) : text;
    const fault = callFault(entry, method, property, value);
    if (fault !== undefined) return { kind: 'refused', code: 422, reason: fault };
    const writer = twins.writerOf(id);
    if (!writer) return this.callByDesire(entry, property, value);
    const unwritten = await this.limited(writer(property, value));
    return unwritten === undefined
      ? { kind: 'done' }
      : { kind: 'refused', code: 503, reason: `property ${property}: ${unwritten}` };
  }

  /** A mapper in a process of its own, or somebody on MQTT, knows desired values only. */
  private async callByDesire(
    entry: Readonly<DeviceEntry>,
    property: string,
    value: string,
  ): Promise<WriteOutcome> {
    const { id, state, reason } = entry;
    if (state === 'offline')
      return {
        kind: 'refused',
        code: 503,
        reason: `property ${property}: the device is offline: ${reason}`,
      };
    const outcome = await this.set(id, property, value);
    if (outcome.kind !== 'kept') return outcome;
    return {
      kind: 'refused',
      code: 503,
      reason: `property ${property}: ${outcome.reason}; it stays desired`,
    };
  }

  /** Resolves when the device has the value, has refused it, or takes too long. */
  private arrival(id: DeviceId, property: string, value: string): Promise<WriteOutcome> {
    const { twins, clock } = this.deps;
    return new Promise((resolve) => {
      const end = (outcome: WriteOutcome): void => {
        stop();
        timer.cancel();
        resolve(outcome);
      };
      const look = (): void => {
        const outcome = outcomeOf(twins.get(id), id, property, value);
        if (outcome) end(outcome);
      };
      const timer = clock.after(LIMIT, () => end({ kind: 'kept', reason: LATE }));
      const stop = twins.onChange(look);
      look();
    });
  }

  private limited(write: Promise<string | undefined>): Promise<string | undefined> {
    return new Promise((resolve) => {
      const timer = this.deps.clock.after(LIMIT, () => resolve(LATE));
      void write.catch(errorText).then((fault) => {
        timer.cancel();
        resolve(fault);
      });
    });
  }
}

/** What has become of a desired value; undefined while nobody knows. */
function outcomeOf(
  entry: Readonly<DeviceEntry> | undefined,
  id: DeviceId,
  property: string,
  value: string,
): WriteOutcome | undefined {
  if (!entry) return unknownDevice(id);
  const fault = entry.faults.of('desired', property);
  if (fault !== undefined) return { kind: 'refused', code: 422, reason: `property ${property}: ${fault}` };
  if (has(entry, property, value)) return { kind: 'done' };
  const { state, reason } = entry;
  if (state === 'offline')
    return { kind: 'kept', reason: `the device is offline${reason ? `: ${reason}` : ''}` };
  return undefined;
}

/** Whether the device is known to have a value. One that nobody polls says so without a state. */
function has(entry: Readonly<DeviceEntry> | undefined, property: string, value: string): boolean {
  const actual = entry?.twins.get(property)?.actual?.value;
  if (!entry || actual === undefined || !sameValue(actual, value)) return false;
  return entry.state === 'unknown' || isCurrent(entry, property);
}

/** Why a method cannot be called so; the words are KubeEdge's where it has some.
 * @source KubeEdge mapper-framework _template/mapper/device/device.go WriteDevice */
function callFault(
  entry: Readonly<DeviceEntry>,
  method: string,
  property: string,
  value: string,
): string | undefined {
  const methods = methodsOf(entry);
  const found = methods.find(({ name }) => name === method);
  if (!found) {
    const names = methods.map(({ name }) => name).join(', ') || 'none';
    return `deviceMethod name ${method} does not exist in device instance: there is ${names}`;
  }
  if (!found.propertyNames?.includes(property))
    return `deviceProperty ${property} to be written is not in the list defined by devicemethod`;
  if (!entry.device?.spec.properties?.some(({ name }) => name === property))
    return `can't find device propertyName ${property} in device instance`;
  const model = propertyOf(entry, property);
  if (!model) return `property ${property} is not in the device's DeviceModel`;
  const fault = desiredFault(value, model);
  return fault === undefined ? undefined : `property ${property}: ${shortened(value)}: ${fault}`;
}

function propertyOf(entry: Readonly<DeviceEntry>, property: string): ModelProperty | undefined {
  return entry.model?.spec.properties?.find(({ name }) => name === property);
}

/** The methods of a device; what is written twice is one, as in KubeEdge, and what is none is left out. */
export function methodsOf({ device }: Readonly<DeviceEntry>): readonly DeviceMethod[] {
  const methods = new Map<string, DeviceMethod>();
  for (const { name, description = '', propertyNames } of device?.spec.methods ?? []) {
    if (typeof name !== 'string' || name === '') continue;
    const before = methods.get(name);
    const names = [...(before?.propertyNames ?? []), ...(propertyNames ?? [])];
    methods.set(name, {
      name,
      description: before?.description || description,
      propertyNames: [...new Set(names)],
    });
  }
  return [...methods.values()];
}

function apiDevice(entry: Readonly<DeviceEntry>): ApiDevice {
  const { device, model, state, reason } = entry;
  return {
    methods: methodsOf(entry).map(({ name, propertyNames = [] }) => ({ name, properties: propertyNames })),
    properties: (device?.spec.properties ?? []).map(({ name }) => {
      const value = entry.twins.get(name)?.actual?.value;
      const fault = entry.faults.of('reading', name) ?? entry.faults.of('object', name);
      const away = isCurrent(entry, name) ? fault : `the device is ${state}${reason ? `: ${reason}` : ''}`;
      return {
        name,
        type: propertyOf(entry, name)?.type.toLowerCase() ?? '',
        ...(value === undefined ? {} : { value }),
        ...(away === undefined ? {} : { away }),
      };
    }),
    modelName: device ? modelKey(device) : '',
    ...(model ? { model: model as DeviceModel } : {}),
  };
}

function unknownDevice(id: DeviceId): WriteOutcome {
  return { kind: 'refused', code: 404, reason: `not found device ${id}` };
}
