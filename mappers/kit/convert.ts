import type { ModelProperty } from '../../runtime/core/devices.ts';

export type Format =
  | 'bool'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'float32'
  | 'float64'
  | 'bcd16'
  | 'bcd32'
  | 'string'
  | 'bytes';

/** Order of the bytes of a value in its registers: A is the most significant byte of a 32-bit value.
 * ABCD big-endian, CDAB registers swapped, BADC bytes swapped in each register, DCBA both. */
export type ByteOrder = 'ABCD' | 'BADC' | 'CDAB' | 'DCBA';

/** How a value lies in 16-bit registers. */
export type Encoding = {
  readonly format: Format;
  readonly order: ByteOrder;
  /** value = raw × scale + add. */
  readonly scale: number;
  readonly add: number;
  /** Bit of a 16-bit register, 0 the least significant; for format `bool` only. */
  readonly bit: number;
};

export type Fault = { readonly fault: string };

/** 16-bit registers that a format takes; undefined where the length is free. */
export const registersOf: Readonly<Record<Format, number | undefined>> = {
  bool: 1,
  int16: 1,
  uint16: 1,
  bcd16: 1,
  int32: 2,
  uint32: 2,
  float32: 2,
  bcd32: 2,
  int64: 4,
  uint64: 4,
  float64: 4,
  string: undefined,
  bytes: undefined,
};

/** Reads a value from its registers.
 * @param raw the registers as they came, each big-endian
 * @returns the value in KubeEdge's text form, or why there is none */
export function decodeValue(raw: Buffer, encoding: Encoding): string | Fault {
  const bytes = reorder(raw, encoding.order);
  switch (encoding.format) {
    case 'bool':
      return String(((bytes.readUInt16BE() >> encoding.bit) & 1) === 1);
    case 'string':
      return bytes.toString('latin1').replace(/[\0 ]+$/, '');
    case 'bytes':
      return bytes.toString('hex');
    case 'int64':
      return scaleBig(bytes.readBigInt64BE(), encoding);
    case 'uint64':
      return scaleBig(bytes.readBigUInt64BE(), encoding);
    case 'bcd16':
    case 'bcd32':
      return scaled(fromBcd(bytes), encoding);
    default:
      return scaled(readNumber(bytes, encoding.format), encoding);
  }
}

/** Writes a value into its registers, of which there are `registers`.
 * @returns the registers' bytes, or why the value does not fit */
export function encodeValue(text: string, encoding: Encoding, registers: number): Buffer | Fault {
  const { format, order } = encoding;
  if (format === 'string' || format === 'bytes') return encodeText(text, encoding, registers);
  if (format === 'bool') {
    if (text !== 'true' && text !== 'false') return { fault: 'want true or false' };
    const word = Buffer.alloc(2);
    word.writeUInt16BE(text === 'true' ? 1 << encoding.bit : 0);
    return word;
  }
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) return { fault: 'want a number' };
  const raw = (value - encoding.add) / encoding.scale;
  try {
    return reorder(writeNumber(raw, format), order);
  } catch {
    return { fault: `does not fit ${format}${encoding.scale === 1 ? '' : ` with scale ${encoding.scale}`}` };
  }
}

/** Checks a desired value against the model: access, type, minimum and maximum.
 * @returns what is wrong, or undefined */
export function modelFault(text: string, property: ModelProperty): string | undefined {
  if (property.accessMode === 'ReadOnly') return 'the property is ReadOnly';
  if (property.type === 'BOOLEAN')
    return text === 'true' || text === 'false' ? undefined : 'want true or false';
  if (property.type !== 'INT' && property.type !== 'FLOAT' && property.type !== 'DOUBLE') return undefined;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) return 'want a number';
  if (property.type === 'INT' && !Number.isInteger(value)) return 'want a whole number';
  if (property.minimum && value < Number(property.minimum)) return `below the minimum ${property.minimum}`;
  if (property.maximum && value > Number(property.maximum)) return `above the maximum ${property.maximum}`;
  return undefined;
}

