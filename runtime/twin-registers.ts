import type { TwinSource } from '../mappers/modbus/server-bank.ts';
import { type Device, desiredFault } from './core/devices.ts';
import type { DeviceId } from './core/units.ts';
import { type DeviceEntry, isOnline } from './devicetwin/device.ts';
import type { MetaManager, ObjectChange } from './metamanager/metamanager.ts';

/** What the Modbus server needs of the node. */
export type TwinRegisterDeps = {
  readonly twins: { get(id: DeviceId): Readonly<DeviceEntry> | undefined };
  /** Keeps an object of the cluster as it is wanted here, and acts on it. */
  readonly objects: Pick<MetaManager, 'keep'>;
};

/** The twins of this node as a Modbus server offers them: what is reported may be read, and what the model lets be written
 * becomes the desired value in the node's copy of the Device. */
export function twinRegisters({ twins, objects }: TwinRegisterDeps): TwinSource {
  /** The last write of each device that is not on disk yet: the next one builds on it. */
  const last = new Map<DeviceId, Promise<void>>();
  const keep = async (id: DeviceId, property: string, value: string): Promise<void> => {
    await last.get(id)?.catch(() => {}); // that one is answered on its own
    const device = twins.get(id)?.device;
    if (!device) throw new Error(`device ${id} has gone`);
    await objects.keep(wanting(device, property, value));
  };
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
      const fault = desiredFault(value, model);
      if (fault) return fault;
      const kept = keep(device, property, value);
      last.set(device, kept);
      const forget = (): void => {
        if (last.get(device) === kept) last.delete(device);
      };
      kept.then(forget, forget);
      return kept;
    },
  };
}

/** An unhealthy device has good values, too: its reason names the properties that have none. */
function isCurrent({ state, reason }: Readonly<DeviceEntry>, property: string): boolean {
  if (isOnline(state)) return true;
  return state === 'unhealthy' && !reason.split('; ').some((fault) => fault.startsWith(`${property}: `));
}

function wanting(device: Device, property: string, value: string): ObjectChange {
  const properties = (device.spec.properties ?? []).map((p) =>
    p.name === property ? { ...p, desired: { ...p.desired, value } } : p,
  );
  const { name, namespace = 'default' } = device.metadata;
  const object = { ...device, spec: { ...device.spec, properties } };
  return { operation: 'update', type: 'device', namespace, name, object };
}
