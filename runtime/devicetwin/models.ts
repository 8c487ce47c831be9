import { type Device, type DeviceModel, type Sound, soundModel } from '../core/devices.ts';
import { keyOf, modelKey } from './device.ts';

/** The DeviceModels that are here, each without what cannot be served of it. */
export class Models {
  private readonly byKey = new Map<string, Sound<DeviceModel>>();

  /** @returns its key, as {@link modelKey} makes it of devices */
  take(model: DeviceModel): string {
    const key = keyOf(model);
    this.byKey.set(key, soundModel(model));
    return key;
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
