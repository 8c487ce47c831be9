import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { HeaderReader, headerBlock } from './hpack.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const FRAME_HEAD = 9;
const LARGEST_FRAME = 16_384;
const LARGEST_BLOCK = 65_536;
const HEADERS = 1;
const CONTINUATION = 9;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const PADDED = 0x8;
const PRIORITY = 0x20;
/** What node:http2 takes for the name of a host. */
const authority = /^[A-Za-z0-9._~:%[\]@!$&'()*+,;=-]*$/;

/** A connection on which the name of the host may be anything: grpc-go before 1.58, and with it mappers of KubeEdge 1.17
 * and before, say the path of the socket, `/etc/kubeedge/dmi.sock`, which node:http2 refuses as a protocol error.
 * @source RFC 9113; grpc-go, ClientConn.determineAuthority */
export function withAnyAuthority(socket: Socket): Duplex {
  const frames = new HeaderFrames();
  const duplex = new Duplex({
    read: () => socket.resume(),
    write: (chunk: Buffer, _encoding, done) => socket.write(chunk, (error) => done(error)),
    final: (done) => socket.end(() => done()),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const part of frames.take(chunk)) if (!duplex.push(part)) socket.pause();
    } catch (error) {
      duplex.destroy(error as RangeError);
    }
  });
  socket.on('end', () => duplex.push(null));
  socket.on('close', () => duplex.destroy());
  socket.on('error', (error) => duplex.destroy(error));
  return duplex;
}

/** The client's bytes, with every header block replaced by one that says the same in literals. */
export class HeaderFrames {
  private readonly reader = new HeaderReader();
  private waiting: Buffer = Buffer.alloc(0);
  private begun = false;
  /** A header block that is not complete, and the frame that began it. */
  private block: { readonly stream: Buffer; readonly flags: number; parts: Buffer } | undefined;

  /** @returns what can go on
   * @throws RangeError on what is no HTTP/2 */
  take(chunk: Buffer): Buffer[] {
    this.waiting = this.waiting.length > 0 ? Buffer.concat([this.waiting, chunk]) : chunk;
    const out: Buffer[] = [];
    if (!this.begun) {
      const known = Math.min(this.waiting.length, PREFACE.length);
      if (!this.waiting.subarray(0, known).equals(PREFACE.subarray(0, known)))
        throw new RangeError('no HTTP/2');
      if (known < PREFACE.length) return out;
      this.begun = true;
      out.push(this.next(PREFACE.length));
    }
    while (this.waiting.length >= FRAME_HEAD) {
      const length = this.waiting.readUIntBE(0, 3);
      if (length > LARGEST_FRAME) throw new RangeError(`a frame of ${length} bytes`);
      if (this.waiting.length < FRAME_HEAD + length) break;
      const frame = this.frame(this.next(FRAME_HEAD + length));
      if (frame) out.push(frame);
    }
    return out;
  }

  private next(length: number): Buffer {
    const part = this.waiting.subarray(0, length);
    this.waiting = this.waiting.subarray(length);
    return part;
  }

  private frame(frame: Buffer): Buffer | undefined {
    const type = frame[3];
    const flags = frame[4] ?? 0;
    if (type === HEADERS)
      this.block = { stream: frame.subarray(5, 9), flags, parts: fragmentOf(frame, flags) };
    else if (type === CONTINUATION && this.block)
      this.block.parts = Buffer.concat([this.block.parts, frame.subarray(FRAME_HEAD)]);
    else return frame;
    if (this.block.parts.length > LARGEST_BLOCK) throw new RangeError('headers that are too large');
    return flags & END_HEADERS ? this.rewritten(this.block) : undefined;
  }

  private rewritten({ stream, flags, parts }: { stream: Buffer; flags: number; parts: Buffer }): Buffer {
    this.block = undefined;
    const headers = this.reader
      .read(parts)
      .map(([name, value]) =>
        name === ':authority' && !authority.test(value)
          ? ([name, 'localhost'] as const)
          : ([name, value] as const),
      );
    const body = headerBlock(headers);
    if (body.length > LARGEST_FRAME) throw new RangeError('headers that are too large');
    const head = Buffer.alloc(FRAME_HEAD);
    head.writeUIntBE(body.length, 0, 3);
    head[3] = HEADERS;
    head[4] = (flags & END_STREAM) | END_HEADERS;
    stream.copy(head, 5);
    return Buffer.concat([head, body]);
  }
}

/** The part of a header block in a HEADERS frame, without padding and priority. */
function fragmentOf(frame: Buffer, flags: number): Buffer {
  const padded = flags & PADDED ? 1 : 0;
  const padding = padded ? (frame[FRAME_HEAD] ?? 0) : 0;
  const start = FRAME_HEAD + padded + (flags & PRIORITY ? 5 : 0);
  if (start > frame.length - padding) throw new RangeError('more padding than frame');
  return Buffer.from(frame.subarray(start, frame.length - padding));
}
