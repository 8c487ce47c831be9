import type { Clock } from '../../runtime/core/clock.ts';
import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import type { DeviceManager, Reading, WriteResult } from '../../runtime/core/dmi.ts';
import { errorText } from '../../runtime/core/errors.ts';
import { backoffDelays } from '../../runtime/core/retry.ts';
import { type DeviceId, type Millis, millis, seconds } from '../../runtime/core/units.ts';
import { type Bus, WireError } from '../kit/bus.ts';
import { decodeValue, encodeValue, modelFault } from '../kit/convert.ts';
import { Cycle } from '../kit/cycle.ts';
import { Reporter } from '../kit/report.ts';
import type { ModbusDevice, Point } from './config.ts';
import { type Block, planReads } from './plan.ts';
import type { ModbusTransport } from './transport.ts';

export type PolledDeviceDeps = {
  readonly id: DeviceId;
  readonly config: ModbusDevice;
  /** What is wrong with properties that are left out, as `spec.path: fault`. */
  readonly configFaults: readonly string[];
  readonly bus: Bus<ModbusTransport>;
  readonly manager: DeviceManager;
  readonly clock: Clock;
  readonly random: () => number;
};

type Group = { readonly cycle: Cycle; readonly points: readonly Point[] };

/** While a device is away, one cheap read tries it again in these waits. */
const QUARANTINE = { first: seconds(1), factor: 2, cap: seconds(15), jitter: 0.2 };
/** Exceptions that a merged read gets because of one of its registers: illegal address, illegal value. */
const SPLITS = new Set([2, 3]);

/** One device under polling: its cycles, its pending writes, what is known of its health. */
export class PolledDevice {
  private readonly deps: PolledDeviceDeps;
  private readonly reporter = new Reporter();
  private readonly groups: Group[] = [];
  private readonly reportCycles: ReadonlyMap<string, Millis>;
  /** Desired values that have not been brought to the device. */
  private readonly wanted = new Map<string, string>();
  /** The last desired value of each property, so that each is written once. */
  private readonly applied = new Map<string, string>();
  private readonly lastRead = new Map<string, string>();
  /** Properties that are read on their own, because a merged read with them was refused. */
  private readonly apart = new Set<string>();
  /** Properties that cannot be read, and why. */
  private readonly faults = new Map<string, string>();
  private quarantine: Generator<Millis, never> | undefined;
  private nextTry = 0;
  /** In quarantine one turn at a time finds out whether it answers: each that fails costs the line a timeout. */
  private probing = false;
  private stopped = false;

