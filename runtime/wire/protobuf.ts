/** Protocol Buffers (proto3) from tables of field numbers: no generated code, no reflection at start.
 * @source Protocol Buffers encoding guide */

type Scalar =
  | 'string'
  | 'bytes'
  | 'bool'
  | 'int32'
  | 'int64'
  | 'uint32'
  | 'uint64'
  | 'fixed64'
  | 'enum'
  | 'float'
  | 'double';
type Shape = 'one' | 'many' | 'map';

/** A field of a message; `In` is what may be given to encode, `Out` what decoding yields. */
export type Field<In, Out> = {
  readonly no: number;
  readonly type: Scalar | Table<Fields>;
  readonly shape: Shape;
  /** Never there: carries the types only. */
  readonly types?: (value: In) => Out;
};
// biome-ignore lint/suspicious/noExplicitAny: a table holds fields of all types; what goes in and out is checked by In and Out
type Fields = Readonly<Record<string, Field<any, any>>>;

/** A message type. */
export type Table<F extends Fields> = { readonly fields: F; readonly byNumber: ReadonlyMap<number, string> };

type InOf<T> = T extends Field<infer In, infer _Out> ? In : never;
type OutOf<T> = T extends Field<infer _In, infer Out> ? Out : never;

/** What can be encoded: every field may be left out. */
export type In<T> = T extends Table<infer F> ? { readonly [K in keyof F]?: InOf<F[K]> | undefined } : never;
/** What decoding yields: absent scalars have proto3's default, absent messages are undefined. */
export type Out<T> = T extends Table<infer F> ? { readonly [K in keyof F]: OutOf<F[K]> } : never;

/** Declares a message type. */
export function message<F extends Fields>(fields: F): Table<F> {
  return { fields, byNumber: new Map(Object.entries(fields).map(([name, field]) => [field.no, name])) };
}

export const str = (no: number): Field<string, string> => ({ no, type: 'string', shape: 'one' });
export const raw = (no: number): Field<Uint8Array, Buffer> => ({ no, type: 'bytes', shape: 'one' });
export const bool = (no: number): Field<boolean, boolean> => ({ no, type: 'bool', shape: 'one' });
export const int32 = (no: number): Field<number, number> => ({ no, type: 'int32', shape: 'one' });
/** Values beyond 2^53 lose their last digits: nanoseconds become exact to a microsecond. */
export const int64 = (no: number): Field<number, number> => ({ no, type: 'int64', shape: 'one' });
export const uint32 = (no: number): Field<number, number> => ({ no, type: 'uint32', shape: 'one' });
export const uint64 = (no: number): Field<number, number> => ({ no, type: 'uint64', shape: 'one' });
export const enumeration = (no: number): Field<number, number> => ({ no, type: 'enum', shape: 'one' });
/** 32 bits: seven digits. */
export const float = (no: number): Field<number, number> => ({ no, type: 'float', shape: 'one' });
/** Written also when it is 0: for a number of a `oneof`, which says by being there which one it is. */
export const double = (no: number): Field<number, number> => ({ no, type: 'double', shape: 'one' });
export const fixed64 = (no: number): Field<bigint, bigint> => ({ no, type: 'fixed64', shape: 'one' });
export const one = <T extends Table<Fields>>(no: number, table: T): Field<In<T>, Out<T> | undefined> => ({
  no,
  type: table,
  shape: 'one',
});
export const many = <T extends Table<Fields>>(no: number, table: T): Field<readonly In<T>[], Out<T>[]> => ({
  no,
  type: table,
  shape: 'many',
});
export const strings = (no: number): Field<readonly string[], string[]> => ({
  no,
  type: 'string',
  shape: 'many',
});
export const raws = (no: number): Field<readonly Uint8Array[], Buffer[]> => ({
  no,
  type: 'bytes',
  shape: 'many',
});
export const int64s = (no: number): Field<readonly number[], number[]> => ({
  no,
  type: 'int64',
  shape: 'many',
});
export const stringMap = (
  no: number,
): Field<Readonly<Record<string, string>>, Readonly<Record<string, string>>> => ({
  no,
  type: 'string',
  shape: 'map',
});

