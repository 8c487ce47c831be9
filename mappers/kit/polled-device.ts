import type { Clock } from '../../runtime/core/clock.ts';
import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import type { DeviceManager, Reading, WriteResult } from '../../runtime/core/dmi.ts';
import { errorText } from '../../runtime/core/errors.ts';
import { backoffDelays } from '../../runtime/core/retry.ts';
import { type DeviceId, type Millis, millis, seconds } from '../../runtime/core/units.ts';
import type { Bus } from './bus.ts';
import { modelFault } from './convert.ts';
import { Cycle } from './cycle.ts';
import type { DriverDevice, DriverPoint, Exchange, Value } from './driver.ts';
import { Reporter } from './report.ts';
import { WireError } from './wire-error.ts';

export type PolledDeviceDeps = {
  readonly id: DeviceId;
  readonly device: DriverDevice;
  /** What is wrong with properties that are left out, as `spec.path: fault`. */
  readonly configFaults: readonly string[];
  readonly bus: Bus;
  readonly manager: DeviceManager;
  readonly clock: Clock;
  readonly random: () => number;
};

type Group = { readonly cycle: Cycle; readonly points: readonly DriverPoint[] };

/** While a device is away, one cheap question tries it again in these waits. */
const QUARANTINE = { first: seconds(1), factor: 2, cap: seconds(15), jitter: 0.2 };
/** What a device says no to leaves it online. */
const REFUSALS = new Set<WireError['kind']>(['exception', 'refused']);

/** One device under polling: its cycles, its pending writes, what is known of its health. */
export class PolledDevice {
  private readonly deps: PolledDeviceDeps;
  private readonly reporter = new Reporter();
  private readonly groups: Group[] = [];
  private readonly points: ReadonlyMap<string, DriverPoint>;
  private readonly reportCycles: ReadonlyMap<string, Millis>;
  /** Desired values that have not been brought to the device. */
  private readonly wanted = new Map<string, string>();
  /** The last desired value of each property, so that each is written once. */
  private readonly applied = new Map<string, string>();
  private readonly lastRead = new Map<string, string>();
  /** Properties that cannot be read, and why. */
  private readonly faults = new Map<string, string>();
  private readonly unwatch: () => void;
  private quarantine: Generator<Millis, never> | undefined;
  private nextTry = 0;
  /** In quarantine one turn at a time finds out whether it answers: each that fails costs the bus a timeout. */
  private probing = false;
  private stopped = false;

  constructor(deps: PolledDeviceDeps) {
    this.deps = deps;
    const { points } = deps.device;
    this.points = new Map(points.map((p) => [p.property, p]));
    this.reportCycles = new Map(points.map((p) => [p.property, p.reportCycle]));
    this.unwatch = this.hear();
    for (const [period, members] of byCycle(points)) {
      const phase = millis(deps.random() * Math.min(period, 200));
      const group: Group = {
        points: members,
        cycle: new Cycle({ clock: deps.clock, period, phase, task: () => this.turn(group) }),
      };
      this.groups.push(group);
    }
  }

  /** Takes the desired values of the Device; one that is new or changed is written in the next turn. */
  desire(device: Device, model: DeviceModel): void {
    const refused: WriteResult[] = [];
    for (const { name, desired } of device.spec.properties ?? []) {
      if (desired === undefined || this.applied.get(name) === desired.value) continue;
      this.applied.set(name, desired.value);
      const property = model.spec.properties?.find((p) => p.name === name);
      const fault = property ? modelFault(desired.value, property) : 'not in the model';
      const cannot = fault ?? this.pointFault(name);
      if (cannot) refused.push({ property: name, desired: desired.value, fault: cannot });
      else this.wanted.set(name, desired.value);
    }
    if (refused.length > 0) this.deps.manager.reportWrites(this.deps.id, refused);
    if (this.wanted.size > 0) for (const group of this.groups) group.cycle.hurry();
  }

  stop(): void {
    this.stopped = true;
    this.unwatch();
    for (const group of this.groups) group.cycle.stop();
  }

  private pointFault(property: string): string | undefined {
    const point = this.points.get(property);
    if (!point) return 'the property is not served: its configuration has a fault';
    return point.writable ? undefined : 'it cannot be written on the device';
  }

  /** A device that speaks unasked is heard on every connection, and is away as soon as that is lost. */
  private hear(): () => void {
    const { device, bus } = this.deps;
    if (!device.listen) return () => {};
    return bus.watch({
      opened: (connection) => device.listen?.(connection, (values) => this.heard(values)),
      lost: (error) => this.away(error),
    });
  }

  private heard(values: readonly Value[]): void {
    if (!this.stopped) this.report(this.readings(values));
  }

