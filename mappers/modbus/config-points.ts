import type { Device, DeviceModel, DeviceProperty, ModelProperty } from '../../runtime/core/devices.ts';
import { millis } from '../../runtime/core/units.ts';
import { ConfigReader } from '../kit/config-reader.ts';
import { type ByteOrder, type Encoding, type Format, fieldMask, registersOf } from '../kit/convert.ts';
import type { DriverPoint } from '../kit/driver.ts';

/** Where a value lies; `identification` is what a device tells of itself (function 43/14), its address the object. */
export type Area = 'coil' | 'discrete' | 'input' | 'holding' | 'identification';

/** One property as it lies in the device. */
export type Point = DriverPoint & {
  readonly area: Area;
  readonly address: number;
  /** Registers, or coils. */
  readonly count: number;
  readonly encoding: Encoding;
};

const areas: Readonly<Record<string, Area>> = {
  coilregister: 'coil',
  coil: 'coil',
  discreteinputregister: 'discrete',
  discrete: 'discrete',
  inputregister: 'input',
  input: 'input',
  holdingregister: 'holding',
  holding: 'holding',
  identification: 'identification',
};
const orders: readonly ByteOrder[] = ['ABCD', 'BADC', 'CDAB', 'DCBA'];
/** @source MODBUS Application Protocol V1.1b3 §6.21, object ids */
const objects: readonly string[] = [
  'vendorName',
  'productCode',
  'revision',
  'vendorUrl',
  'productName',
  'modelName',
  'applicationName',
];
const PLAIN: Encoding = { format: 'string', order: 'ABCD', scale: 1, add: 0, bit: 0 };
const DEFAULT_CYCLE = 1000;
const MIN_CYCLE = 50;
/** What a device tells of itself hardly changes. */
const IDENTIFICATION_CYCLE = 3_600_000;
const LAST_ADDRESS = 65_535;

/** Reads a device's properties; one that is wrong is left out and does not take the right ones with it. */
export function parsePoints(device: Device, model: DeviceModel, faults: string[]): Point[] {
  const points: Point[] = [];
  const encodings = new Map<string, Encoding>();
  for (const [i, property] of (device.spec.properties ?? []).entries()) {
    const path = `spec.properties[${i}]`;
    const modelled = model.spec.properties?.find((m) => m.name === property.name);
    if (!modelled) {
      faults.push(`${path}.name: ${property.name} is not in model ${model.metadata.name}`);
      continue;
    }
    const layers = [modelled.visitors?.configData, property.visitors?.configData];
    const reader = new ConfigReader(`${path}.visitors.configData`, faults, ...layers);
    const point = sameAsBefore(property, modelled, () => parsePoint(property, modelled, reader, encodings));
    if (!point) continue;
    const other = point.writable && points.find((p) => clashes(p, point));
    if (other)
      reader.fault(
        'address',
        `${placeOf(point)} overlaps ${placeOf(other)} of ${other.property}, which is written, too`,
      );
    points.push(point);
  }
  return points;
}

/** @param encodings of the device: thousands of points have a handful of them, each of which is one object */
function parsePoint(
  property: DeviceProperty,
  model: ModelProperty,
  reader: ConfigReader,
  encodings: Map<string, Encoding>,
): Point | undefined {
  const area = parseArea(reader);
  if (!area) return undefined;
  const layout = parseLayout(area, model, reader);
  if (!layout) return undefined;
  const isFixed = area === 'identification';
  const cycle = Math.max(
    property.collectCycle ?? (isFixed ? IDENTIFICATION_CYCLE : DEFAULT_CYCLE),
    MIN_CYCLE,
  );
  const timing = { cycle: millis(cycle), reportCycle: millis(property.reportCycle ?? 0) };
  const writable = (area === 'coil' || area === 'holding') && model.accessMode !== 'ReadOnly';
  const { address, count } = layout;
  const encoding = shared(encodings, layout.encoding);
  return { property: property.name, writable, area, address, count, encoding, ...timing };
}

function parseArea(reader: ConfigReader): Area | undefined {
  const name = reader.text('register');
  const area = name === undefined ? undefined : areas[name.toLowerCase()];
  if (area) return area;
  const want = 'want holding, input, coil, discrete or identification (or HoldingRegister …)';
  return reader.fault('register', name === undefined ? `missing: ${want}` : `${name}: ${want}`);
}

type Layout = Pick<Point, 'address' | 'count' | 'encoding'>;

function parseLayout(area: Area, model: ModelProperty, reader: ConfigReader): Layout | undefined {
  if (area === 'identification') return parseObject(reader);
  const base = reader.whole(['addressBase'], [0, 1], 0);
  if (base === undefined) return undefined;
  const given = reader.whole(['address', 'offset'], [base, LAST_ADDRESS + base]);
  if (given === undefined) return undefined;
  const address = given - base;
  if (area === 'coil' || area === 'discrete') {
    if (model.type === 'BOOLEAN' || model.type === 'INT')
      return { address, count: 1, encoding: { ...PLAIN, format: model.type === 'INT' ? 'uint16' : 'bool' } };
    return reader.fault(
      'register',
      `a ${area} is one bit, and the model's type is ${model.type}: want BOOLEAN`,
    );
  }
  const layout = registerLayout(reader, model);
  if (!layout) return undefined;
  if (address + layout.count > LAST_ADDRESS + 1)
    return reader.fault(
      'address',
      `${given} and ${layout.count} registers end beyond ${LAST_ADDRESS + base}`,
    );
  return { address, ...layout };
}

