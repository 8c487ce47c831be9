import { setTimeout as sleep } from 'node:timers/promises';
import { Plc } from '../../hw-tests/plc/plc.ts';
import { RtuSlaves } from '../../hw-tests/plc/rtu-slaves.ts';
import { Line } from '../../hw-tests/serial/line.ts';
import { DriverMapper } from '../../mappers/kit/mapper.ts';
import { modbusDriver } from '../../mappers/modbus/modbus.ts';
import { systemClock } from '../../runtime/core/clock.ts';
import type { Device, DeviceModel, DeviceState } from '../../runtime/core/devices.ts';
import type { DeviceManager } from '../../runtime/core/dmi.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { Metrics } from '../../runtime/core/metrics.ts';
import type { BenchOptions } from './bench.ts';
import { type Figure, figure } from './figure.ts';
import { benchFleet } from './modbus-fleet.ts';

const BAUD = 19_200;
/** Bits of a byte, and of the silences before and behind an answer. */
const BITS = 10;
const SILENCES = 2 * 38.5;
const PLACES = 4000;

/** Modbus: how few requests, how near the limit of a serial line, what a dead device costs the others, and what a fleet of
 * devices costs the machine. */
export async function* benchModbus({ seconds = 40 }: BenchOptions): AsyncGenerator<Figure> {
  yield* merging(Math.min(seconds, 10));
  yield* slowLine(Math.min(seconds, 15));
  yield* deadDevice(seconds);
  yield* benchFleet(seconds);
}

/** Counts the turns of every device: each ends with its state. */
class TurnCounter implements DeviceManager {
  readonly turns = new Map<string, number>();
  readonly states = new Map<string, DeviceState>();
  reportDeviceStatus(): void {}
  reportWrites(): void {}

  reportDeviceState(id: string, state: DeviceState): void {
    this.turns.set(id, (this.turns.get(id) ?? 0) + 1);
    this.states.set(id, state);
  }

  of(id: string): number {
    return this.turns.get(id) ?? 0;
  }
}

function newMapper(manager: DeviceManager): DriverMapper {
  const deps = { clock: systemClock, log: silentLogger, metrics: new Metrics(), random: Math.random };
  return new DriverMapper({ ...deps, driver: modbusDriver, manager });
}

/** A device with one holding register for each address. */
function deviceOf(
  name: string,
  configData: object,
  addresses: readonly number[],
  cycle: number,
): [Device, DeviceModel] {
  const names = addresses.map((address) => `p${address}`);
  const model: DeviceModel = {
    metadata: { name: 'points' },
    spec: {
      properties: names.map((property) => ({
        name: property,
        type: 'INT' as const,
        accessMode: 'ReadOnly' as const,
      })),
    },
  };
  const properties = addresses.map((address, i) => ({
    name: names[i] ?? '',
    collectCycle: cycle,
    visitors: { configData: { register: 'holding', address, type: 'uint16' } },
  }));
  const protocol = { protocolName: 'modbus', configData: { ...configData } };
  return [{ metadata: { name, namespace: 'default' }, spec: { protocol, properties } }, model];
}

/** Addresses in blocks of equal size with a gap between them. */
function blocks(count: number, size: number, gap: number): number[] {
  return Array.from({ length: count * size }, (_, i) => Math.floor(i / size) * (size + gap) + (i % size));
}

async function online(manager: TurnCounter, id: string): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (manager.states.get(id) === 'online') return;
    await sleep(50);
  }
  throw new Error(`${id} is ${manager.states.get(id) ?? 'unknown'}, not online`);
}

async function* merging(seconds: number): AsyncGenerator<Figure> {
  const plc = new Plc({ moves: false, places: PLACES });
  const port = await plc.start('127.0.0.1', 0);
  const manager = new TurnCounter();
  const mapper = newMapper(manager);
  try {
    const addresses = blocks(12, 84, 100).slice(0, 1000);
    mapper.applyDevice(...deviceOf('plc', { host: '127.0.0.1', port }, addresses, 1000));
    await online(manager, 'default/plc');
    const [requests, turns] = [plc.requests, manager.of('default/plc')];
    await sleep(seconds * 1000);
    const place = {
      bench: 'modbus',
      scenario: '1000-registers-12-blocks-tcp',
      figure: 'requests_per_cycle',
      unit: '',
    };
    yield figure(place, (plc.requests - requests) / (manager.of('default/plc') - turns), { most: 12 });
  } finally {
    await mapper.stop();
    await plc.stop();
  }
}