  private async turn(group: Group): Promise<void> {
    if (this.quarantine && (this.probing || this.deps.clock.monotonic() < this.nextTry)) return;
    this.probing = this.quarantine !== undefined;
    try {
      await this.contact();
      await this.bringDesired(group);
      const readings = await this.readAll(group.points);
      if (!this.stopped) this.report(readings);
    } catch (error) {
      if (!this.stopped) this.away(error);
    }
    this.probing = false;
  }

  /** Finds out cheaply whether a device in quarantine is there again; opens the bus of one that only speaks. */
  private async contact(): Promise<void> {
    const { bus, device } = this.deps;
    if (device.listen) await bus.request('read', async () => {});
    if (this.quarantine && device.probe)
      await bus.request('read', async (c) => device.probe?.(c)).catch(passRefusal);
  }

  private async readAll(points: readonly DriverPoint[]): Promise<Reading[]> {
    const readings: Reading[] = [];
    for (const exchange of this.deps.device.plan(points)) readings.push(...(await this.read(exchange)));
    return readings;
  }

  private async read(exchange: Exchange): Promise<Reading[]> {
    const { bus } = this.deps;
    try {
      return this.readings(await bus.request('read', (connection) => exchange.run(connection)));
    } catch (error) {
      passRefusal(error);
      const fault = errorText(error);
      return this.readings(exchange.points.map(({ property }) => ({ property, fault })));
    }
  }

  private readings(values: readonly Value[]): Reading[] {
    const at = this.deps.clock.now();
    return values.flatMap((value) => {
      if ('fault' in value) {
        this.faults.set(value.property, value.fault);
        return [];
      }
      this.faults.delete(value.property);
      this.lastRead.set(value.property, value.value);
      return [{ property: value.property, value: value.value, at }];
    });
  }

  private report(readings: readonly Reading[]): void {
    const { manager, id, clock } = this.deps;
    if (this.quarantine) this.reporter.reset(); // after an absence everything is said again
    this.quarantine = undefined;
    const due = this.reporter.due(readings, this.reportCycles, clock.monotonic());
    if (due.length > 0) manager.reportDeviceStatus(id, due);
    const faults = [
      ...this.deps.configFaults,
      ...[...this.faults].map(([property, fault]) => `${property}: ${fault}`),
    ];
    if (faults.length > 0) manager.reportDeviceState(id, 'unhealthy', faults.join('; '));
    else manager.reportDeviceState(id, 'online');
  }

  private away(error: unknown): void {
    const { clock, manager, id, random } = this.deps;
    this.quarantine ??= backoffDelays(QUARANTINE, random);
    this.nextTry = clock.monotonic() + this.quarantine.next().value;
    manager.reportDeviceState(id, 'offline', errorText(error));
  }

  /** Writes what is wanted, before anything is read, and reads it back. */
  private async bringDesired(group: Group): Promise<void> {
    for (const point of group.points) {
      const desired = this.wanted.get(point.property);
      if (desired === undefined) continue;
      const result = await this.writePoint(point, desired);
      // Meanwhile another value may be wanted.
      if (this.wanted.get(point.property) === desired) this.wanted.delete(point.property);
      this.deps.manager.reportWrites(this.deps.id, [result]);
    }
  }

  private async writePoint(point: DriverPoint, desired: string): Promise<WriteResult> {
    const { bus, device, manager, id } = this.deps;
    const { property } = point;
    if (this.lastRead.get(property) === desired) return { property, desired };
    try {
      await bus.request('write', (connection) => device.write(connection, point, desired));
    } catch (error) {
      passRefusal(error);
      return { property, desired, fault: errorText(error) };
    }
    const [readBack] = (await this.readAll([point])).filter((reading) => reading.property === property);
    if (readBack) manager.reportDeviceStatus(id, [readBack]);
    if (readBack && !sameValue(readBack.value, desired)) {
      return { property, desired, fault: `the device took the write and reads back ${readBack.value}` };
    }
    return { property, desired };
  }
}

/** @throws the error, unless it is a refusal */
function passRefusal(error: unknown): void {
  if (!(error instanceof WireError) || !REFUSALS.has(error.kind)) throw error;
}

function byCycle(points: readonly DriverPoint[]): Map<Millis, DriverPoint[]> {
  const groups = new Map<Millis, DriverPoint[]>();
  for (const point of points) groups.set(point.cycle, [...(groups.get(point.cycle) ?? []), point]);
  return groups;
}

/** `21.5` and `21.50` are the same setting, and a float32 holds seven digits of it. */
function sameValue(read: string, desired: string): boolean {
  if (read === desired) return true;
  const [a, b] = [Number(read), Number(desired)];
  return desired.trim() !== '' && Number.isFinite(a) && Math.abs(a - b) <= Math.abs(b) * 1e-6;
}