function parseObject(reader: ConfigReader): Layout | undefined {
  const named = reader.text('object', 'address', 'offset');
  const at = objects.findIndex((name) => name.toLowerCase() === named?.toLowerCase());
  const address = at >= 0 ? at : reader.whole(['object', 'address', 'offset'], [0, 255]);
  return address === undefined ? undefined : { address, count: 1, encoding: PLAIN };
}

function registerLayout(
  reader: ConfigReader,
  model: ModelProperty,
): { count: number; encoding: Encoding } | undefined {
  const limit = reader.has('limit') || reader.has('length') ? reader.whole(['limit', 'length'], [1, 125]) : 0;
  if (limit === undefined) return undefined;
  const format = parseFormat(reader, model, limit || 1);
  const order = parseOrder(reader);
  const scale = reader.decimal('scale', 1);
  const add = reader.decimal('add', 0);
  if (!format || !order || scale === undefined || add === undefined) return undefined;
  if (scale === 0) return reader.fault('scale', '0 would make every value the same');
  const count = registersOf[format] ?? limit;
  if (count === 0) return reader.fault('limit', `missing: type ${format} needs its number of registers`);
  if (limit !== 0 && limit !== count)
    return reader.fault('limit', `${limit}: a ${format} takes ${count} register${count === 1 ? '' : 's'}`);
  const field = parseField(reader, format, count);
  return field && { count, encoding: { format, order, scale, add, ...field } };
}

/** Which bits of its registers a value takes. */
function parseField(
  reader: ConfigReader,
  format: Format,
  count: number,
): Pick<Encoding, 'bit' | 'bits'> | undefined {
  if (format === 'int8' || format === 'uint8') {
    const byte = reader.choice('byte', ['low', 'high'], 'low');
    return byte && { bit: byte === 'high' ? 8 : 0 };
  }
  if (format === 'bool') {
    const bit = reader.whole(['bit'], [0, 15], 0);
    return bit === undefined ? undefined : { bit };
  }
  if (!reader.has('bits') && !reader.has('bit')) return { bit: 0 };
  if (!['int16', 'uint16', 'int32', 'uint32'].includes(format))
    return reader.fault('bits', `a ${format} has no bit fields: want (u)int16 or (u)int32`);
  const bit = reader.whole(['bit'], [0, count * 16 - 1], 0);
  if (bit === undefined) return undefined;
  const bits = reader.whole(['bits'], [1, count * 16 - bit], 1);
  return bits === undefined ? undefined : { bit, bits };
}

/** KubeEdge has no type of the register: the model's type and the number of registers say it. */
function parseFormat(reader: ConfigReader, model: ModelProperty, registers: number): Format | undefined {
  const named = reader.text('type');
  if (named !== undefined) {
    const format = named.toLowerCase();
    if (format in registersOf) return format as Format;
    return reader.fault('type', `${named}: want one of ${Object.keys(registersOf).join(', ')}`);
  }
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
      const wrong = `${registers}: a ${model.type} takes 1, 2 or 4 registers`;
      return byCount[registers] ?? reader.fault('limit', wrong);
    }
    default:
      return model.type satisfies never;
  }
}

function parseOrder(reader: ConfigReader): ByteOrder | undefined {
  if (reader.has('order')) return reader.choice('order', orders, 'ABCD');
  const registers = reader.isTrue('isRegisterSwap');
  if (reader.isTrue('isSwap')) return registers ? 'DCBA' : 'BADC';
  return registers ? 'CDAB' : 'ABCD';
}

/** The same object for equal encodings. */
function shared(known: Map<string, Encoding>, encoding: Encoding): Encoding {
  const key = JSON.stringify(encoding);
  const first = known.get(key) ?? encoding;
  known.set(key, first);
  return first;
}

/** Points by the property and the property's model that they were made of. */
const made = new WeakMap<DeviceProperty, { readonly model: ModelProperty; readonly point: Point }>();

/** One object for a property that devices of a model share: a hundred devices of a hundred points have a hundred of them. Where
 * something is wrong there is no point, and it is named again for each device. */
function sameAsBefore(
  property: DeviceProperty,
  model: ModelProperty,
  make: () => Point | undefined,
): Point | undefined {
  const known = made.get(property);
  if (known?.model === model) return known.point;
  const point = make();
  if (point) made.set(property, { model, point });
  return point;
}

/** True for two values that are written into the same place, so that one would destroy the other. */
function clashes(a: Point, b: Point): boolean {
  if (!a.writable || a.area !== b.area) return false;
  if (a.address + a.count <= b.address || b.address + b.count <= a.address) return false;
  const [one, other] = [fieldMask(a.encoding), fieldMask(b.encoding)];
  if (!one || !other || a.address !== b.address) return true;
  return one.some((byte, i) => (byte & (other[i] ?? 0)) !== 0);
}

function placeOf({ area, address, count }: Point): string {
  return count === 1 ? `${area} ${address}` : `${area} ${address} to ${address + count - 1}`;
}
