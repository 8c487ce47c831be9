import { isDeepStrictEqual } from 'node:util';
import { type Device, type DeviceModel, type Sound, soundModel } from '../core/devices.ts';
import { keyOf, modelKey } from './device.ts';

/** The DeviceModels that are here, each without what cannot be served of it. */
export class Models {
  private readonly byKey = new Map<string, Sound<DeviceModel>>();
  /** The device of each model that came last. */
  private readonly latest = new Map<string, Device>();

  /** @returns its key, as {@link modelKey} makes it of devices */
  take(model: DeviceModel): string {
    const key = keyOf(model);
    this.byKey.set(key, soundModel(model));
    return key;
  }

  /** The device with what it has in common with the one of its model that came before it as the same objects: the devices of
   * a model are often many, and their properties alike. */
  sharing(device: Device): Device {
    const key = modelKey(device);
    const others = this.latest.get(key)?.spec.properties;
    const properties = device.spec.properties?.map((property, i) => {
      const other = others?.[i];
      return other && isDeepStrictEqual(other, property) ? other : property;
    });
    const shared = properties ? { ...device, spec: { ...device.spec, properties } } : device;
    this.latest.set(key, shared);
    return shared;
  }

  /** The model that a device refers to. */
  of(device: Device): DeviceModel | undefined {
    return this.byKey.get(modelKey(device))?.object;
  }

  /** What is wrong with the properties of a device's model, by property. */
  faultsFor(device: Device): [string, string][] {
    const key = modelKey(device);
    const faults = this.byKey.get(key)?.faults ?? new Map<string, string>();
    return [...faults].map(([name, fault]) => [name, `DeviceModel ${key}: ${fault}`]);
  }
}
