import { createHash } from 'node:crypto';
import { decodeValue } from '../kit/convert.ts';
import type { DriverDevice, Exchange, Value } from '../kit/driver.ts';
import { WireError } from '../kit/wire-error.ts';
import type { ModbusConfig } from './config.ts';
import { addressOf, settingsOf } from './config-endpoint.ts';
import type { Area, Point } from './config-points.ts';
import { type ModbusConnection, openModbus, type Slave } from './connection.ts';
import { type Block, type Hole, halve, type Knowledge, planReads, worthwhileGap } from './plan.ts';
import { Writer } from './writer.ts';

const ILLEGAL_VALUE = 3;
/** Exceptions that a merged read gets because of its length or of one of its registers: illegal address, value. */
const SPLITS = new Set([2, ILLEGAL_VALUE]);
/** What is worth asking again at once: a damaged or a lost frame. */
const REPEATS = new Set<WireError['kind']>(['timeout', 'noise']);
/** A property that was refused on its own is asked for in one of so many cycles. */
const REFUSED_TURNS = 10;

/** One Modbus unit: cuts its points into few reads, learns how long they may be and what they must not touch, and keeps one
 * bad register from spoiling its neighbours. */
export class ModbusDevice implements DriverDevice<ModbusConnection> {
  readonly bus: string;
  readonly busSettings: string;
  readonly shape: string;
  readonly points: readonly Point[];
  private readonly config: ModbusConfig;
  private readonly slave: Slave;
  /** Made for the first write: many devices are only read. */
  private writer: Writer | undefined;
  private readonly most: Record<Area, number>;
  private readonly gap: Readonly<Record<Area, number>>;
  private readonly holes: Hole[] = [];
  /** Properties that were refused on their own, how, and how many turns ago. */
  private readonly refused = new Map<string, { readonly fault: string; turns: number }>();
  private readonly last = new WeakMap<Block, { readonly raw: Buffer; readonly values: Value[] }>();
  private plans = new WeakMap<readonly Point[], readonly Exchange<ModbusConnection>[]>();

  constructor(config: ModbusConfig) {
    const { endpoint, unit, timeout, delay, maxRegisters, maxCoils } = config;
    this.config = config;
    this.points = config.points;
    this.bus = addressOf(endpoint);
    this.busSettings = settingsOf(endpoint);
    // A digest: of a hundred points the text alone weighs 30 KB.
    this.shape = createHash('sha1').update(JSON.stringify(config)).digest('base64');
    this.slave = { unit, timeout, delay };
    const gap = config.maxGap ?? worthwhileGap(endpoint, delay);
    const bits = config.maxGap ?? gap * 16;
    this.most = byArea({ bits: maxCoils, registers: maxRegisters });
    this.gap = byArea({ bits, registers: gap });
  }

  connect(): Promise<ModbusConnection> {
    return openModbus(this.config.endpoint);
  }

  plan(due: readonly Point[]): readonly Exchange<ModbusConnection>[] {
    const known = this.plans.get(due);
    if (known) return known;
    const exchanges = planReads(due, this.knowledge).map((block) => ({
      points: block.points,
      run: (connection: ModbusConnection) => this.run(connection, block),
    }));
    this.plans.set(due, exchanges);
    return exchanges;
  }

  async write(connection: ModbusConnection, point: Point, value: string): Promise<void> {
    // A write whose answer was lost may have been heard, and writing the same again does no harm.
    const writer = this.writer ?? new Writer(this.config, this.slave);
    this.writer = writer;
    await this.patiently(() => writer.write(connection, point, value));
  }

  /** One point without repeats: what is away is asked as cheaply as can be. */
  async probe(connection: ModbusConnection): Promise<void> {
    const first = this.points.find(({ area }) => area !== 'identification');
    const { area, address, count } = first ?? { area: 'holding' as const, address: 0, count: 1 };
    if (area !== 'identification') await connection.read(this.slave, { area, address, count });
  }

  private get knowledge(): Knowledge {
    return { most: this.most, gap: this.gap, holes: this.holes, apart: new Set(this.refused.keys()) };
  }

  private async run(connection: ModbusConnection, block: Block): Promise<readonly Value[]> {
    const [only] = block.points;
    const refusal = only && this.refused.get(only.property);
    if (!only || !refusal) return this.read(connection, block);
    if (++refusal.turns < REFUSED_TURNS) return [{ property: only.property, fault: refusal.fault }];
    const values = await this.read(connection, block);
    if (values.every((value) => 'value' in value)) this.acquit(only);
    return values;
  }

