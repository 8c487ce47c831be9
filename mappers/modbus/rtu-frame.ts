import { crc16 } from '../kit/checksum.ts';

export { crc16 };

const CRC = 2;
const EXCEPTION = 5;
/** Function codes whose answers have a form of their own. */
const MASK = 22;
const READ_WRITE = 23;
const IDENTIFY = 43;

/** What the bytes that came since a request are: the answer to it, an answer whose checksum is wrong, or neither yet. */
export type RtuInput =
  | { readonly kind: 'answer'; readonly frame: Buffer }
  | { readonly kind: 'corrupt'; readonly frame: Buffer }
  | { readonly kind: 'none' };

/** True for a frame that ends with its own checksum. */
export function isIntact(frame: Buffer): boolean {
  return frame.length > CRC && frame.readUInt16LE(frame.length - CRC) === crc16(frame.subarray(0, -CRC));
}

/** A message with its checksum behind it. */
export function sealed(bytes: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(bytes.length + CRC);
  bytes.copy(frame);
  frame.writeUInt16LE(crc16(bytes), bytes.length);
  return frame;
}

/** Looks for the answer to a request. RTU marks the end of a frame only by silence, which a USB adapter does not
 * keep, and has no transaction number: an answer is known by all that it repeats of the request (unit, function, and
 * the byte count or the address and value). Noise before it, and intact answers to another request, are passed over.
 * @param data what came since the request
 * @param request the whole frame that was sent */
export function findAnswer(data: Buffer, request: Buffer): RtuInput {
  const head = headOf(request);
  let corrupt: Buffer | undefined;
  for (let at = 0; at + EXCEPTION <= data.length; at++) {
    if (data[at] !== request[0]) continue;
    const isException = data[at + 1] === ((request[1] ?? 0) | 0x80);
    if (!isException && !data.subarray(at, at + head.length).equals(head)) continue;
    const end = at + (isException ? EXCEPTION : answerLength(request, data.subarray(at)));
    if (end > data.length) continue;
    const frame = data.subarray(at, end);
    if (isIntact(frame)) return { kind: 'answer', frame };
    if (!isException && end === data.length) corrupt = frame;
  }
  return corrupt ? { kind: 'corrupt', frame: corrupt } : { kind: 'none' };
}

/** How the answer to a request begins.
 * @source MODBUS Application Protocol V1.1b3 §6 */
function headOf(request: Buffer): Buffer {
  const code = request[1] ?? 0;
  if (code <= 4 || code === READ_WRITE) return Buffer.of(request[0] ?? 0, code, valueBytes(request));
  if (code === IDENTIFY) return request.subarray(0, 4);
  return request.subarray(0, code === MASK ? 8 : 6);
}

/** How long the whole answer to a request is, in bytes.
 * @param begun what has come of it; an answer that tells its own length is infinite while it has not */
function answerLength(request: Buffer, begun: Buffer): number {
  const code = request[1] ?? 0;
  if (code <= 4 || code === READ_WRITE) return 3 + valueBytes(request) + CRC;
  if (code === MASK) return 8 + CRC;
  return code === IDENTIFY ? identificationLength(begun) : 6 + CRC;
}

function valueBytes(request: Buffer): number {
  const count = request.readUInt16BE(4);
  return (request[1] ?? 0) <= 2 ? Math.ceil(count / 8) : count * 2;
}

/** Unit, 43, 14, code, conformity, more follows, next object, count, and objects of id, length and text. */
function identificationLength(begun: Buffer): number {
  const objects = begun[7];
  let at = 8;
  if (objects === undefined) return Number.POSITIVE_INFINITY;
  for (let i = 0; i < objects; i++) {
    const length = begun[at + 1];
    if (length === undefined) return Number.POSITIVE_INFINITY;
    at += 2 + length;
  }
  return at + CRC;
}
