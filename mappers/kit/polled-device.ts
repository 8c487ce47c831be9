import type { Clock, Timer } from '../../runtime/core/clock.ts';
import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import type { DeviceManager, Reading, ReadingSink, WriteResult } from '../../runtime/core/dmi.ts';
import { errorText } from '../../runtime/core/errors.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { backoffDelays } from '../../runtime/core/retry.ts';
import { type DeviceId, type Millis, millis, seconds } from '../../runtime/core/units.ts';
import type { Bus } from './bus.ts';
import { Commands } from './commands.ts';
import { sameValue } from './convert.ts';
import { DesiredValues, unwritable } from './desired.ts';
import type { Connection, DriverDevice, DriverPoint, Exchange, Value } from './driver.ts';
import { type PushCycles, PushGate } from './push-gate.ts';
import { Reporter } from './report.ts';
import type { ReportRules } from './report-rules.ts';
import { type Lag, Schedule } from './schedule.ts';
import { WireError } from './wire-error.ts';

export type PolledDeviceDeps = {
  readonly id: DeviceId;
  readonly device: DriverDevice;
  /** What is wrong with properties that are left out, as `spec.path: fault`. */
  readonly configFaults: readonly string[];
  readonly reportRules: ReportRules;
  readonly pushCycles?: PushCycles;
  readonly sink?: ReadingSink;
  readonly bus: Bus;
  readonly manager: DeviceManager;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
};

/** While a device is away, one cheap question tries it again in these waits. */
const QUARANTINE = { first: seconds(1), factor: 2, cap: seconds(15), jitter: 0.2 };
/** All devices of a bus that are away may together cost the others a fiftieth of its time: the wait after a question
 * without answer, in times of what it took. */
const COST = 50;
/** However many are away, one that is back is noticed. */
const LONGEST_WAIT = seconds(60);
/** What a device says no to leaves it online. */
const REFUSALS = new Set<WireError['kind']>(['exception', 'refused']);
/** The first reading comes within this time, so that many devices do not begin at once. */
const FIRST = 200;
/** Turns of devices with the same cycle are spread over so much of it. */
const SPREAD = seconds(1);
/** A lag is told anew when it has changed by a quarter. */
const LAG_STEP = 1.25;
/** What is known of properties that can be written where there are none: an empty map for each device is much for many. */
const NOTHING = new Map<string, string | undefined>();

/** One device under polling: its turns, its pending writes, what is known of its health. One turn at a time, and in it one
 * request at a time, so that the devices of a bus get the same share of it. */
export class PolledDevice {
  private readonly deps: PolledDeviceDeps;
  private readonly reporter: Reporter;
  /** Absent when nothing is pushed. */
  private readonly gate: PushGate | undefined;
  private readonly desired: DesiredValues;
  private readonly commands = new Commands();
  private readonly schedule: Schedule;
  /** Of properties that can be written. */
  private readonly lastRead: Map<string, string | undefined>;
  /** Properties that cannot be read, and why. */
  private readonly faults = new Map<string, string>();
  private readonly unwatch: () => void;
  private timer: Timer | undefined;
  private busy = false;
  /** When the next turn is due, or the one under way has begun, monotonic. */
  private turnAt = Number.POSITIVE_INFINITY;
  private stopped = false;
  private quarantine: Generator<Millis, never> | undefined;
  private nextTry = 0;
  /** Why it is away. */
  private awayReason = '';
  /** How long the bus was kept by the last request that failed. */
  private cost = 0;
  private toldLag: Lag | undefined;

  constructor(deps: PolledDeviceDeps) {
    this.deps = deps;
    const { points } = deps.device;
    const now = deps.clock.monotonic();
    const shortest = Math.min(SPREAD, ...points.map((p) => p.cycle));
    const first = millis(now + deps.random() * Math.min(FIRST, shortest));
    this.schedule = new Schedule(points, first, millis(now + deps.random() * shortest));
    this.desired = new DesiredValues(points);
    this.reporter = new Reporter(points, deps.reportRules);
    const { pushCycles, sink } = deps;
    this.gate = sink && pushCycles && pushCycles.size > 0 ? new PushGate(pushCycles) : undefined;
    const writable = points.filter((point) => point.writable);
    this.lastRead =
      writable.length > 0 ? new Map(writable.map(({ property }) => [property, undefined])) : NOTHING;
    deps.bus.members.add(this);
    this.unwatch = this.hear();
    this.arm();
  }

  /** The cycle that is not kept, when one is not. */
  get lag(): Lag | undefined {
    return this.schedule.lag;
  }

  /** Ms since when a turn is due or under way and nothing moves on its bus either; 0 while it gets on. */
  get stalledFor(): number {
    if (this.stopped) return 0;
    return Math.max(0, this.deps.clock.monotonic() - Math.max(this.turnAt, this.deps.bus.lastMove));
  }