export const messageMap = <T extends Table<Fields>>(
  no: number,
  table: T,
): Field<Readonly<Record<string, In<T>>>, Readonly<Record<string, Out<T> | undefined>>> => ({
  no,
  type: table,
  shape: 'map',
});

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;
const mapKey = str(1);

/** Encodes a message; fields that are undefined or have the default are left out. */
export function encode<F extends Fields>(table: Table<F>, value: In<Table<F>>): Buffer {
  const parts: Buffer[] = [];
  const given = value as Readonly<Record<string, unknown>>;
  for (const [name, field] of Object.entries(table.fields)) {
    const item = given[name];
    if (item === undefined || item === null) continue;
    if (field.shape === 'many') for (const element of item as unknown[]) put(parts, field, element);
    else if (field.shape === 'map') {
      for (const [key, value] of Object.entries(item as object))
        putBytes(parts, field.no, encode(mapEntry(field), { key, value }));
    } else if (field.type === 'double' || !isDefault(item)) put(parts, field, item);
  }
  return Buffer.concat(parts);
}

/** An entry of a map is a message of its own.
 * @source Protocol Buffers encoding guide, maps */
function mapEntry({ type }: Field<unknown, unknown>): Table<Fields> {
  return message({ key: mapKey, value: { no: 2, type, shape: 'one' } });
}

/** Decodes a message; unknown fields are passed over.
 * @throws RangeError when the bytes end within a field or are no message */
export function decode<F extends Fields>(table: Table<F>, bytes: Uint8Array): Out<Table<F>> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const result: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(table.fields)) result[name] = emptyOf(field);
  const at = { offset: 0 };
  while (at.offset < buffer.length) {
    const tag = readVarint(buffer, at);
    const name = table.byNumber.get(Math.floor(tag / 8));
    const wire = tag % 8;
    const field = name === undefined ? undefined : table.fields[name];
    if (!field || name === undefined) skip(buffer, at, wire);
    else take(result, name, field, buffer, at, wire);
  }
  return result as Out<Table<F>>;
}

function put(parts: Buffer[], field: Field<unknown, unknown>, item: unknown): void {
  const { no, type } = field;
  if (typeof type === 'object') putBytes(parts, no, encode(type, item as In<Table<Fields>>));
  else if (type === 'string') putBytes(parts, no, Buffer.from(String(item)));
  else if (type === 'bytes') putBytes(parts, no, Buffer.from(item as Uint8Array));
  else if (type === 'float') putFloat(parts, no, Number(item));
  else if (type === 'double' || type === 'fixed64') putEight(parts, no, item as number | bigint);
  else parts.push(varint(no * 8 + VARINT), varint(Number(item)));
}

function putFloat(parts: Buffer[], no: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  parts.push(varint(no * 8 + FIXED32), bytes);
}

function putEight(parts: Buffer[], no: number, value: number | bigint): void {
  const bytes = Buffer.alloc(8);
  if (typeof value === 'bigint') bytes.writeBigUInt64LE(value);
  else bytes.writeDoubleLE(value);
  parts.push(varint(no * 8 + FIXED64), bytes);
}

function putBytes(parts: Buffer[], no: number, bytes: Buffer): void {
  parts.push(varint(no * 8 + LENGTH), varint(bytes.length), bytes);
}

/** Negative numbers take ten bytes, as two's complement of 64 bits. */
function varint(value: number): Buffer {
  let rest = BigInt.asUintN(64, BigInt(Math.trunc(value)));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Buffer.from(bytes);
}

function isDefault(item: unknown): boolean {
  return (
    item === '' ||
    item === 0 ||
    item === 0n ||
    item === false ||
    (item instanceof Uint8Array && item.length === 0)
  );
}

function emptyOf({ shape, type }: Field<unknown, unknown>): unknown {
  if (shape === 'many') return [];
  if (shape === 'map') return {};
  if (typeof type === 'object') return undefined;
  if (type === 'string') return '';
  if (type === 'bytes') return Buffer.alloc(0);
  if (type === 'fixed64') return 0n;
  return type === 'bool' ? false : 0;
}

