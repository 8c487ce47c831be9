import type { Device, DeviceModel, DeviceProperty, ModelProperty } from '../../runtime/core/devices.ts';
import { isRecord } from '../../runtime/core/message.ts';
import { type Millis, millis } from '../../runtime/core/units.ts';
import { type ByteOrder, type Encoding, type Format, registersOf } from '../kit/convert.ts';
import type { DriverPoint } from '../kit/driver.ts';

export type Area = 'coil' | 'discrete' | 'input' | 'holding';

/** Where a device is reached. */
export type Endpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | {
      readonly kind: 'rtu';
      readonly path: string;
      readonly baudRate: number;
      readonly dataBits: 7 | 8;
      readonly parity: 'none' | 'even' | 'odd';
      readonly stopBits: 1 | 2;
    };

/** One property as it lies in the device. */
export type Point = DriverPoint & {
  readonly area: Area;
  readonly address: number;
  /** Registers, or coils. */
  readonly count: number;
  readonly encoding: Encoding;
};

export type ModbusConfig = {
  readonly endpoint: Endpoint;
  readonly unit: number;
  readonly timeout: Millis;
  readonly points: readonly Point[];
};

/** What is right of a device, and what is wrong with the rest: `spec.path: fault`. */
export type ParsedDevice = { readonly device: ModbusConfig | undefined; readonly faults: readonly string[] };

const areas: Readonly<Record<string, Area>> = {
  coilregister: 'coil',
  coil: 'coil',
  discreteinputregister: 'discrete',
  discrete: 'discrete',
  inputregister: 'input',
  input: 'input',
  holdingregister: 'holding',
  holding: 'holding',
};
const orders = new Set<string>(['ABCD', 'BADC', 'CDAB', 'DCBA']);
const DEFAULT_CYCLE = 1000;
const MIN_CYCLE = 50;

/** Collects faults with their paths while values are taken. */
class Faults {
  readonly list: string[] = [];

  add(path: string, what: string): undefined {
    this.list.push(`${path}: ${what}`);
    return undefined;
  }
}

/** Reads a Device with protocol Modbus: KubeEdge's keys (`ip`, `slaveID`, `register: HoldingRegister`, `offset`, `limit`,
 * `isSwap` …) and a clearer form of our own (`host`, `unitId`, `register: holding`, `address`, `type`, `order` …).
 * @source KubeEdge docs, Modbus mapper; mappers/README.md lists every key */
export function parseModbusDevice(device: Device, model: DeviceModel): ParsedDevice {
  const faults = new Faults();
  const config = lowerKeys(device.spec.protocol?.configData);
  const endpoint = parseEndpoint(config, faults);
  const unit = whole(config, ['unitid', 'slaveid'], 1, [0, 255], 'spec.protocol.configData', faults);
  const timeout = whole(config, ['timeout'], 1000, [10, 60_000], 'spec.protocol.configData', faults);
  const points = (device.spec.properties ?? []).flatMap((property, i) => {
    const point = parsePoint(property, `spec.properties[${i}]`, model, faults);
    return point ? [point] : [];
  });
  if (!endpoint || unit === undefined || timeout === undefined)
    return { device: undefined, faults: faults.list };
  return { device: { endpoint, unit, timeout: millis(timeout), points }, faults: faults.list };
}

function parseEndpoint(config: Record<string, unknown>, faults: Faults): Endpoint | undefined {
  const path = 'spec.protocol.configData';
  const tcp = lowerKeys(config.tcp);
  const com = { ...config, ...lowerKeys(config.com) };
  const serialPort = com.serialport;
  const mode = text(config, ['communicatemode', 'mode']) ?? (serialPort === undefined ? 'tcp' : 'rtu');
  if (mode.toLowerCase() === 'rtu') return parseSerial(com, path, faults);
  if (mode.toLowerCase() !== 'tcp')
    return faults.add(`${path}.communicateMode`, `${mode} is not served: want tcp or rtu`);
  const address = { ...config, ...tcp };
  const host = text(address, ['host', 'ip']);
  if (!host) return faults.add(`${path}.host`, 'missing: want the name or IP address of the device');
  const port = whole(address, ['port'], 502, [1, 65_535], path, faults);
  return port === undefined ? undefined : { kind: 'tcp', host, port };
}

