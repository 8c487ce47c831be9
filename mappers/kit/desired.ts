import { type Device, type DeviceModel, desiredFault } from '../../runtime/core/devices.ts';
import type { WriteResult } from '../../runtime/core/dmi.ts';
import type { DriverPoint } from './driver.ts';

/** The desired values of one device: each is brought to it once, when it is new or changed, or wanted again with other
 * metadata: the device may have been switched by hand meanwhile. */
export class DesiredValues {
  private readonly points: readonly DriverPoint[];
  /** The last desired value of each property, with its time. */
  private readonly seen = new Map<string, string>();
  /** Those that have not been brought to the device. */
  private readonly wanted = new Map<string, string>();

  constructor(points: readonly DriverPoint[]) {
    this.points = points;
  }

  get isEmpty(): boolean {
    return this.wanted.size === 0;
  }

  /** Takes the desired values of the Device.
   * @returns those that can never be brought to it, and why */
  take(device: Device, model: DeviceModel): WriteResult[] {
    const refused: WriteResult[] = [];
    for (const { name, desired } of device.spec.properties ?? []) {
      if (desired === undefined) continue;
      const said = JSON.stringify([desired.value, desired.metadata?.timestamp]);
      if (this.seen.get(name) === said) continue;
      this.seen.set(name, said);
      this.wanted.delete(name);
      const fault = this.faultOf(name, desired.value, model);
      if (fault) refused.push({ property: name, desired: desired.value, fault });
      else this.wanted.set(name, desired.value);
    }
    return refused;
  }

  /** What waits to be written, in the order in which it was wanted. */
  pending(): { readonly point: DriverPoint; readonly value: string }[] {
    return [...this.wanted].flatMap(([name, value]) => {
      const point = this.pointOf(name);
      return point ? [{ point, value }] : [];
    });
  }

  /** A value was brought to the device or refused by it; meanwhile another may be wanted. */
  done(property: string, value: string): void {
    if (this.wanted.get(property) === value) this.wanted.delete(property);
  }

  private faultOf(name: string, value: string, model: DeviceModel): string | undefined {
    const property = model.spec.properties?.find((p) => p.name === name);
    if (!property) return 'not in the model';
    const fault = desiredFault(value, property);
    if (fault) return fault;
    return unwritable(this.pointOf(name));
  }

  private pointOf(name: string): DriverPoint | undefined {
    return this.points.find(({ property }) => property === name);
  }
}

/** Why a property cannot be written; undefined when it can. */
export function unwritable(point: DriverPoint | undefined): string | undefined {
  if (!point) return 'the property is not served: its configuration has a fault';
  return point.writable ? undefined : 'it cannot be written on the device';
}
