import type { Clock } from '../../runtime/core/clock.ts';
import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import { deviceId } from '../../runtime/core/units.ts';
import type { Configured, Driver } from '../kit/driver.ts';
import { parseSerialDevice, protocols } from './config.ts';
import type { SerialConnection } from './connection.ts';
import { SerialDevice } from './device.ts';

/** Instruments on serial lines, for the kit. */
export class SerialDriver implements Driver<SerialConnection> {
  readonly name = 'serial';
  readonly protocols = protocols;
  private readonly clock: Clock;

  constructor(deps: { readonly clock: Clock }) {
    this.clock = deps.clock;
  }

  configure(device: Device, model: DeviceModel): Configured<SerialConnection> {
    const { config, faults } = parseSerialDevice(device, model);
    if (!config) return { faults };
    const id = deviceId(device.metadata.namespace ?? 'default', device.metadata.name);
    return {
      device: new SerialDevice({ id, config, shape: shapeOf(device, model), clock: this.clock }),
      faults,
    };
  }
}

/** All that says how a device is served; desired values do not. */
function shapeOf({ spec }: Device, model: DeviceModel): string {
  const properties = (spec.properties ?? []).map(({ desired: _, ...property }) => property);
  return JSON.stringify([spec.protocol, properties, model.spec.properties]);
}