function parseSerial(com: Record<string, unknown>, path: string, faults: Faults): Endpoint | undefined {
  const device = text(com, ['serialport']);
  if (!device) return faults.add(`${path}.serialPort`, 'missing: want a path such as /dev/serial/by-id/…');
  const baudRate = whole(com, ['baudrate'], 9600, [50, 4_000_000], path, faults);
  const dataBits = whole(com, ['databits'], 8, [7, 8], path, faults);
  const stopBits = whole(com, ['stopbits'], 1, [1, 2], path, faults);
  const parity = (text(com, ['parity']) ?? 'none').toLowerCase();
  if (!['none', 'even', 'odd'].includes(parity))
    return faults.add(`${path}.parity`, `${parity}: want none, even or odd`);
  if (baudRate === undefined || dataBits === undefined || stopBits === undefined) return undefined;
  return {
    kind: 'rtu',
    path: device,
    baudRate,
    dataBits: dataBits as 7 | 8,
    stopBits: stopBits as 1 | 2,
    parity: parity as 'none' | 'even' | 'odd',
  };
}

function parsePoint(p: DeviceProperty, path: string, model: DeviceModel, faults: Faults): Point | undefined {
  const modelProperty = model.spec.properties?.find((m) => m.name === p.name);
  if (!modelProperty) return faults.add(`${path}.name`, `${p.name} is not in model ${model.metadata.name}`);
  const visitor = { ...lowerKeys(modelProperty.visitors?.configData), ...lowerKeys(p.visitors?.configData) };
  const where = `${path}.visitors.configData`;
  const area = parseArea(visitor, where, faults);
  const address = whole(visitor, ['address', 'offset'], undefined, [0, 65_535], where, faults);
  if (area === undefined || address === undefined) return undefined;
  const bits = area === 'coil' || area === 'discrete';
  const layout = bits ? bitLayout() : registerLayout(visitor, modelProperty, where, faults);
  if (!layout) return undefined;
  if (address + layout.count > 65_536)
    return faults.add(`${where}.address`, `${address} and ${layout.count} registers end beyond 65535`);
  const cycle = Math.max(p.collectCycle ?? DEFAULT_CYCLE, MIN_CYCLE);
  const timing = { cycle: millis(cycle), reportCycle: millis(p.reportCycle ?? 0) };
  const writable = area === 'coil' || area === 'holding';
  return { property: p.name, writable, area, address, ...layout, ...timing };
}

function parseArea(visitor: Record<string, unknown>, where: string, faults: Faults): Area | undefined {
  const name = text(visitor, ['register']);
  const area = name === undefined ? undefined : areas[name.toLowerCase()];
  if (area) return area;
  const want = 'want holding, input, coil or discrete (or HoldingRegister …)';
  return faults.add(`${where}.register`, name === undefined ? `missing: ${want}` : `${name}: ${want}`);
}

function bitLayout(): { count: number; encoding: Encoding } {
  return { count: 1, encoding: { format: 'bool', order: 'ABCD', scale: 1, add: 0, bit: 0 } };
}

