import { scaleExactly, unscaleExactly } from './decimal.ts';

/** Numbers of up to 32 bits and floats: exact in JavaScript's own numbers. */
type Small = 'int8' | 'uint8' | 'int16' | 'uint16' | 'int32' | 'uint32' | 'float32' | 'float64';
/** Numbers with more digits than those keep. */
type Large = 'int64' | 'uint64' | 'bcd16' | 'bcd32' | 'bcd64';

export type Format = 'bool' | Small | Large | 'string' | 'bytes';

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
  /** Lowest bit of a value that shares its registers with others, 0 the least significant: of a bool, of an (u)int8, or
   * with `bits` of an (u)int16 or (u)int32. */
  readonly bit: number;
  /** Width of such a value, for formats (u)int16 and (u)int32; absent = all bits. */
  readonly bits?: number;
};

export type Fault = { readonly fault: string };

/** 16-bit registers that a format takes; undefined where the length is free. */
export const registersOf: Readonly<Record<Format, number | undefined>> = {
  bool: 1,
  int8: 1,
  uint8: 1,
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
  bcd64: 4,
  string: undefined,
  bytes: undefined,
};

const large = new Set<Format>(['int64', 'uint64', 'bcd16', 'bcd32', 'bcd64']);

/** Reads a value from its registers.
 * @param raw the registers as they came, each big-endian
 * @returns the value in KubeEdge's text form, or why there is none */
export function decodeValue(raw: Buffer, encoding: Encoding): string | Fault {
  const { format, scale, add } = encoding;
  const bytes = reorder(raw, encoding.order);
  if (format === 'string') return bytes.toString('latin1').replace(/[\0 ]+$/, '');
  if (format === 'bytes') return bytes.toString('hex');
  if (format === 'bool') return String(((bytes.readUInt16BE() >> encoding.bit) & 1) === 1);
  if (isLarge(format)) {
    const whole = readLarge(bytes, format);
    return typeof whole === 'bigint' ? scaleExactly(whole, scale, add) : whole;
  }
  const value = readSmall(bytes, format, encoding);
  if (!Number.isFinite(value)) return { fault: 'not a number' };
  // 12 digits: 215 × 0.1 is 21.5 and not 21.500000000000004.
  return scale === 1 && add === 0 ? String(value) : String(Number((value * scale + add).toPrecision(12)));
}

/** Writes a value into its registers, of which there are `registers`. One that shares them with others leaves those bits
 * 0: see {@link mergeField}.
 * @returns the registers' bytes, or why the value does not fit */
export function encodeValue(text: string, encoding: Encoding, registers: number): Buffer | Fault {
  const { format, order } = encoding;
  if (format === 'string' || format === 'bytes') return encodeText(text, encoding, registers);
  if (format === 'bool') {
    if (text !== 'true' && text !== 'false') return { fault: 'want true or false' };
    return reorder(wordOf(text === 'true' ? 1 : 0, encoding), order);
  }
  const bytes = isLarge(format) ? encodeLarge(text, format, encoding) : encodeSmall(text, format, encoding);
  return Buffer.isBuffer(bytes) ? reorder(bytes, order) : bytes;
}

/** The bits of its registers that a value takes, as they lie in them; undefined when it takes all. */
export function fieldMask(encoding: Encoding): Buffer | undefined {
  const width = widthOf(encoding);
  return width === undefined ? undefined : reorder(wordOf(2 ** width - 1, encoding), encoding.order);
}

/** Puts an encoded value into registers that it shares: the other bits stay as they are.
 * @param now what the registers hold, `value` of the same length */
export function mergeField(now: Buffer, value: Buffer, mask: Buffer): Buffer {
  return Buffer.from(now.map((byte, i) => (byte & ~(mask[i] ?? 0)) | (value[i] ?? 0)));
}

function isLarge(format: Format): format is Large {
  return large.has(format);
}

/** How many bits a value takes that shares its registers; undefined when it has them for itself. */
function widthOf({ format, bits }: Encoding): number | undefined {
  if (format === 'bool') return 1;
  return format === 'int8' || format === 'uint8' ? 8 : bits;
}

