import { type Device, desiredFault } from './core/devices.ts';
import type { DeviceId } from './core/units.ts';
import type { DeviceEntry } from './devicetwin/device.ts';
import type { MetaManager, ObjectChange } from './metamanager/metamanager.ts';

export type DesiresDeps = {
  readonly twins: { get(id: DeviceId): Readonly<DeviceEntry> | undefined };
  /** Keeps an object of the cluster as it is wanted here, and acts on it. */
  readonly objects: Pick<MetaManager, 'keep'>;
};

/** Values that somebody on the gateway wants: each becomes the desired value in the node's copy of the Device. */
export class Desires {
  private readonly deps: DesiresDeps;
  /** The last write of each device that is not on disk yet: the next one builds on it. */
  private readonly last = new Map<DeviceId, Promise<void>>();

  constructor(deps: DesiresDeps) {
    this.deps = deps;
  }

  /** @returns why it cannot be desired; else resolves when it is on disk, and rejects when it cannot be kept */
  desire(id: DeviceId, property: string, value: string): string | Promise<void> {
    const { last, deps } = this;
    const fault = undesirable(deps.twins.get(id), property, value);
    if (fault !== undefined) return fault;
    const kept = this.keep(id, property, value);
    last.set(id, kept);
    const forget = (): void => {
      if (last.get(id) === kept) last.delete(id);
    };
    kept.then(forget, forget);
    return kept;
  }

  private async keep(id: DeviceId, property: string, value: string): Promise<void> {
    await this.last.get(id)?.catch(() => {}); // that one is answered on its own
    const device = this.deps.twins.get(id)?.device;
    if (!device) throw new Error(`device ${id} has gone`);
    await this.deps.objects.keep(wanting(device, property, value));
  }
}

/** Why a property cannot have a value; undefined when it can. */
export function undesirable(
  entry: Readonly<DeviceEntry> | undefined,
  property: string,
  value: string,
): string | undefined {
  const model = entry?.model?.spec.properties?.find((p) => p.name === property);
  if (!entry?.device) return 'the device is not on this node';
  if (!model || !entry.device.spec.properties?.some((p) => p.name === property))
    return 'it has no such property';
  return desiredFault(value, model);
}

function wanting(device: Device, property: string, value: string): ObjectChange {
  const properties = (device.spec.properties ?? []).map((p) =>
    p.name === property ? { ...p, desired: { ...p.desired, value } } : p,
  );
  const { name, namespace = 'default' } = device.metadata;
  const object = { ...device, spec: { ...device.spec, properties } };
  return { operation: 'update', type: 'device', namespace, name, object };
}