  /** Takes the desired values of the Device; one that is new or changed is written at once. */
  desire(device: Device, model: DeviceModel): void {
    const refused = this.desired.take(device, model);
    if (refused.length > 0) this.deps.manager.reportWrites(this.deps.id, refused);
    if (!this.desired.isEmpty) this.arm();
  }

  /** Brings a value to the device at once; one that is away is not waited for.
   * @returns why it does not have it; undefined when it has */
  write(property: string, value: string): Promise<string | undefined> {
    const point = this.deps.device.points.find((p) => p.property === property);
    const fault = this.quarantine ? `it is offline: ${this.awayReason}` : unwritable(point);
    if (fault !== undefined || !point) return Promise.resolve(fault);
    const written = this.commands.add(point, value);
    this.arm();
    return written;
  }

  stop(): void {
    this.stopped = true;
    this.commands.fail('it was changed or removed meanwhile');
    this.timer?.cancel();
    this.unwatch();
    this.deps.bus.members.delete(this);
    this.deps.bus.away.delete(this);
  }

  /** A device that speaks unasked is heard on every connection, and is away as soon as that is lost. */
  private hear(): () => void {
    const { device, bus } = this.deps;
    if (!device.listen) return () => {};
    return bus.watch({
      opened: (connection) => device.listen?.(connection, (values) => this.heard(values)),
      lost: (error) => {
        this.away(error);
        this.arm();
      },
    });
  }

  private heard(values: readonly Value[]): void {
    if (!this.stopped) this.report(this.note(values));
  }

  private arm(): void {
    if (this.stopped || this.busy) return;
    this.timer?.cancel();
    const now = this.deps.clock.monotonic();
    const due = this.desired.isEmpty && this.commands.isEmpty ? this.schedule.next : now;
    const at = this.quarantine ? this.nextTry : due;
    this.turnAt = Math.max(at, now);
    if (at === Number.POSITIVE_INFINITY) return;
    this.timer = this.deps.clock.after(millis(Math.max(0, at - now)), () => void this.turn());
  }

  private async turn(): Promise<void> {
    this.busy = true;
    this.turnAt = this.deps.clock.monotonic();
    const readings: Reading[] = [];
    try {
      // Most turns need nothing but the last.
      if (this.deps.device.listen || this.quarantine) await this.contact();
      if (!this.desired.isEmpty) await this.bringDesired();
      if (!this.commands.isEmpty) await this.bringCommands();
      await this.readDue(readings);
      if (!this.stopped) this.report(readings);
    } catch (error) {
      if (!this.stopped) this.away(error, readings);
    } finally {
      this.busy = false;
      this.arm();
    }
  }

  /** Finds out cheaply whether a device in quarantine is there again; opens the bus of one that only speaks. */
  private async contact(): Promise<void> {
    const { device, clock } = this.deps;
    if (device.listen) await this.ask('read', async () => {});
    if (!this.quarantine) return;
    // After an absence everything is read and said again.
    this.schedule.restart(clock.monotonic());
    this.reporter.reset();
    if (device.probe) await this.ask('read', async (c) => device.probe?.(c)).catch(passRefusal);
  }

  /** Reads what is due. A device that answers part of it is there: what came damaged is a fault of its properties.
   * @param readings takes the values */
  private async readDue(readings: Reading[]): Promise<void> {
    const points = this.schedule.take(this.deps.clock.monotonic());
    let noise: unknown;
    let answered = false;
    for (const exchange of points.length > 0 ? this.deps.device.plan(points) : []) {
      if (this.stopped) return;
      try {
        readings.push(...this.note(await this.read(exchange)));
        answered = true;
      } catch (error) {
        if (!(error instanceof WireError) || error.kind !== 'noise') throw error;
        noise = error;
        this.note(faultsOf(exchange, error));
      }
    }
    if (noise !== undefined && !answered) throw noise;
  }

  private async read(exchange: Exchange): Promise<readonly Value[]> {
    try {
      return await this.ask('read', (connection) => exchange.run(connection));
    } catch (error) {
      passRefusal(error);
      return faultsOf(exchange, error);
    }
  }

  private async ask<R>(kind: 'read' | 'write', exchange: (connection: Connection) => Promise<R>): Promise<R> {
    const { bus, clock } = this.deps;
    let began: number | undefined;
    try {
      return await bus.request(kind, (connection) => {
        began = clock.monotonic();
        return exchange(connection);
      });
    } catch (error) {
      this.cost = began === undefined ? 0 : clock.monotonic() - began;
      throw error;
    }
  }

  /** Takes values as they come.
   * @returns those that are due to be reported */
  private note(values: readonly Value[]): Reading[] {
    const { clock, id, sink } = this.deps;
    const [at, now] = [clock.now(), clock.monotonic()];
    const due: Reading[] = [];
    const pushed: Reading[] = [];
    for (const value of values) {
      const { property } = value;
      if ('fault' in value) {
        this.faults.set(property, value.fault);
        continue;
      }
      this.faults.delete(property);
      if (this.lastRead.has(property)) this.lastRead.set(property, value.value);
      if (this.gate?.take(property, now)) pushed.push({ property, value: value.value, at });
      if (this.reporter.take(value, now)) due.push({ property, value: value.value, at });
    }
    if (pushed.length > 0) sink?.push(id, pushed);
    return due;
  }

