import type { TwinSource } from '../mappers/modbus/server-bank.ts';
import type { DeviceId } from './core/units.ts';
import type { Desires } from './desires.ts';
import { type DeviceEntry, isOnline } from './devicetwin/device.ts';

/** What the Modbus server needs of the node. */
export type TwinRegisterDeps = {
  readonly twins: { get(id: DeviceId): Readonly<DeviceEntry> | undefined };
  readonly desires: Pick<Desires, 'desire'>;
};

/** The twins of this node as a Modbus server offers them: what is reported may be read, and what the model lets be written
 * becomes the desired value in the node's copy of the Device. */
export function twinRegisters({ twins, desires }: TwinRegisterDeps): TwinSource {
  return {
    reported(device, property) {
      const entry = twins.get(device);
      const value = entry?.twins.get(property)?.actual?.value;
      return entry && value !== undefined ? { value, isOnline: isCurrent(entry, property) } : undefined;
    },
    desire: (device, property, value) => desires.desire(device, property, value),
  };
}

/** Whether the value of a property is one that is read. An unhealthy device has good values, too: its reason names the
 * properties that have none. */
export function isCurrent({ state, reason }: Readonly<DeviceEntry>, property: string): boolean {
  if (isOnline(state)) return true;
  return state === 'unhealthy' && !reason.split('; ').some((fault) => fault.startsWith(`${property}: `));
}
