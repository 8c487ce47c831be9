import type { Device, DeviceModel } from '../core/devices.ts';
import type { DeviceMapper } from '../core/dmi.ts';
import { errorText } from '../core/errors.ts';
import type { DeviceId } from '../core/units.ts';
import { type DeviceEntry, protocolOf } from './device.ts';

/** Which mapper serves which protocol. Mappers come and go while devices are there. */
export class Mappers {
  private readonly byProtocol = new Map<string, DeviceMapper>();

  add(mapper: DeviceMapper): void {
    for (const protocol of mapper.protocols) this.byProtocol.set(protocol, mapper);
  }

  /** @returns the devices that it has let go of */
  remove(mapper: DeviceMapper, entries: Iterable<DeviceEntry>): DeviceEntry[] {
    const served = this.devicesOf(mapper, entries).map(({ entry }) => entry);
    for (const [protocol, known] of this.byProtocol) if (known === mapper) this.byProtocol.delete(protocol);
    for (const { id } of served) mapper.removeDevice(id);
    return served;
  }

  /** The devices of a mapper's protocols. */
  devicesOf(mapper: DeviceMapper, entries: Iterable<DeviceEntry>): { entry: DeviceEntry; device: Device }[] {
    return [...entries].flatMap((entry) => {
      const { device } = entry;
      return device && this.byProtocol.get(protocolOf(device)) === mapper ? [{ entry, device }] : [];
    });
  }

  serves(device: Device): boolean {
    return this.byProtocol.has(protocolOf(device));
  }

  /** Gives a device to its mapper. Without one somebody else may serve it over MQTT or the DMI socket: no fault.
   * @returns why it cannot be served */
  apply(device: Device, model: DeviceModel): string | undefined {
    try {
      return this.byProtocol.get(protocolOf(device))?.applyDevice(device, model);
    } catch (error) {
      return errorText(error);
    }
  }

  /** Brings a value to the device at once; absent when nobody here can. */
  writerOf(
    id: DeviceId,
    device: Device,
  ): ((property: string, value: string) => Promise<string | undefined>) | undefined {
    const mapper = this.byProtocol.get(protocolOf(device));
    return mapper?.write ? async (property, value) => mapper.write?.(id, property, value) : undefined;
  }

  forget(id: DeviceId, device: Device): void {
    this.byProtocol.get(protocolOf(device))?.removeDevice(id);
  }
}