function registerLayout(
  visitor: Record<string, unknown>,
  model: ModelProperty,
  where: string,
  faults: Faults,
): { count: number; encoding: Encoding } | undefined {
  const limit = whole(visitor, ['limit', 'length'], undefined, [1, 125], where, faults, true);
  const format = parseFormat(visitor, model, limit, where, faults);
  const order = parseOrder(visitor, where, faults);
  const scale = decimal(visitor, 'scale', 1, where, faults);
  const add = decimal(visitor, 'add', 0, where, faults);
  const bit = whole(visitor, ['bit'], 0, [0, 15], where, faults);
  if (!format || !order || scale === undefined || add === undefined || bit === undefined) return undefined;
  if (scale === 0) return faults.add(`${where}.scale`, '0 would make every value the same');
  const count = registersOf[format] ?? limit;
  if (count === undefined)
    return faults.add(`${where}.limit`, `missing: type ${format} needs its number of registers`);
  return { count, encoding: { format, order, scale, add, bit } };
}

/** KubeEdge has no type of the register: the model's type and the number of registers say it. */
function parseFormat(
  visitor: Record<string, unknown>,
  model: ModelProperty,
  limit: number | undefined,
  where: string,
  faults: Faults,
): Format | undefined {
  const named = text(visitor, ['type']);
  if (named !== undefined) {
    const format = named.toLowerCase();
    if (format in registersOf) return format as Format;
    return faults.add(`${where}.type`, `${named}: want one of ${Object.keys(registersOf).join(', ')}`);
  }
  const registers = limit ?? 1;
  switch (model.type) {
    case 'BOOLEAN':
      return 'bool';
    case 'STRING':
      return 'string';
    case 'BYTES':
    case 'STREAM':
      return 'bytes';
    case 'INT':
    case 'FLOAT':
    case 'DOUBLE': {
      const integers = { 1: 'int16', 2: 'int32', 4: 'int64' } as const;
      const floats = { 1: 'int16', 2: 'float32', 4: 'float64' } as const;
      const byCount: Partial<Record<number, Format>> = model.type === 'INT' ? integers : floats;
      return (
        byCount[registers] ??
        faults.add(`${where}.limit`, `${registers}: a ${model.type} takes 1, 2 or 4 registers`)
      );
    }
    default:
      return model.type satisfies never;
  }
}

function parseOrder(visitor: Record<string, unknown>, where: string, faults: Faults): ByteOrder | undefined {
  const named = text(visitor, ['order']);
  if (named !== undefined) {
    if (orders.has(named.toUpperCase())) return named.toUpperCase() as ByteOrder;
    return faults.add(`${where}.order`, `${named}: want ABCD, BADC, CDAB or DCBA`);
  }
  const bytes = visitor.isswap === true;
  const registers = visitor.isregisterswap === true;
  if (bytes) return registers ? 'DCBA' : 'BADC';
  return registers ? 'CDAB' : 'ABCD';
}

/** KubeEdge's tools spell keys in several ways (`slaveID`, `slaveId`), so case does not count. */
function lowerKeys(value: unknown): Record<string, unknown> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key.toLowerCase(), v]));
}

function text(config: Record<string, unknown>, keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const value = config[key];
    if (typeof value === 'string' || typeof value === 'number') return String(value).trim();
  }
  return undefined;
}

/** A whole number, also as text (`port: "502"`), under the first of `keys` that is there. */
function whole(
  config: Record<string, unknown>,
  keys: readonly string[],
  otherwise: number | undefined,
  [least, most]: readonly [number, number],
  path: string,
  faults: Faults,
  optional = false,
): number | undefined {
  const key = keys.find((k) => config[k] !== undefined);
  if (key === undefined) {
    return otherwise === undefined && !optional ? faults.add(`${path}.${keys[0]}`, 'missing') : otherwise;
  }
  const value = Number(config[key]);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  return faults.add(
    `${path}.${key}`,
    `${JSON.stringify(config[key])}: want a whole number from ${least} to ${most}`,
  );
}

function decimal(
  config: Record<string, unknown>,
  key: string,
  otherwise: number,
  path: string,
  faults: Faults,
): number | undefined {
  if (config[key] === undefined) return otherwise;
  const value = Number(config[key]);
  return Number.isFinite(value)
    ? value
    : faults.add(`${path}.${key}`, `${JSON.stringify(config[key])}: want a number`);
}