/** A field's value at its place in its one or two registers. */
function wordOf(value: number, { format, bit }: Encoding): Buffer {
  const bytes = Buffer.alloc((registersOf[format] ?? 1) * 2);
  bytes.writeUIntBE(value * 2 ** bit, 0, bytes.length);
  return bytes;
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

function readSmall(bytes: Buffer, format: Small, encoding: Encoding): number {
  const width = widthOf(encoding);
  if (width !== undefined) return readField(bytes, width, encoding);
  switch (format) {
    case 'int8':
    case 'int16':
      return bytes.readInt16BE();
    case 'uint8':
    case 'uint16':
      return bytes.readUInt16BE();
    case 'int32':
      return bytes.readInt32BE();
    case 'uint32':
      return bytes.readUInt32BE();
    case 'float32':
      return shortest(bytes.readFloatBE());
    case 'float64':
      return bytes.readDoubleBE();
    default:
      return format satisfies never;
  }
}

function readField(bytes: Buffer, width: number, { bit, format }: Encoding): number {
  const length = (registersOf[format] ?? 1) * 2;
  const value = Math.floor(bytes.readUIntBE(0, length) / 2 ** bit) % 2 ** width;
  return format.startsWith('int') && value >= 2 ** (width - 1) ? value - 2 ** width : value;
}

/** The shortest number that is the same float32: its binary form has digits that are noise, 0.10000000149011612. */
function shortest(value: number): number {
  for (const digits of [7, 8]) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number.isFinite(value) ? Number(value.toPrecision(9)) : value;
}

function readLarge(bytes: Buffer, format: Large): bigint | Fault {
  if (format === 'int64') return bytes.readBigInt64BE();
  if (format === 'uint64') return bytes.readBigUInt64BE();
  const digits = bytes.toString('hex');
  return /^\d+$/.test(digits) ? BigInt(digits) : { fault: `${digits} is no BCD` };
}

function encodeSmall(text: string, format: Small, encoding: Encoding): Buffer | Fault {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) return { fault: 'want a number' };
  const raw = (value - encoding.add) / encoding.scale;
  const bytes = Buffer.alloc((registersOf[format] ?? 1) * 2);
  if (format === 'float64') bytes.writeDoubleBE(raw);
  else if (format === 'float32' && Number.isFinite(Math.fround(raw))) bytes.writeFloatBE(raw);
  else if (format === 'float32') return unfit(encoding);
  else return encodeWhole(Math.round(raw), encoding, bytes.length * 8);
  return bytes;
}

/** @param registerBits of all its registers */
function encodeWhole(whole: number, encoding: Encoding, registerBits: number): Buffer | Fault {
  const width = widthOf(encoding) ?? registerBits;
  const isSigned = encoding.format.startsWith('int');
  const [least, most] = isSigned ? [-(2 ** (width - 1)), 2 ** (width - 1) - 1] : [0, 2 ** width - 1];
  if (whole < least || whole > most) return unfit(encoding);
  return wordOf(whole < 0 ? whole + 2 ** width : whole, {
    ...encoding,
    bit: width < registerBits ? encoding.bit : 0,
  });
}

function encodeLarge(text: string, format: Large, encoding: Encoding): Buffer | Fault {
  const raw = unscaleExactly(text, encoding.scale, encoding.add);
  if (raw === undefined) return { fault: 'want a number' };
  const bytes = Buffer.alloc((registersOf[format] ?? 1) * 2);
  if (format === 'int64' || format === 'uint64') {
    const fits = format === 'int64' ? BigInt.asIntN(64, raw) === raw : BigInt.asUintN(64, raw) === raw;
    if (!fits) return unfit(encoding);
    bytes.writeBigUInt64BE(BigInt.asUintN(64, raw));
    return bytes;
  }
  const digits = raw.toString().padStart(bytes.length * 2, '0');
  if (raw < 0n || digits.length > bytes.length * 2) return unfit(encoding);
  bytes.write(digits, 'hex');
  return bytes;
}

function unfit(encoding: Encoding): Fault {
  const { format, scale, add, bits } = encoding;
  const scaled = scale === 1 ? '' : ` with scale ${scale}`;
  const added = add === 0 ? '' : ` and ${add} added`;
  return { fault: `does not fit ${bits === undefined ? format : `${bits} bits`}${scaled}${added}` };
}

function encodeText(text: string, { format, order }: Encoding, registers: number): Buffer | Fault {
  const content = Buffer.from(text, format === 'bytes' ? 'hex' : 'latin1');
  if (format === 'bytes' && content.length * 2 !== text.length) return { fault: 'want bytes in hexadecimal' };
  if (format === 'string' && content.toString('latin1') !== text)
    return { fault: 'has characters beyond Latin-1' };
  if (content.length > registers * 2) return { fault: `longer than its ${registers * 2} bytes` };
  const bytes = Buffer.alloc(registers * 2);
  content.copy(bytes);
  return reorder(bytes, order);
}

/** True when a value reads back as it was desired: `21.5` and `21.50` are the same setting, and a float32 holds seven
 * digits of it. */
export function sameValue(read: string, desired: string): boolean {
  if (read === desired) return true;
  const [a, b] = [Number(read), Number(desired)];
  return desired.trim() !== '' && Number.isFinite(a) && Math.abs(a - b) <= Math.abs(b) * 1e-6;
}