  constructor(deps: PolledDeviceDeps) {
    this.deps = deps;
    const { points } = deps.config;
    this.reportCycles = new Map(points.map((p) => [p.property, p.reportCycle]));
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
      if (fault) refused.push({ property: name, desired: desired.value, fault });
      else this.wanted.set(name, desired.value);
    }
    if (refused.length > 0) this.deps.manager.reportWrites(this.deps.id, refused);
    if (this.wanted.size > 0) for (const group of this.groups) group.cycle.hurry();
  }

  stop(): void {
    this.stopped = true;
    for (const group of this.groups) group.cycle.stop();
  }

  private async turn(group: Group): Promise<void> {
    if (this.quarantine && (this.probing || this.deps.clock.monotonic() < this.nextTry)) return;
    this.probing = this.quarantine !== undefined;
    try {
      await this.bringDesired(group);
      const readings = await this.readAll(group);
      if (!this.stopped) this.report(readings);
    } catch (error) {
      if (!this.stopped) this.away(error);
    }
    this.probing = false;
  }

  /** Reads every block; a device in quarantine is asked for one block first, and the rest only when that answers. */
  private async readAll(group: Group): Promise<Reading[]> {
    const readings: Reading[] = [];
    for (const block of planReads(group.points, this.apart)) readings.push(...(await this.readBlock(block)));
    return readings;
  }

  private async readBlock(block: Block): Promise<Reading[]> {
    const { bus, config, clock } = this.deps;
    try {
      const raw = await bus.request('read', (t) => t.read(config.unit, block, config.timeout));
      const at = clock.now();
      return block.points.flatMap((point) => this.reading(point, slice(raw, block, point), at));
    } catch (error) {
      if (!(error instanceof WireError) || error.kind !== 'exception') throw error;
      if (block.points.length > 1 && SPLITS.has(error.code)) return this.readApart(block);
      for (const { property } of block.points) this.faults.set(property, error.message);
      return [];
    }
  }

  /** Finds out which point a merged read was refused for; that one is read on its own from now on. */
  private async readApart(block: Block): Promise<Reading[]> {
    const readings: Reading[] = [];
    for (const point of block.points) {
      const own = await this.readBlock({
        ...block,
        address: point.address,
        count: point.count,
        points: [point],
      });
      if (own.length === 0) this.apart.add(point.property);
      readings.push(...own);
    }
    // Nobody was at fault alone: a register between them is. From now on they are all read on their own.
    if (block.points.every((p) => !this.apart.has(p.property))) {
      for (const { property } of block.points) this.apart.add(property);
    }
    return readings;
  }

  private reading(point: Point, raw: Buffer, at: Millis): Reading[] {
    const value =
      point.area === 'coil' || point.area === 'discrete'
        ? String(raw[0] === 1)
        : decodeValue(raw, point.encoding);
    if (typeof value !== 'string') {
      this.faults.set(point.property, value.fault);
      return [];
    }
    this.faults.delete(point.property);
    this.lastRead.set(point.property, value);
    return [{ property: point.property, value, at }];
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
      if (result) this.deps.manager.reportWrites(this.deps.id, [result]);
    }
  }

  /** @returns the outcome; undefined when the device has the value already */
  private async writePoint(point: Point, desired: string): Promise<WriteResult | undefined> {
    const { property } = point;
    if (this.lastRead.get(property) === desired) return { property, desired };
    const outcome = await this.tryWrite(point, desired);
    if (outcome) return { property, desired, fault: outcome };
    const alone = { area: point.area, address: point.address, count: point.count, points: [point] };
    const [readBack] = await this.readBlock(alone);
    if (readBack) this.deps.manager.reportDeviceStatus(this.deps.id, [readBack]);
    if (readBack && !sameValue(readBack.value, desired)) {
      return { property, desired, fault: `the device took the write and reads back ${readBack.value}` };
    }
    return { property, desired };
  }

  /** @returns why the device does not take the value, or undefined; throws when it cannot be reached */
  private async tryWrite(point: Point, desired: string): Promise<string | undefined> {
    const { bus, config } = this.deps;
    if (point.area === 'discrete' || point.area === 'input')
      return `a ${point.area} register cannot be written`;
    const raw = await this.registersFor(point, desired);
    if ('fault' in raw) return raw.fault;
    try {
      await bus.request('write', (t) => t.write(config.unit, point, raw, config.timeout));
      return undefined;
    } catch (error) {
      if (error instanceof WireError && error.kind === 'exception') return error.message;
      throw error;
    }
  }

  private async registersFor(point: Point, desired: string): Promise<Buffer | { fault: string }> {
    if (point.area === 'coil') return Buffer.of(desired === 'true' ? 1 : 0);
    const encoded = encodeValue(desired, point.encoding, point.count);
    if ('fault' in encoded || point.encoding.format !== 'bool') return encoded;
    // A bit shares its register with others: they keep their values.
    const { bus, config } = this.deps;
    const block = { area: point.area, address: point.address, count: 1, points: [point] };
    const now = (await bus.request('read', (t) => t.read(config.unit, block, config.timeout))).readUInt16BE();
    const mask = 1 << point.encoding.bit;
    const next = Buffer.alloc(2);
    next.writeUInt16BE((now & ~mask) | encoded.readUInt16BE());
    return next;
  }
}

function byCycle(points: readonly Point[]): Map<Millis, Point[]> {
  const groups = new Map<Millis, Point[]>();
  for (const point of points) groups.set(point.cycle, [...(groups.get(point.cycle) ?? []), point]);
  return groups;
}

function slice(raw: Buffer, block: Block, point: Point): Buffer {
  const at = point.address - block.address;
  const bits = point.area === 'coil' || point.area === 'discrete';
  return bits ? raw.subarray(at, at + 1) : raw.subarray(at * 2, (at + point.count) * 2);
}

/** `21.5` and `21.50` are the same setting, and a float32 holds seven digits of it. */
function sameValue(read: string, desired: string): boolean {
  if (read === desired) return true;
  const [a, b] = [Number(read), Number(desired)];
  return desired.trim() !== '' && Number.isFinite(a) && Math.abs(a - b) <= Math.abs(b) * 1e-6;
}
