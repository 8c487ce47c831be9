import { type Sum, sumOf, sumWidth } from '../kit/checksum.ts';
import type { Fault } from '../kit/convert.ts';
import { showBytes } from './bytes.ts';

/** How a frame is guarded. All but `nmea` stand at the end of the frame, which keeps its start bytes and has lost its
 * delimiter. */
export type FrameCheck =
  | { readonly kind: 'none' }
  /** `*HH` at the end, over what stands between the first byte and the asterisk. @source NMEA 0183 */
  | { readonly kind: 'nmea' }
  | {
      readonly kind: 'sum';
      readonly sum: Sum;
      /** First byte that it covers. */
      readonly from: number;
      readonly encoding: 'binary' | 'hex';
      readonly order: 'big' | 'little';
      readonly init: number;
    };

/** Takes the checksum off a frame.
 * @returns the frame without it, or why it is damaged */
export function verify(frame: Buffer, check: FrameCheck): Buffer | Fault {
  switch (check.kind) {
    case 'none':
      return frame;
    case 'nmea':
      return verifyNmea(frame);
    case 'sum':
      return verifySum(frame, check);
    default:
      return check satisfies never;
  }
}

/** The checksum as it follows a request's bytes. */
export function checksumFor(before: Buffer, check: FrameCheck): Buffer {
  switch (check.kind) {
    case 'none':
      return Buffer.alloc(0);
    case 'nmea':
      return Buffer.from(hex(sumOf(before.subarray(1, starAt(before)), 'xor'), 1));
    case 'sum':
      return encode(before, check);
    default:
      return check satisfies never;
  }
}

/** Bytes that the checksum takes of a frame. */
export function checkWidth(check: FrameCheck): number {
  if (check.kind === 'none') return 0;
  if (check.kind === 'nmea') return 3;
  return sumWidth[check.sum] * (check.encoding === 'hex' ? 2 : 1);
}

function verifySum(frame: Buffer, check: Extract<FrameCheck, { kind: 'sum' }>): Buffer | Fault {
  const width = checkWidth(check);
  const content = frame.subarray(0, Math.max(0, frame.length - width));
  if (content.length < Math.max(1, check.from))
    return { fault: `${showBytes(frame)} is too short for its checksum` };
  const got = frame.subarray(-width);
  const want = encode(content, check);
  const same =
    check.encoding === 'hex' ? got.toString('latin1').toUpperCase() === want.toString() : got.equals(want);
  return same ? content : { fault: `checksum ${showBytes(got)} instead of ${showBytes(want)}` };
}

function encode(
  content: Buffer,
  { sum, from, encoding, order, init }: Extract<FrameCheck, { kind: 'sum' }>,
): Buffer {
  const value = sumOf(content.subarray(from), sum, init);
  const width = sumWidth[sum];
  const bytes = Buffer.alloc(width);
  if (order === 'big') bytes.writeUIntBE(value, 0, width);
  else bytes.writeUIntLE(value, 0, width);
  return encoding === 'hex' ? Buffer.from(bytes.toString('hex').toUpperCase()) : bytes;
}

function verifyNmea(frame: Buffer): Buffer | Fault {
  const star = frame.length - 3;
  const got = /^\*([0-9A-Fa-f]{2})$/.exec(frame.subarray(Math.max(0, star)).toString('latin1'))?.[1];
  if (got === undefined || star < 1) return { fault: `${showBytes(frame)} has no checksum *HH at its end` };
  const want = hex(sumOf(frame.subarray(1, star), 'xor'), 1);
  if (got.toUpperCase() !== want) return { fault: `checksum *${got} instead of *${want}` };
  return frame.subarray(0, star);
}

function starAt(bytes: Buffer): number {
  return bytes.at(-1) === 0x2a ? bytes.length - 1 : bytes.length;
}

function hex(value: number, width: number): string {
  return value
    .toString(16)
    .toUpperCase()
    .padStart(width * 2, '0');
}
