import type { Clock } from '../core/clock.ts';
import { type Device, withDesired } from '../core/devices.ts';
import { errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { formatResource } from '../core/resource.ts';
import { type DeviceId, splitDeviceId } from '../core/units.ts';

export type LocalDesiresDeps = {
  readonly store: {
    durable(work: () => void): Promise<void>;
    readonly meta: {
      put(row: { key: string; type: string; value: string }): void;
      get(key: string): string | undefined;
    };
  };
  readonly clock: Clock;
  readonly log: Logger;
  /** Has the device brought to what is wanted. */
  readonly changed: (key: string, device: Device) => void;
};

/** What this node itself wants of devices, until the cloud says something about the device again. The stored object is
 * changed, so that it is wanted over a restart, too; on a disk that takes nothing it still is brought to the device. */
export class LocalDesires {
  private readonly deps: LocalDesiresDeps;
  /** Devices as they are wanted and the disk does not have them. */
  private readonly unkept = new Map<string, Device>();

  constructor(deps: LocalDesiresDeps) {
    this.deps = deps;
  }

  /** @returns resolves when the device's mapper has been told; a device that is not here is left alone */
  async desire(id: DeviceId, values: ReadonlyMap<string, string>): Promise<void> {
    const { store, clock, log } = this.deps;
    const key = formatResource({ ...splitDeviceId(id), type: 'device' });
    let device: Device | undefined;
    const change = (): void => {
      const known = this.unkept.get(key) ?? this.read(key);
      device = known && withDesired(known, values, clock.now());
    };
    try {
      await store.durable(() => {
        change();
        if (device) store.meta.put({ key, type: 'device', value: JSON.stringify(device) });
      });
      this.unkept.delete(key);
    } catch (error) {
      log.warn('a desired value could not be kept', { device: id, reason: errorText(error) });
      change();
      if (device) this.unkept.set(key, device);
    }
    if (device) this.deps.changed(key, device);
  }

  /** The cloud has said what the device is to be, or that it is no more. */
  forget(key: string): void {
    this.unkept.delete(key);
  }

  private read(key: string): Device | undefined {
    const text = this.deps.store.meta.get(key);
    return text === undefined ? undefined : (JSON.parse(text) as Device);
  }
}