async function* slowLine(seconds: number): AsyncGenerator<Figure> {
  const addresses = blocks(10, 20, 30);
  const merged = await lineCycle(addresses, {}, seconds);
  const single = await lineCycle(addresses, { maxGap: 0, maxRegisters: 1 }, seconds);
  const limit = airtime(10, 20);
  const place = (name: string, unit: string) => ({
    bench: 'modbus',
    scenario: '200-points-rtu-19200',
    figure: name,
    unit,
  });
  yield figure(place('cycle_over_limit_ratio', ''), merged / limit, { most: 1.15 });
  yield figure(place('cycle_ms', 'ms'), merged);
  yield figure(place('one_request_per_property_ms', 'ms'), single);
}

/** What the line needs for reads, in ms. */
function airtime(requests: number, registers: number): number {
  const bits = (8 + 5 + registers * 2) * BITS + SILENCES;
  return (requests * bits * 1000) / BAUD;
}

/** @returns ms that reading all points takes, when it is done without a pause */
async function lineCycle(addresses: readonly number[], config: object, seconds: number): Promise<number> {
  const line = new Line();
  const slaves = new RtuSlaves([1], { pace: BAUD, places: PLACES });
  const manager = new TurnCounter();
  const mapper = newMapper(manager);
  try {
    await line.connect();
    await slaves.open(line.slaves, BAUD);
    const configData = { serialPort: line.master, baudRate: BAUD, unitId: 1, ...config };
    mapper.applyDevice(...deviceOf('plc', configData, addresses, 50));
    await online(manager, 'default/plc');
    const [start, turns] = [performance.now(), manager.of('default/plc')];
    await sleep(seconds * 1000);
    // To the end of a turn, so that a whole number of them is measured.
    const last = manager.of('default/plc');
    while (manager.of('default/plc') === last) await sleep(1);
    return (performance.now() - start) / (manager.of('default/plc') - turns);
  } finally {
    await mapper.stop();
    await slaves.close();
    await line.remove();
  }
}

const UNITS = 32;
const FOUND_OUT = 5000;

/** Two lines at the same time, one with all alive, so that what else the machine does lengthens both. */
async function* deadDevice(seconds: number): AsyncGenerator<Figure> {
  const [alive, beside] = await Promise.all([unitCycle(false, seconds), unitCycle(true, seconds)]);
  const place = (name: string, unit: string) => ({
    bench: 'modbus',
    scenario: 'one-dead-of-32-rtu-19200',
    figure: name,
    unit,
  });
  yield figure(place('cycle_longer_percent', '%'), (beside / alive - 1) * 100, { most: 5 });
  yield figure(place('cycle_ms', 'ms'), beside);
}

/** @returns ms between two turns of a device that lives, on average */
async function unitCycle(hasDead: boolean, seconds: number): Promise<number> {
  const line = new Line();
  const units = Array.from({ length: UNITS }, (_, i) => i + 1);
  const slaves = new RtuSlaves(units, { pace: BAUD });
  const manager = new TurnCounter();
  const mapper = newMapper(manager);
  try {
    await line.connect();
    await slaves.open(line.slaves, BAUD);
    for (const unitId of units.slice(hasDead ? 0 : 1)) {
      const configData = { serialPort: line.master, baudRate: BAUD, unitId };
      mapper.applyDevice(...deviceOf(`u${unitId}`, configData, blocks(1, 20, 0), 50));
    }
    slaves.slave(1).fault = 'silent';
    for (const unit of units.slice(1)) await online(manager, `default/u${unit}`);
    // It has been found out, and is asked now and then.
    await sleep(FOUND_OUT);
    const living = (): number =>
      units.slice(1).reduce((sum, unit) => sum + manager.of(`default/u${unit}`), 0);
    const [start, turns] = [performance.now(), living()];
    await sleep(seconds * 1000);
    return ((performance.now() - start) * (UNITS - 1)) / (living() - turns);
  } finally {
    await mapper.stop();
    await slaves.close();
    await line.remove();
  }
}
