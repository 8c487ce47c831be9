import type { Device } from '../core/devices.ts';
import type { DeviceId } from '../core/units.ts';

type Wish = { readonly value: string; readonly over: string | undefined };

/** Desired values that were set on this node, over those of the cluster's objects. One holds until the cluster wants
 * something else than what it wanted then: the last word counts. They live in memory: after a restart the device keeps
 * what it has until the cluster's value is brought to it. */
export class LocalDesired {
  private readonly wishes = new Map<DeviceId, Map<string, Wish>>();

  set(id: DeviceId, device: Device, property: string, value: string): void {
    const over = device.spec.properties?.find((p) => p.name === property)?.desired?.value;
    const wishes = this.wishes.get(id) ?? new Map<string, Wish>();
    wishes.set(property, { value, over });
    this.wishes.set(id, wishes);
  }

  forget(id: DeviceId): void {
    this.wishes.delete(id);
  }

  /** The device with what is wanted here in its place. */
  applyTo(id: DeviceId, device: Device): Device {
    const wishes = this.wishes.get(id);
    if (!wishes) return device;
    const properties = (device.spec.properties ?? []).map((property) => {
      const wish = wishes.get(property.name);
      if (!wish) return property;
      if (wish.over === property.desired?.value) return { ...property, desired: { value: wish.value } };
      wishes.delete(property.name);
      return property;
    });
    return { ...device, spec: { ...device.spec, properties } };
  }
}