function take(
  result: Record<string, unknown>,
  name: string,
  field: Field<unknown, unknown>,
  buffer: Buffer,
  at: { offset: number },
  wire: number,
): void {
  const scalar = typeof field.type !== 'object' && field.type !== 'string' && field.type !== 'bytes';
  if (wire !== wireOf(field.type)) {
    // Packed repeated numbers come as one block of bytes.
    if (!scalar || field.shape !== 'many' || wire !== LENGTH) return skip(buffer, at, wire);
    const end = { offset: 0 };
    const block = readBytes(buffer, at);
    while (end.offset < block.length) (result[name] as unknown[]).push(readScalar(field.type, block, end));
    return;
  }
  if (field.shape === 'map') {
    const entry = decode(mapEntry(field), readBytes(buffer, at));
    (result[name] as Record<string, unknown>)[String(entry.key)] = entry.value;
    return;
  }
  const value = scalar ? readScalar(field.type, buffer, at) : readBlock(field.type, readBytes(buffer, at));
  if (field.shape === 'many') (result[name] as unknown[]).push(value);
  else result[name] = value;
}

function wireOf(type: Field<unknown, unknown>['type']): number {
  if (typeof type === 'object' || type === 'string' || type === 'bytes') return LENGTH;
  if (type === 'double' || type === 'fixed64') return FIXED64;
  return type === 'float' ? FIXED32 : VARINT;
}

function readBlock(type: Field<unknown, unknown>['type'], bytes: Buffer): unknown {
  if (typeof type === 'object') return decode(type, bytes);
  return type === 'string' ? bytes.toString() : Buffer.from(bytes);
}

function readScalar(type: Field<unknown, unknown>['type'], buffer: Buffer, at: { offset: number }): unknown {
  if (type === 'bool') return readVarint(buffer, at) !== 0;
  if (type === 'float') return readFloat(buffer, at);
  if (type === 'double' || type === 'fixed64') return readEight(type, buffer, at);
  const start = at.offset;
  const value = readVarint(buffer, at);
  // Only a negative number takes ten bytes; it is read again exactly.
  if (at.offset - start < 10 || type === 'uint64' || type === 'uint32') return value;
  return Number(BigInt.asIntN(64, bigVarint(buffer, start)));
}

function readFloat(buffer: Buffer, at: { offset: number }): number {
  if (at.offset + 4 > buffer.length) throw new RangeError('the message ends within a number');
  const value = buffer.readFloatLE(at.offset);
  at.offset += 4;
  return value;
}

function readEight(type: 'double' | 'fixed64', buffer: Buffer, at: { offset: number }): number | bigint {
  if (at.offset + 8 > buffer.length) throw new RangeError('the message ends within a number');
  const start = at.offset;
  at.offset += 8;
  return type === 'double' ? buffer.readDoubleLE(start) : buffer.readBigUInt64LE(start);
}

function readVarint(buffer: Buffer, at: { offset: number }): number {
  let value = 0;
  let scale = 1;
  for (let n = 0; n < 10; n++) {
    const byte = buffer[at.offset++];
    if (byte === undefined) throw new RangeError('the message ends within a number');
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 128;
  }
  throw new RangeError('a number of more than ten bytes');
}

function bigVarint(buffer: Buffer, start: number): bigint {
  let value = 0n;
  for (let n = 0; n < 10; n++) value |= BigInt((buffer[start + n] ?? 0) & 0x7f) << BigInt(7 * n);
  return value;
}

function readBytes(buffer: Buffer, at: { offset: number }): Buffer {
  const length = readVarint(buffer, at);
  if (at.offset + length > buffer.length) throw new RangeError('the message ends within a field');
  const bytes = buffer.subarray(at.offset, at.offset + length);
  at.offset += length;
  return bytes;
}

function skip(buffer: Buffer, at: { offset: number }, wire: number): void {
  if (wire === VARINT) readVarint(buffer, at);
  else if (wire === LENGTH) readBytes(buffer, at);
  else if (wire === FIXED64) at.offset += 8;
  else if (wire === FIXED32) at.offset += 4;
  else throw new RangeError(`wire type ${wire}`);
  if (at.offset > buffer.length) throw new RangeError('the message ends within a field');
}