  private report(readings: readonly Reading[]): void {
    const { manager, id, configFaults, bus } = this.deps;
    this.quarantine = undefined;
    bus.away.delete(this);
    if (readings.length > 0) manager.reportDeviceStatus(id, readings);
    const lag = this.lagText();
    if (configFaults.length + this.faults.size === 0) return manager.reportDeviceState(id, 'online', lag);
    const faults = [...this.faults].map(([property, fault]) => `${property}: ${fault}`);
    manager.reportDeviceState(
      id,
      'unhealthy',
      [...configFaults, ...faults, ...(lag ? [lag] : [])].join('; '),
    );
  }

  /** Says that a cycle is not kept: once in the log, and in the state with a figure that does not flicker. */
  private lagText(): string | undefined {
    const { lag } = this.schedule;
    const told = this.toldLag;
    const ratio = lag && told?.asked === lag.asked ? lag.achieved / told.achieved : Number.POSITIVE_INFINITY;
    if (!lag) this.toldLag = undefined;
    else if (ratio > LAG_STEP || ratio < 1 / LAG_STEP) this.toldLag = lag;
    if (!this.toldLag) return undefined;
    const { asked, achieved } = this.toldLag;
    if (!told) this.deps.log.warn('a cycle cannot be kept', { device: this.deps.id, asked, achieved });
    return `a cycle of ${asked} ms cannot be kept: ${achieved} ms are achieved`;
  }

  /** @param readings what came before it went away */
  private away(error: unknown, readings: readonly Reading[] = []): void {
    const { clock, manager, id, random, bus } = this.deps;
    if (readings.length > 0) manager.reportDeviceStatus(id, readings);
    bus.away.add(this);
    // A question without answer keeps the bus from the others for a whole timeout. The first time it was no cheap one.
    const isShared = bus.members.size > 1 && this.quarantine !== undefined;
    const share = isShared ? Math.min(this.cost * COST * bus.away.size, LONGEST_WAIT) : 0;
    this.quarantine ??= backoffDelays(QUARANTINE, random);
    const wait = this.quarantine.next().value;
    this.nextTry = clock.monotonic() + Math.max(wait, share);
    this.awayReason = errorText(error);
    this.commands.fail(`it is offline: ${this.awayReason}`);
    manager.reportDeviceState(id, 'offline', this.awayReason);
  }

  /** Writes what is wanted, before anything is read, and reads it back. */
  private async bringDesired(): Promise<void> {
    for (const { point, value } of this.desired.pending()) {
      const { property } = point;
      const has = this.lastRead.get(property) === value;
      const result = has ? { property, desired: value } : await this.writePoint(point, value);
      this.desired.done(property, value);
      this.deps.manager.reportWrites(this.deps.id, [result]);
    }
  }

  /** Writes what somebody waits for, also what the device has already: a button may be pressed twice. */
  private async bringCommands(): Promise<void> {
    for (let command = this.commands.next(); command; command = this.commands.next()) {
      const { point, value, done } = command;
      try {
        done((await this.writePoint(point, value)).fault);
      } catch (error) {
        done(`it is offline: ${errorText(error)}`);
        throw error;
      }
    }
  }

  private async writePoint(point: DriverPoint, desired: string): Promise<WriteResult> {
    const { device } = this.deps;
    const { property } = point;
    try {
      await this.ask('write', (connection) => device.write(connection, point, desired));
    } catch (error) {
      passRefusal(error);
      return { property, desired, fault: errorText(error) };
    }
    const readBack = await this.readBack(point);
    if (readBack && !sameValue(readBack.value, desired)) {
      return { property, desired, fault: `the device took the write and reads back ${readBack.value}` };
    }
    return { property, desired };
  }

  private async readBack(point: DriverPoint): Promise<{ value: string } | undefined> {
    const { device, manager, clock, id } = this.deps;
    for (const exchange of device.plan([point])) {
      const values = await this.read(exchange);
      this.note(values);
      const found = values.find(({ property }) => property === point.property);
      if (!found || 'fault' in found) continue;
      const { property, value } = found;
      this.reporter.said([found], clock.monotonic());
      manager.reportDeviceStatus(id, [{ property, value, at: clock.now() }]);
      return found;
    }
    return undefined;
  }
}

function faultsOf({ points }: Exchange, error: unknown): Value[] {
  const fault = errorText(error);
  return points.map(({ property }) => ({ property, fault }));
}

/** @throws the error, unless it is a refusal */
function passRefusal(error: unknown): void {
  if (!(error instanceof WireError) || !REFUSALS.has(error.kind)) throw error;
}
