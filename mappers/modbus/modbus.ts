import type { Clock } from '../../runtime/core/clock.ts';
import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import type { DeviceManager, DeviceMapper } from '../../runtime/core/dmi.ts';
import { type DeviceId, deviceId } from '../../runtime/core/units.ts';
import { Bus } from '../kit/bus.ts';
import { type Endpoint, parseModbusDevice } from './config.ts';
import { PolledDevice } from './device.ts';
import { addressOf, ModbusTransport } from './transport.ts';

export type ModbusMapperDeps = {
  readonly manager: DeviceManager;
  readonly clock: Clock;
  /** [0, 1) */
  readonly random: () => number;
};

type Served = { readonly polled: PolledDevice; readonly address: string; readonly shape: string };
type OwnedBus = { readonly bus: Bus<ModbusTransport>; users: number };

/** The Modbus mapper: polls the devices of its protocols, one owner for each connection or line. */
export class ModbusMapper implements DeviceMapper {
  readonly name = 'modbus';
  readonly protocols: readonly string[] = ['modbus', 'modbus-tcp', 'modbus-rtu'];
  private readonly deps: ModbusMapperDeps;
  private readonly devices = new Map<DeviceId, Served>();
  private readonly buses = new Map<string, OwnedBus>();

  constructor(deps: ModbusMapperDeps) {
    this.deps = deps;
  }

  applyDevice(device: Device, model: DeviceModel): string | undefined {
    const id = deviceId(device.metadata.namespace ?? 'default', device.metadata.name);
    const { device: config, faults } = parseModbusDevice(device, model);
    if (!config) {
      this.removeDevice(id);
      return faults.join('; ');
    }
    // Only a change of how it is polled starts it anew; desired values change often.
    const shape = JSON.stringify([config, faults]);
    const known = this.devices.get(id);
    if (known?.shape !== shape) {
      this.removeDevice(id);
      const address = addressOf(config.endpoint);
      const bus = this.takeBus(config.endpoint);
      this.devices.set(id, {
        polled: new PolledDevice({ ...this.deps, id, config, configFaults: faults, bus }),
        address,
        shape,
      });
    }
    this.devices.get(id)?.polled.desire(device, model);
    return undefined;
  }

  removeDevice(id: DeviceId): void {
    const served = this.devices.get(id);
    if (!served) return;
    this.devices.delete(id);
    served.polled.stop();
    const owned = this.buses.get(served.address);
    if (owned && --owned.users === 0) {
      owned.bus.stop();
      this.buses.delete(served.address);
    }
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    for (const id of [...this.devices.keys()]) this.removeDevice(id);
  }

  private takeBus(endpoint: Endpoint): Bus<ModbusTransport> {
    const address = addressOf(endpoint);
    const owned = this.buses.get(address) ?? {
      bus: new Bus({ ...this.deps, transport: new ModbusTransport(endpoint) }),
      users: 0,
    };
    owned.users++;
    this.buses.set(address, owned);
    return owned.bus;
  }
}
