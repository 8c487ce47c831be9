import { modelFault } from '../mappers/kit/convert.ts';
import type { TwinSource } from '../mappers/modbus/server-bank.ts';
import type { DeviceId } from './core/units.ts';
import { type DeviceEntry, isOnline } from './devicetwin/device.ts';

/** What the Modbus server needs of the twins. */
export interface Twins {
  get(id: DeviceId): Readonly<DeviceEntry> | undefined;
  desire(id: DeviceId, property: string, value: string): void;
}

/** The twins of this node as a Modbus server offers them: what is reported may be read, and what the model lets be written
 * becomes the desired value. */
export function twinRegisters(twins: Twins): TwinSource {
  return {
    reported(device, property) {
      const entry = twins.get(device);
      const value = entry?.twins.get(property)?.actual?.value;
      return entry && value !== undefined ? { value, isOnline: isCurrent(entry, property) } : undefined;
    },
    desire(device, property, value) {
      const entry = twins.get(device);
      const model = entry?.model?.spec.properties?.find((p) => p.name === property);
      if (!entry?.device) return 'the device is not on this node';
      if (!model || !entry.device.spec.properties?.some((p) => p.name === property))
        return 'it has no such property';
      const fault = modelFault(value, model);
      if (!fault) twins.desire(device, property, value);
      return fault;
    },
  };
}

/** An unhealthy device has good values, too: its reason names the properties that have none. */
function isCurrent({ state, reason }: Readonly<DeviceEntry>, property: string): boolean {
  if (isOnline(state)) return true;
  return state === 'unhealthy' && !reason.split('; ').some((fault) => fault.startsWith(`${property}: `));
}
