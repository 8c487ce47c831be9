import { crc16 } from '../kit/checksum.ts';

const CRC = 2;
const EXCEPTION = 5;

/** What the bytes that came since a request are: the answer to it, an answer whose checksum is wrong, or neither yet. */
export type RtuInput =
  | { readonly kind: 'answer'; readonly frame: Buffer }
  | { readonly kind: 'corrupt'; readonly frame: Buffer }
  | { readonly kind: 'none' };

/** True for a frame that ends with its own checksum. */
export function isIntact(frame: Buffer): boolean {
  return frame.length > CRC && frame.readUInt16LE(frame.length - CRC) === crc16(frame.subarray(0, -CRC));
}

/** Looks for the answer to a request. RTU marks the end of a frame only by silence, which a USB adapter does not
 * keep, and has no transaction number: an answer is known by all that it repeats of the request (unit, function, and
 * the byte count or the address and value). Noise before it, and intact answers to another request, are passed over.
 * @param data what came since the request
 * @param request the whole frame that was sent */
export function findAnswer(data: Buffer, request: Buffer): RtuInput {
  const { head, length } = expected(request);
  let corrupt: Buffer | undefined;
  for (let at = 0; at + EXCEPTION <= data.length; at++) {
    if (data[at] !== request[0]) continue;
    const isException = data[at + 1] === ((request[1] ?? 0) | 0x80);
    const end = at + (isException ? EXCEPTION : length);
    if (end > data.length) continue;
    if (!isException && !data.subarray(at, at + head.length).equals(head)) continue;
    const frame = data.subarray(at, end);
    if (isIntact(frame)) return { kind: 'answer', frame };
    if (!isException && end === data.length) corrupt = frame;
  }
  return corrupt ? { kind: 'corrupt', frame: corrupt } : { kind: 'none' };
}

/** How the answer to a request begins, and how long it is.
 * @source MODBUS Application Protocol V1.1b3 §6.1 to §6.12 */
function expected(request: Buffer): { head: Buffer; length: number } {
  const [unit = 0, code = 0] = request;
  const reads = code <= 4;
  if (!reads) return { head: request.subarray(0, 6), length: 6 + CRC };
  const count = request.readUInt16BE(4);
  const bytes = code <= 2 ? Math.ceil(count / 8) : count * 2;
  return { head: Buffer.of(unit, code, bytes), length: 3 + bytes + CRC };
}
