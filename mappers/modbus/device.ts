import { decodeValue, encodeValue } from '../kit/convert.ts';
import type { DriverDevice, Exchange, Value } from '../kit/driver.ts';
import { WireError } from '../kit/wire-error.ts';
import type { Area, ModbusConfig, Point } from './config.ts';
import { type Block, planReads } from './plan.ts';
import { addressOf, type ModbusConnection, openModbus, settingsOf } from './transport.ts';

/** Exceptions that a merged read gets because of one of its registers: illegal address, illegal value. */
const SPLITS = new Set([2, 3]);

/** One Modbus unit: cuts its points into few reads, and keeps one bad register from spoiling its neighbours. */
export class ModbusDevice implements DriverDevice<ModbusConnection> {
  readonly bus: string;
  readonly busSettings: string;
  readonly shape: string;
  readonly points: readonly Point[];
  private readonly config: ModbusConfig;
  /** Properties that are read on their own, because a merged read with them was refused. */
  private readonly apart = new Set<string>();
  private plans = new WeakMap<readonly Point[], readonly Exchange<ModbusConnection>[]>();

  constructor(config: ModbusConfig) {
    this.config = config;
    this.points = config.points;
    this.bus = addressOf(config.endpoint);
    this.busSettings = settingsOf(config.endpoint);
    this.shape = JSON.stringify(config);
  }

  connect(): Promise<ModbusConnection> {
    return openModbus(this.config.endpoint);
  }

  plan(due: readonly Point[]): readonly Exchange<ModbusConnection>[] {
    const known = this.plans.get(due);
    if (known) return known;
    const exchanges = planReads(due, this.apart).map((block) => ({
      points: block.points,
      run: (connection: ModbusConnection) => this.read(connection, block),
    }));
    this.plans.set(due, exchanges);
    return exchanges;
  }

  async write(connection: ModbusConnection, point: Point, value: string): Promise<void> {
    const { unit, timeout } = this.config;
    await connection.write(unit, point, await this.registersFor(connection, point, value), timeout);
  }

  private async read(connection: ModbusConnection, block: Block): Promise<Value[]> {
    const { unit, timeout } = this.config;
    try {
      const raw = await connection.read(unit, block, timeout);
      return block.points.map((point) => readingOf(point, slice(raw, block, point)));
    } catch (error) {
      if (!(error instanceof WireError) || error.kind !== 'exception') throw error;
      if (block.points.length > 1 && SPLITS.has(error.code)) return this.readApart(connection, block);
      return block.points.map(({ property }) => ({ property, fault: error.message }));
    }
  }

  /** Finds out which point a merged read was refused for; that one is read on its own from now on. */
  private async readApart(connection: ModbusConnection, block: Block): Promise<Value[]> {
    const values: Value[] = [];
    const before = this.apart.size;
    for (const point of block.points) {
      const { address, count } = point;
      const own = await this.read(connection, { ...block, address, count, points: [point] });
      if (own.some((value) => 'fault' in value)) this.apart.add(point.property);
      values.push(...own);
    }
    // Nobody was at fault alone: a register between them is. From now on they are all read on their own.
    if (this.apart.size === before) for (const { property } of block.points) this.apart.add(property);
    this.plans = new WeakMap();
    return values;
  }

  private async registersFor(connection: ModbusConnection, point: Point, value: string): Promise<Buffer> {
    if (point.area === 'coil') return Buffer.of(value === 'true' ? 1 : 0);
    const encoded = encodeValue(value, point.encoding, point.count);
    if ('fault' in encoded) throw new WireError('refused', encoded.fault);
    if (point.encoding.format !== 'bool') return encoded;
    // A bit shares its register with others: they keep their values.
    const { unit, timeout } = this.config;
    const block = { area: point.area, address: point.address, count: 1, points: [point] };
    const now = (await connection.read(unit, block, timeout)).readUInt16BE();
    const mask = 1 << point.encoding.bit;
    const next = Buffer.alloc(2);
    next.writeUInt16BE((now & ~mask) | encoded.readUInt16BE());
    return next;
  }
}

/** True for areas of single bits. */
function isBits(area: Area): boolean {
  return area === 'coil' || area === 'discrete';
}

function readingOf(point: Point, raw: Buffer): Value {
  const { property } = point;
  const value = isBits(point.area) ? String(raw[0] === 1) : decodeValue(raw, point.encoding);
  return typeof value === 'string' ? { property, value } : { property, fault: value.fault };
}

function slice(raw: Buffer, block: Block, point: Point): Buffer {
  const at = point.address - block.address;
  return isBits(point.area) ? raw.subarray(at, at + 1) : raw.subarray(at * 2, (at + point.count) * 2);
}
