import { asciiBytes, asciiFrame } from '../../mappers/modbus/framing.ts';
import { isIntact, sealed } from '../../mappers/modbus/rtu-frame.ts';

/** How frames lie on the wire. */
export type Form = 'mbap' | 'rtu' | 'ascii';

export type Request = { readonly unit: number; readonly pdu: Buffer; readonly frame: Buffer };

/** Requests that were found, and the bytes behind them; undefined for what is no Modbus. */
export type Cut = { readonly requests: readonly Request[]; readonly rest: Buffer } | undefined;

/** Cuts whole requests out of what came. */
export function cutRequests(form: Form, data: Buffer): Cut {
  switch (form) {
    case 'mbap':
      return cutMbap(data);
    case 'rtu':
      return cutRtu(data);
    case 'ascii':
      return cutAscii(data);
    default:
      return form satisfies never;
  }
}

/** The answer's frame. @source MODBUS Messaging on TCP/IP V1.0b §3.1.3; MODBUS over Serial Line V1.02 §2.5 */
export function frameAnswer(form: Form, { frame }: Request, unit: number, pdu: Buffer): Buffer {
  const message = Buffer.concat([Buffer.of(unit), pdu]);
  if (form === 'rtu') return sealed(message);
  if (form === 'ascii') return asciiFrame(message);
  const head = Buffer.from(frame.subarray(0, 6));
  head.writeUInt16BE(message.length, 4);
  return Buffer.concat([head, message]);
}

function cutMbap(data: Buffer): Cut {
  const requests: Request[] = [];
  let rest = data;
  while (rest.length >= 7) {
    const size = 6 + rest.readUInt16BE(4);
    if (size > 260 || size < 8) return undefined;
    if (rest.length < size) break;
    const frame = rest.subarray(0, size);
    requests.push({ unit: frame[6] ?? 0, pdu: frame.subarray(7), frame });
    rest = rest.subarray(size);
  }
  return { requests, rest };
}

/** A frame that is not intact is passed over byte by byte. */
function cutRtu(data: Buffer): Cut {
  const requests: Request[] = [];
  let rest = data;
  for (let size = rtuSize(rest); size !== undefined && rest.length >= size; size = rtuSize(rest)) {
    const frame = rest.subarray(0, size);
    const intact = isIntact(frame);
    if (intact) requests.push({ unit: frame[0] ?? 0, pdu: frame.subarray(1, -2), frame });
    rest = rest.subarray(intact ? size : 1);
  }
  return { requests, rest };
}

function cutAscii(data: Buffer): Cut {
  const requests: Request[] = [];
  let rest = data;
  for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
    const line = rest.subarray(0, end).toString('latin1');
    const bytes = asciiBytes(line.slice(Math.max(0, line.lastIndexOf(':'))));
    if (bytes)
      requests.push({ unit: bytes[0] ?? 0, pdu: bytes.subarray(1), frame: rest.subarray(0, end + 1) });
    rest = rest.subarray(end + 1);
  }
  return { requests, rest };
}

/** Whole size of the request that `data` begins with, by its function code; undefined while that cannot be told.
 * @source MODBUS Application Protocol V1.1b3 §6 */
function rtuSize(data: Buffer): number | undefined {
  const sized: Readonly<Record<number, number>> = { 15: 6, 16: 6, 23: 10 };
  const code = data[1];
  if (code === undefined) return undefined;
  if (code === 22) return 10;
  if (code === 43) return 7;
  const at = sized[code];
  if (at === undefined) return 8;
  const bytes = data[at];
  return bytes === undefined ? undefined : at + 3 + bytes;
}