  private async read(connection: ModbusConnection, block: Block): Promise<readonly Value[]> {
    try {
      if (block.area === 'identification') return await this.identify(connection, block);
      const range = { area: block.area, address: block.address, count: block.count };
      const raw = await this.patiently(() => connection.read(this.slave, range));
      return this.decode(block, raw);
    } catch (error) {
      if (!(error instanceof WireError) || error.kind !== 'exception') throw error;
      const cut = SPLITS.has(error.code) ? halve(block) : undefined;
      if (cut) return this.readHalves(connection, block, cut, error.code);
      const [only] = block.points;
      if (only && block.points.length === 1 && SPLITS.has(error.code)) this.convict(only, error.message);
      return block.points.map(({ property }) => ({ property, fault: error.message }));
    }
  }

  /** Makes values of what came. Most registers are as they were: their values are the objects of the last time, in the same
   * array, so that a steady plant makes no garbage. */
  private decode(block: Block, raw: Buffer): readonly Value[] {
    const last = this.last.get(block);
    if (last?.raw.length !== raw.length) {
      const values = block.points.map((point) => readingOf(block, point, raw));
      // A copy of its own: a view would keep the larger piece of memory that the answer came in.
      const kept = Buffer.alloc(raw.length);
      raw.copy(kept);
      this.last.set(block, { raw: kept, values });
      return values;
    }
    if (last.raw.equals(raw)) return last.values;
    for (let i = 0; i < block.points.length; i++) {
      const point = block.points[i] as Point;
      if (differAt(last.raw, raw, beginOf(block, point), sizeOf(point)))
        last.values[i] = readingOf(block, point, raw);
    }
    raw.copy(last.raw);
    return last.values;
  }

  /** A read of several points was refused: for its length, for one of them, or for what lies between them. */
  private async readHalves(
    connection: ModbusConnection,
    block: Block,
    { halves, between }: NonNullable<ReturnType<typeof halve>>,
    code: number,
  ): Promise<Value[]> {
    const values: Value[] = [];
    const holes = this.holes.length;
    for (const half of halves) values.push(...(await this.read(connection, half)));
    this.plans = new WeakMap();
    if (this.holes.length > holes || values.some((value) => 'fault' in value)) return values;
    // Both halves are good: it was too long, or what is between them is not there.
    if (between && code !== ILLEGAL_VALUE) this.holes.push(between);
    else
      this.most[block.area] = Math.min(this.most[block.area], Math.max(...halves.map(({ count }) => count)));
    return values;
  }

  private convict(point: Point, fault: string): void {
    const known = this.refused.get(point.property);
    this.refused.set(point.property, { fault, turns: 0 });
    if (known) return;
    this.holes.push({ area: point.area, from: point.address, to: point.address + point.count });
    this.plans = new WeakMap();
  }

  private acquit({ property, area, address }: Point): void {
    this.refused.delete(property);
    const at = this.holes.findIndex((hole) => hole.area === area && hole.from === address);
    if (at >= 0) this.holes.splice(at, 1);
    this.plans = new WeakMap();
  }

  private async identify(connection: ModbusConnection, block: Block): Promise<Value[]> {
    const last = block.address + block.count - 1;
    const category = last >= 0x80 ? 3 : last > 2 ? 2 : 1;
    const texts = await this.patiently(() => connection.identify(this.slave, category));
    return block.points.map(({ property, address }) => {
      const value = texts.get(address);
      return value === undefined
        ? { property, fault: `the device has no object ${address}` }
        : { property, value };
    });
  }

  /** Repeats what was damaged or lost on the way. */
  private async patiently<T>(request: () => Promise<T>): Promise<T> {
    for (let left = this.config.retries; ; left--) {
      try {
        return await request();
      } catch (error) {
        if (left <= 0 || !(error instanceof WireError) || !REPEATS.has(error.kind)) throw error;
      }
    }
  }
}

function byArea({ bits, registers }: { bits: number; registers: number }): Record<Area, number> {
  return { coil: bits, discrete: bits, input: registers, holding: registers, identification: 256 };
}

/** True for areas of single bits. */
function isBits(area: Area): boolean {
  return area === 'coil' || area === 'discrete';
}

function readingOf(block: Block, point: Point, raw: Buffer): Value {
  const { property } = point;
  const from = beginOf(block, point);
  const bytes = raw.subarray(from, from + sizeOf(point));
  const value = isBits(point.area) ? bitText(point, bytes[0] === 1) : decodeValue(bytes, point.encoding);
  return typeof value === 'string' ? { property, value } : { property, fault: value.fault };
}

/** A bit whose model is a number is 0 or 1. */
function bitText({ encoding }: Point, on: boolean): string {
  return encoding.format === 'bool' ? String(on) : on ? '1' : '0';
}

/** Where a point's bytes begin in those of its block, and how many they are. */
function beginOf(block: Block, point: Point): number {
  const places = point.address - block.address;
  return isBits(point.area) ? places : places * 2;
}

function sizeOf({ area, count }: Point): number {
  return isBits(area) ? 1 : count * 2;
}

function differAt(a: Buffer, b: Buffer, from: number, size: number): boolean {
  for (let i = from; i < from + size; i++) if (a[i] !== b[i]) return true;
  return false;
}
