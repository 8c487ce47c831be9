import type { Clock } from '../../runtime/core/clock.ts';
import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import type { DeviceManager, DeviceMapper, ReadingSink } from '../../runtime/core/dmi.ts';
import type { Logger } from '../../runtime/core/log.ts';
import type { MetricSource } from '../../runtime/core/metrics.ts';
import { type DeviceId, deviceId } from '../../runtime/core/units.ts';
import { Bus } from './bus.ts';
import type { Driver, DriverDevice } from './driver.ts';
import { PolledDevice } from './polled-device.ts';
import { pushCycles } from './push-gate.ts';
import { parseReportRules, withoutReportRules } from './report-rules.ts';

export type DriverMapperDeps = {
  readonly driver: Driver;
  readonly manager: DeviceManager;
  /** Where values go besides the twin; without one they go nowhere else. */
  readonly sink?: ReadingSink;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricSource;
  /** [0, 1) */
  readonly random: () => number;
};

type Served = { readonly polled: PolledDevice; readonly device: DriverDevice; readonly shape: string };
type OwnedBus = { readonly bus: Bus; readonly settings: string; readonly users: Set<DeviceId> };

/** Serves the devices of one driver: one owner for each bus, a device made anew only when its shape changes. */
export class DriverMapper implements DeviceMapper {
  readonly name: string;
  readonly protocols: readonly string[];
  private readonly deps: DriverMapperDeps;
  private readonly devices = new Map<DeviceId, Served>();
  private readonly buses = new Map<string, OwnedBus>();
  /** Buses that are being let go of. */
  private readonly closing = new Map<string, Promise<void>>();
  /** Devices that want their bus opened in another way than those that have it. */
  private readonly refused = new Map<DeviceId, () => void>();

  constructor(deps: DriverMapperDeps) {
    this.deps = deps;
    this.name = deps.driver.name;
    this.protocols = deps.driver.protocols;
    const ratios = (): number[] =>
      [...this.devices.values()].map(({ polled: { lag } }) => (lag ? lag.achieved / lag.asked : 1));
    const worst = 'The cycle that is kept worst: what is achieved of what is asked, 1 when all are kept.';
    deps.metrics.gauge('edgecore_mapper_cycle_ratio', worst, () => Math.max(1, ...ratios()), {
      mapper: this.name,
    });
  }

  /** Ms since when the device that waits longest does not get on; 0 while all do. */
  stalledFor(): number {
    return [...this.devices.values()].reduce((most, { polled }) => Math.max(most, polled.stalledFor), 0);
  }

  applyDevice(device: Device, model: DeviceModel): string | undefined {
    const fault = this.serve(device, model);
    this.serveRefused();
    return fault;
  }

  removeDevice(id: DeviceId): void {
    this.refused.delete(id);
    this.drop(id);
    this.serveRefused();
  }

  async write(id: DeviceId, property: string, value: string): Promise<string | undefined> {
    const served = this.devices.get(id);
    return served ? served.polled.write(property, value) : 'the device is not served';
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    this.refused.clear();
    for (const id of [...this.devices.keys()]) this.drop(id);
    await Promise.all(this.closing.values());
  }

  private serve(device: Device, model: DeviceModel): string | undefined {
    const id = deviceId(device.metadata.namespace ?? 'default', device.metadata.name);
    this.refused.delete(id);
    const said = { device: withoutReportRules(device), model: withoutReportRules(model) };
    const { device: configured, faults: driverFaults } = this.deps.driver.configure(said.device, said.model);
    const faults = [...driverFaults];
    const reportRules = parseReportRules(device, model, faults);
    // Of a device without properties nothing would ever be heard, and nobody would be told why.
    if (!configured || configured.points.length === 0) {
      this.drop(id);
      return faults.join('; ') || 'spec.properties: there are none, so nothing of it is read';
    }
    // Only a change of how it is polled starts it anew; desired values change often.
    const cycles = pushCycles(device);
    const shape = JSON.stringify([configured.shape, faults, [...reportRules], [...cycles]]);
    if (this.devices.get(id)?.shape !== shape) {
      this.drop(id);
      const conflict = this.conflict(configured);
      if (conflict) {
        this.refused.set(id, () => this.serve(device, model));
        return conflict;
      }
      const bus = this.takeBus(id, configured);
      const parts = { device: configured, configFaults: faults, reportRules, pushCycles: cycles, bus };
      const polled = new PolledDevice({ ...this.deps, id, ...parts });
      this.devices.set(id, { polled, device: configured, shape });
    }
    this.devices.get(id)?.polled.desire(device, model);
    return undefined;
  }

  private drop(id: DeviceId): void {
    const served = this.devices.get(id);
    if (!served) return;
    this.devices.delete(id);
    served.polled.stop();
    this.leaveBus(id, served.device.bus);
  }

  /** Who was refused for the sake of others may have its bus now. */
  private serveRefused(): void {
    for (const serve of [...this.refused.values()]) serve();
  }

  private conflict({ bus, busSettings = '' }: DriverDevice): string | undefined {
    const owned = this.buses.get(bus);
    if (!owned || owned.settings === busSettings) return undefined;
    const [other] = owned.users;
    return `spec.protocol.configData: wants ${bus} as ${busSettings}, but ${other} has it as ${owned.settings}`;
  }

  private takeBus(id: DeviceId, device: DriverDevice): Bus {
    const { bus: name, busSettings: settings = '' } = device;
    let owned = this.buses.get(name);
    if (!owned) {
      const free = this.closing.get(name);
      const bus = new Bus({ ...this.deps, connect: () => device.connect(), ...(free ? { free } : {}) });
      owned = { bus, settings, users: new Set() };
      this.buses.set(name, owned);
    }
    owned.users.add(id);
    return owned.bus;
  }

  private leaveBus(id: DeviceId, name: string): void {
    const owned = this.buses.get(name);
    if (!owned) return;
    owned.users.delete(id);
    if (owned.users.size > 0) return;
    this.buses.delete(name);
    const closed = owned.bus.stop().then(() => {
      if (this.closing.get(name) === closed) this.closing.delete(name);
    });
    this.closing.set(name, closed);
  }
}
