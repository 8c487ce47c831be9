import type { PropertyType } from '../../runtime/core/devices.ts';
import type { JsonPath } from '../../runtime/core/json-path.ts';
import { decodeValue, type Encoding, type Fault } from '../kit/convert.ts';
import { showBytes } from './bytes.ts';
import { valueAt } from './json-path.ts';
import { nmeaField } from './nmea.ts';

/** How the text of a value is read. */
export type TextForm = {
  readonly type: PropertyType;
  /** value = number × scale + add. */
  readonly scale: number;
  readonly add: number;
  readonly radix: 10 | 16;
  readonly decimal: '.' | ',';
  /** Words for true and false; absent = true, on, 1 and false, off, 0. */
  readonly on?: string;
  readonly off?: string;
};

/** Bytes formats: those of registers, and single bytes. */
export type ByteFormat = Encoding['format'] | 'bcd8';

/** Where a property lies in a frame. */
export type Field =
  | {
      readonly kind: 'pattern';
      readonly pattern: RegExp;
      readonly group: string | number;
      readonly text: TextForm;
    }
  | {
      readonly kind: 'bytes';
      /** From the first byte of the frame. */
      readonly offset: number;
      /** Bytes; absent = to the end of the frame. */
      readonly length: number | undefined;
      readonly format: ByteFormat;
      readonly encoding: Encoding;
      /** Only frames that match it have the property. */
      readonly pattern: RegExp | undefined;
      readonly isWhole: boolean;
    }
  | {
      readonly kind: 'nmea';
      /** `GP`, `GN` …; absent = any. */
      readonly talker: string | undefined;
      readonly sentence: string;
      /** 1 is the first after the sentence's name. */
      readonly field: number;
      /** A latitude or longitude with its hemisphere in the next field, in degrees. */
      readonly degrees: boolean;
      readonly text: TextForm;
    }
  | { readonly kind: 'json'; readonly path: JsonPath; readonly text: TextForm };

/** Reads a property from a frame.
 * @returns its value in KubeEdge's text form; why the frame has no sensible one; or undefined when the frame is about
 *   something else */
export function readField(frame: Buffer, field: Field): string | Fault | undefined {
  switch (field.kind) {
    case 'pattern': {
      const match = field.pattern.exec(frame.toString('latin1'));
      if (!match) return undefined;
      const text = typeof field.group === 'number' ? match[field.group] : match.groups?.[field.group];
      return text === undefined
        ? { fault: `group ${field.group} matched nothing` }
        : readText(text, field.text);
    }
    case 'bytes':
      if (field.pattern && !field.pattern.test(frame.toString('latin1'))) return undefined;
      return whole(readBytes(frame, field), field.isWhole);
    case 'nmea': {
      const found = nmeaField(frame, field);
      return typeof found === 'string' ? readText(found, field.text) : found;
    }
    case 'json': {
      const found = valueAt(frame, field.path);
      return typeof found === 'string' ? readText(found, field.text) : found;
    }
    default:
      return field satisfies never;
  }
}

/** The bytes of a format; undefined where the length is free. */
export const bytesOf: Readonly<Record<ByteFormat, number | undefined>> = {
  bool: 1,
  int8: 1,
  uint8: 1,
  bcd8: 1,
  int16: 2,
  uint16: 2,
  bcd16: 2,
  int32: 4,
  uint32: 4,
  float32: 4,
  bcd32: 4,
  int64: 8,
  uint64: 8,
  float64: 8,
  bcd64: 8,
  string: undefined,
  bytes: undefined,
};

/** Checks a text against what a property may be, and brings it into KubeEdge's form. */
export function readText(text: string, form: TextForm): string | Fault {
  switch (form.type) {
    case 'STRING':
    case 'BYTES':
    case 'STREAM':
      return text.trim();
    case 'BOOLEAN':
      return readBoolean(text.trim(), form);
    case 'INT':
    case 'FLOAT':
    case 'DOUBLE':
      return readNumber(text, form);
    default:
      return form.type satisfies never;
  }
}

function readBoolean(text: string, { on, off }: TextForm): string | Fault {
  const isOn = on === undefined ? /^(true|on|1)$/i.test(text) : text === on;
  const isOff = off === undefined ? on === undefined && /^(false|off|0)$/i.test(text) : text === off;
  if (isOn !== isOff) return String(isOn);
  return {
    fault: `${showBytes(Buffer.from(text, 'latin1'))} is neither ${on ?? 'true'} nor ${off ?? 'false'}`,
  };
}

function readNumber(text: string, { type, scale, add, radix, decimal }: TextForm): string | Fault {
  // Scales print `+  12.50`.
  const tidy = text.trim().replace(/^([+-])\s+/, '$1');
  const plain = decimal === ',' ? tidy.replace(',', '.') : tidy;
  const isNumber = radix === 16 ? /^[0-9a-f]{1,13}$/i : /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?$/i;
  if (!isNumber.test(plain)) return { fault: `${showBytes(Buffer.from(text, 'latin1'))} is no number` };
  // A counter may have more digits than a number keeps.
  if (type === 'INT' && scale === 1 && add === 0 && radix === 10 && /^[+-]?\d+$/.test(plain))
    return BigInt(plain.replace('+', '')).toString();
  const raw = radix === 16 ? Number.parseInt(plain, 16) : Number(plain);
  // 12 digits: 215 × 0.1 is 21.5 and not 21.500000000000004.
  const value = scale === 1 && add === 0 ? raw : Number((raw * scale + add).toPrecision(12));
  if (!Number.isFinite(value)) return { fault: `${plain} is too large` };
  if (type === 'INT' && !Number.isInteger(value)) return { fault: `${value} is no whole number` };
  return String(value === 0 ? 0 : value);
}

function whole(value: string | Fault, isWhole: boolean): string | Fault {
  if (!isWhole || typeof value !== 'string' || /^-?\d+$/.test(value)) return value;
  return { fault: `${value} is no whole number` };
}

function readBytes(frame: Buffer, field: Extract<Field, { kind: 'bytes' }>): string | Fault {
  const { offset, length, format, encoding } = field;
  const end = length === undefined ? frame.length : offset + length;
  if (end > frame.length || offset >= end)
    return {
      fault: `a frame of ${frame.length} bytes has none at ${offset}${length ? ` to ${end - 1}` : ''}`,
    };
  const raw = frame.subarray(offset, end);
  switch (format) {
    // One byte widened into a register.
    case 'uint8':
    case 'bool':
      return decodeValue(Buffer.of(0, raw[0] ?? 0), { ...encoding, order: 'ABCD' });
    case 'int8':
      return decodeValue(Buffer.of(raw.readInt8() < 0 ? 0xff : 0, raw[0] ?? 0), {
        ...encoding,
        order: 'ABCD',
      });
    case 'bcd8':
      return decodeValue(Buffer.of(0, raw[0] ?? 0), { ...encoding, order: 'ABCD' });
    default:
      return decodeValue(raw, encoding);
  }
}