/** The same permutation both ways: each of them is its own inverse. */
function reorder(raw: Buffer, order: ByteOrder): Buffer {
  if (order === 'ABCD') return raw;
  const bytes = Buffer.from(raw);
  if (order === 'BADC' || order === 'DCBA') bytes.swap16();
  if (order === 'BADC') return bytes;
  const out = Buffer.allocUnsafe(bytes.length);
  for (let at = 0; at < bytes.length; at += 2) bytes.copy(out, bytes.length - 2 - at, at, at + 2);
  return out;
}

function readNumber(
  bytes: Buffer,
  format: 'int16' | 'uint16' | 'int32' | 'uint32' | 'float32' | 'float64',
): number {
  switch (format) {
    case 'int16':
      return bytes.readInt16BE();
    case 'uint16':
      return bytes.readUInt16BE();
    case 'int32':
      return bytes.readInt32BE();
    case 'uint32':
      return bytes.readUInt32BE();
    case 'float32':
      // A float32 has seven digits; more would be the noise of its binary form.
      return Number(bytes.readFloatBE().toPrecision(7));
    case 'float64':
      return bytes.readDoubleBE();
    default:
      return format satisfies never;
  }
}

/** @throws RangeError when the value does not fit */
function writeNumber(raw: number, format: Exclude<Format, 'bool' | 'string' | 'bytes'>): Buffer {
  const bytes = Buffer.alloc((registersOf[format] ?? 1) * 2);
  const whole = Math.round(raw);
  switch (format) {
    case 'int16':
      bytes.writeInt16BE(whole);
      break;
    case 'uint16':
      bytes.writeUInt16BE(whole);
      break;
    case 'int32':
      bytes.writeInt32BE(whole);
      break;
    case 'uint32':
      bytes.writeUInt32BE(whole);
      break;
    case 'int64':
      bytes.writeBigInt64BE(BigInt(whole));
      break;
    case 'uint64':
      bytes.writeBigUInt64BE(BigInt(whole));
      break;
    case 'float32':
      bytes.writeFloatBE(raw);
      break;
    case 'float64':
      bytes.writeDoubleBE(raw);
      break;
    case 'bcd16':
    case 'bcd32':
      toBcd(whole, bytes);
      break;
    default:
      format satisfies never;
  }
  return bytes;
}

function encodeText(text: string, { format, order }: Encoding, registers: number): Buffer | Fault {
  const content = Buffer.from(text, format === 'bytes' ? 'hex' : 'latin1');
  if (format === 'bytes' && content.length * 2 !== text.length) return { fault: 'want bytes in hexadecimal' };
  if (content.length > registers * 2) return { fault: `longer than its ${registers * 2} bytes` };
  const bytes = Buffer.alloc(registers * 2);
  content.copy(bytes);
  return reorder(bytes, order);
}

function scaled(raw: number | Fault, { scale, add }: Encoding): string | Fault {
  if (typeof raw !== 'number') return raw;
  if (!Number.isFinite(raw)) return { fault: 'not a number' };
  // 12 digits: 215 × 0.1 is 21.5 and not 21.500000000000004.
  return scale === 1 && add === 0 ? String(raw) : String(Number((raw * scale + add).toPrecision(12)));
}

function scaleBig(raw: bigint, encoding: Encoding): string | Fault {
  if (encoding.scale === 1 && encoding.add === 0) return raw.toString();
  return scaled(Number(raw), encoding);
}

function fromBcd(bytes: Buffer): number | Fault {
  const digits = bytes.toString('hex');
  return /^\d+$/.test(digits) ? Number(digits) : { fault: `${digits} is no BCD` };
}

function toBcd(value: number, into: Buffer): void {
  const digits = String(value).padStart(into.length * 2, '0');
  if (value < 0 || digits.length > into.length * 2) throw new RangeError('BCD');
  into.write(digits, 'hex');
}

/** True when a value reads back as it was desired: `21.5` and `21.50` are the same setting, and a float32 holds seven
 * digits of it. */
export function sameValue(read: string, desired: string): boolean {
  if (read === desired) return true;
  const [a, b] = [Number(read), Number(desired)];
  return desired.trim() !== '' && Number.isFinite(a) && Math.abs(a - b) <= Math.abs(b) * 1e-6;
}
