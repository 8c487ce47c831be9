import { isoTime } from '../core/iso-time.ts';
/** DER, as far as certificates and their requests need it. @source X.690 */

/** Tag, length (short form below 128, else big-endian with a count), content. @source X.690 §8.1 */
export function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.of(tag, body.length), body]);
  const length = body.length < 0x100 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...length), body]);
}

export function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, ...parts);
}

export function setOf(...parts: readonly Buffer[]): Buffer {
  return der(0x31, ...parts);
}

/** An object identifier from its dotted text. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap(base128);
  return der(0x06, Buffer.from(bytes));
}

function base128(n: number): number[] {
  const bytes = [n & 0x7f];
  for (let rest = n >> 7; rest > 0; rest >>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}

/** A positive integer from its big-endian bytes. */
export function integer(bytes: Buffer): Buffer {
  const sign = (bytes[0] ?? 0) & 0x80 ? Buffer.of(0) : Buffer.alloc(0);
  return der(0x02, sign, bytes);
}

export function utf8(text: string): Buffer {
  return der(0x0c, Buffer.from(text));
}

export function printable(text: string): Buffer {
  return der(0x13, Buffer.from(text));
}

export function boolean(value: boolean): Buffer {
  return der(0x01, Buffer.of(value ? 0xff : 0));
}

export function octets(content: Buffer): Buffer {
  return der(0x04, content);
}

/** A bit string; `unused` counts the bits at its end that do not belong to it. */
export function bits(content: Buffer, unused = 0): Buffer {
  return der(0x03, Buffer.of(unused), content);
}

/** UTCTime until 2049, GeneralizedTime after. @source RFC 5280 §4.1.2.5 */
export function time(epochMs: number): Buffer {
  const digits = `${isoTime(epochMs).slice(0, 19).replace(/[-:T]/g, '')}Z`;
  return Number(digits.slice(0, 4)) < 2050
    ? der(0x17, Buffer.from(digits.slice(2)))
    : der(0x18, Buffer.from(digits));
}

/** One element: its tag, its content, and all of its bytes. */
export type DerElement = { readonly tag: number; readonly content: Buffer; readonly whole: Buffer };

/** Splits bytes into the elements that they hold, one after the other.
 * @throws RangeError when they end within one */
export function elements(bytes: Buffer): DerElement[] {
  const found: DerElement[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    const tag = bytes[offset] ?? 0;
    const first = bytes[offset + 1] ?? 0;
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    if (lengthBytes > 4 || first === 0x80) throw new RangeError('a length that is not DER');
    const start = offset + 2 + lengthBytes;
    const length = lengthBytes === 0 ? first : bytes.readUIntBE(offset + 2, lengthBytes);
    if (start + length > bytes.length) throw new RangeError('the bytes end within an element');
    found.push({
      tag,
      content: bytes.subarray(start, start + length),
      whole: bytes.subarray(offset, start + length),
    });
    offset = start + length;
  }
  return found;
}
