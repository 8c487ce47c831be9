import type { FramingName } from './config-endpoint.ts';
import { findAnswer, type RtuInput, sealed } from './rtu-frame.ts';

/** What came: an answer in RTU's form, one that is damaged, nothing yet, or something that is no Modbus at all. */
export type Input = RtuInput | { readonly kind: 'garbled'; readonly why: string };

/** How frames lie on a wire. Requests go in and answers come out in RTU's form, which modbus-serial speaks. */
export interface Framing {
  /** Answers carry the number of their request, so that a late one is known. */
  readonly isNumbered: boolean;
  /** @returns the request's bytes for the wire; what came before belongs to another one */
  begin(request: Buffer): Buffer;
  take(chunk: Buffer): Input;
}

/** @param isDatagram each chunk is a whole frame */
export function newFraming(name: FramingName, isDatagram: boolean): Framing {
  switch (name) {
    case 'mbap':
      return new MbapFraming(isDatagram);
    case 'rtu':
      return new RtuFraming();
    case 'ascii':
      return new AsciiFraming();
    default:
      return name satisfies never;
  }
}

const EMPTY = Buffer.alloc(0);
const NOTHING: Input = { kind: 'none' };
/** Longer than any frame with its echo; noise beyond is forgotten from the front. */
const MOST_BYTES = 1200;

class RtuFraming implements Framing {
  readonly isNumbered = false;
  private request: Buffer = Buffer.alloc(0);
  private data: Buffer = Buffer.alloc(0);
  /** A two-wire adapter hears itself. Found out by a read, whose answer never looks like its request; of a write it
   * does, and the echo would be taken for the answer. */
  private echoes = false;
  private stripped = false;

  begin(request: Buffer): Buffer {
    this.request = request;
    this.data = Buffer.alloc(0);
    this.stripped = false;
    return request;
  }

  take(chunk: Buffer): Input {
    this.data = Buffer.concat([this.data, chunk]).subarray(-MOST_BYTES);
    this.strip();
    return findAnswer(this.data, this.request);
  }

  private strip(): void {
    const { request, data } = this;
    if (this.stripped || data.length < request.length) return;
    const isEcho = data.subarray(0, request.length).equals(request);
    if (isEcho && (request[1] ?? 0) <= 4) this.echoes = true;
    if (!isEcho || !this.echoes) return;
    this.data = data.subarray(request.length);
    this.stripped = true;
  }
}

/** `:` and two hexadecimal digits a byte, a sum over all, CR LF.
 * @source MODBUS over Serial Line V1.02 §2.5.2 */
class AsciiFraming implements Framing {
  readonly isNumbered = false;
  private request: Buffer = Buffer.alloc(0);
  private text = '';

  begin(request: Buffer): Buffer {
    this.request = request;
    this.text = '';
    return asciiFrame(request.subarray(0, -2));
  }

  take(chunk: Buffer): Input {
    this.text = (this.text + chunk.toString('latin1')).slice(-MOST_BYTES);
    let outcome = NOTHING;
    for (let end = this.text.indexOf('\n'); end >= 0; end = this.text.indexOf('\n')) {
      const line = this.text.slice(this.text.lastIndexOf(':', end), end);
      this.text = this.text.slice(end + 1);
      const bytes = asciiBytes(line);
      if (!bytes) outcome = { kind: 'corrupt', frame: Buffer.from(line, 'latin1') };
      else outcome = findAnswer(sealed(bytes), this.request);
      if (outcome.kind === 'answer') return outcome;
    }
    return outcome;
  }
}

/** A message's frame in ASCII. */
export function asciiFrame(bytes: Buffer): Buffer {
  return Buffer.from(
    `:${Buffer.concat([bytes, Buffer.of(lrc(bytes))])
      .toString('hex')
      .toUpperCase()}\r\n`,
  );
}

/** @returns the message of a frame, undefined when its sum is wrong */
export function asciiBytes(line: string): Buffer | undefined {
  const hex = /^:((?:[0-9a-f]{2}){3,})\r?$/i.exec(line)?.[1];
  if (hex === undefined) return undefined;
  const bytes = Buffer.from(hex, 'hex');
  return bytes.at(-1) === lrc(bytes.subarray(0, -1)) ? bytes.subarray(0, -1) : undefined;
}

function lrc(bytes: Buffer): number {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  return -sum & 0xff;
}

const HEADER = 7;
/** Unit and the longest PDU. @source MODBUS Messaging on TCP/IP V1.0b §3.1.3 */
const LONGEST = 254;

/** Modbus TCP's header: transaction, protocol 0, length, unit. */
class MbapFraming implements Framing {
  readonly isNumbered = true;
  private readonly isDatagram: boolean;
  private transaction = 0;
  private request: Buffer = EMPTY;
  private data: Buffer = EMPTY;

  constructor(isDatagram: boolean) {
    this.isDatagram = isDatagram;
  }

  begin(request: Buffer): Buffer {
    // The same memory for all of a length: one kept for a second would count as old, and be garbage for long.
    if (this.request.length !== request.length) this.request = Buffer.alloc(request.length);
    request.copy(this.request);
    this.transaction = (this.transaction + 1) & 0xffff;
    const frame = Buffer.allocUnsafe(6 + request.length - 2);
    frame.writeUInt16BE(this.transaction, 0);
    frame.writeUInt16BE(0, 2);
    frame.writeUInt16BE(request.length - 2, 4);
    request.copy(frame, 6, 0, request.length - 2);
    return frame;
  }

  take(chunk: Buffer): Input {
    this.data = this.isDatagram || this.data.length === 0 ? chunk : Buffer.concat([this.data, chunk]);
    while (this.data.length >= HEADER) {
      const length = this.data.readUInt16BE(4);
      if (this.data.readUInt16BE(2) !== 0 || length < 3 || length > LONGEST) return this.garbled();
      if (this.data.length < 6 + length) break;
      const isMine = this.data.readUInt16BE(0) === this.transaction;
      const bytes = this.data.subarray(6, 6 + length);
      // An empty view would keep the whole chunk.
      this.data = this.data.length === 6 + length ? EMPTY : this.data.subarray(6 + length);
      if (isMine) return this.answer(bytes);
    }
    return NOTHING;
  }

  /** Its number is the request's, so it is the answer or the device is wrong. */
  private answer(bytes: Buffer): Input {
    const found = findAnswer(sealed(bytes), this.request);
    return found.kind === 'answer'
      ? found
      : { kind: 'garbled', why: 'what came is no answer to the request' };
  }

  private garbled(): Input {
    this.data = EMPTY;
    return { kind: 'garbled', why: 'what came is no Modbus' };
  }
}
