import type { Duplex } from 'node:stream';

/** Control frames that are used here. @source SPDY protocol draft 3.1, 2.6 */
const type = { synStream: 1, synReply: 2, rstStream: 3, ping: 6, goAway: 7 } as const;
const VERSION = 0x8003;
const FIN = 1;
/** More than container runtimes put into one. */
const LARGEST_FRAME = 1 << 20;

export type StreamHandlers = {
  readonly data: (bytes: Buffer) => void;
  /** No more data comes. */
  readonly end: () => void;
};

/** One stream of a connection, both ways. */
export class SpdyStream {
  private readonly id: number;
  private readonly send: (frame: Buffer) => Promise<void>;

  constructor(id: number, send: (frame: Buffer) => Promise<void>) {
    this.id = id;
    this.send = send;
  }

  /** Resolves when more may be written. */
  write(bytes: Uint8Array): Promise<void> {
    return this.send(Buffer.concat([dataHeader(this.id, 0, bytes.length), bytes]));
  }

  /** Nothing more follows from here. */
  end(): Promise<void> {
    return this.send(dataHeader(this.id, FIN, 0));
  }
}

/** The client's end of SPDY 3.1, as far as container runtimes speak it: they have commands in containers over it, because
 * their WebSockets cannot say that the input has ended. There is no flow control, as there is none in moby/spdystream.
 *
 * Headers go out in a zlib stream of stored blocks, which needs neither a compressor nor the dictionary of the protocol;
 * those that come in are passed over.
 *
 * Why not another way: docs/decisions/0007. */
export class SpdyConnection {
  /** Resolves when the other side has closed, or the connection is gone. */
  readonly closed: Promise<void>;
  private readonly socket: Duplex;
  private readonly handlers = new Map<number, StreamHandlers>();
  private readonly replies = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  private rest: Buffer = Buffer.alloc(0);
  private nextId = 1;
  private isFirst = true;

  /** @param head what came behind the answer to the upgrade */
  constructor(socket: Duplex, head: Buffer) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    void this.closed.then(() => this.gone());
    // 'close' follows.
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => this.read(chunk));
    if (head.length > 0) this.read(head);
  }

  /** Opens a stream; what is sent before it was answered would be dropped there.
   * @throws Error when it is refused */
  async open(headers: Readonly<Record<string, string>>, handlers: StreamHandlers): Promise<SpdyStream> {
    const id = this.nextId;
    this.nextId += 2;
    this.handlers.set(id, handlers);
    const replied = new Promise<void>((resolve, reject) => this.replies.set(id, { resolve, reject }));
    const body = Buffer.alloc(10);
    body.writeUInt32BE(id, 0);
    const block = storedBlock(headerBlock(headers), this.isFirst);
    this.isFirst = false;
    await this.send(control(type.synStream, Buffer.concat([body, block])));
    await replied;
    return new SpdyStream(id, (frame) => this.send(frame));
  }

  /** Reads no more from the other side, except what has come already. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  destroy(): void {
    this.socket.destroy();
  }

  private send(frame: Buffer): Promise<void> {
    if (this.socket.destroyed || this.socket.write(frame)) return Promise.resolve();
    return new Promise((resolve) => {
      this.socket.once('drain', resolve);
      void this.closed.then(resolve);
    });
  }

  private gone(): void {
    for (const { reject } of this.replies.values()) reject(new Error('the connection was closed'));
    this.replies.clear();
    for (const { end } of this.handlers.values()) end();
    this.handlers.clear();
  }

  private read(chunk: Buffer): void {
    this.rest = this.rest.length > 0 ? Buffer.concat([this.rest, chunk]) : chunk;
    while (this.rest.length >= 8) {
      const length = this.rest.readUIntBE(5, 3);
      if (length > LARGEST_FRAME) return this.destroy();
      if (this.rest.length < 8 + length) return;
      const frame = this.rest.subarray(0, 8 + length);
      this.rest = this.rest.subarray(8 + length);
      this.frame(frame);
    }
  }

  private frame(frame: Buffer): void {
    const first = frame.readUInt32BE(0);
    const flags = frame.readUInt8(4);
    const body = frame.subarray(8);
    if (first < 0x8000_0000) return this.data(first, body, flags);
    const id = body.length >= 4 ? body.readUInt32BE(0) & 0x7fff_ffff : 0;
    switch (first & 0xffff) {
      case type.synReply:
        this.replies.get(id)?.resolve();
        this.replies.delete(id);
        if (flags & FIN) this.ended(id);
        break;
      case type.rstStream:
        this.replies.get(id)?.reject(new Error('the stream was refused'));
        this.replies.delete(id);
        this.ended(id);
        break;
      case type.ping:
        void this.send(control(type.ping, body));
        break;
      case type.goAway:
        this.socket.end();
        break;
      default:
      // Settings and the like ask for nothing.
    }
  }

  private data(id: number, body: Buffer, flags: number): void {
    if (body.length > 0) this.handlers.get(id)?.data(body);
    if (flags & FIN) this.ended(id);
  }

  private ended(id: number): void {
    const handlers = this.handlers.get(id);
    this.handlers.delete(id);
    handlers?.end();
  }
}

function control(kind: number, body: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(VERSION, 0);
  header.writeUInt16BE(kind, 2);
  header.writeUIntBE(body.length, 5, 3);
  return Buffer.concat([header, body]);
}

function dataHeader(id: number, flags: number, length: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(id, 0);
  header.writeUInt8(flags, 4);
  header.writeUIntBE(length, 5, 3);
  return header;
}

/** Count, then each name and value with its length, four bytes each. @source SPDY protocol draft 3.1, 2.6.10 */
function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(headers);
  const word = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const text = (value: string): Buffer[] => [word(Buffer.byteLength(value)), Buffer.from(value)];
  return Buffer.concat([
    word(entries.length),
    ...entries.flatMap(([name, value]) => [...text(name), ...text(value)]),
  ]);
}

/** A piece of a zlib stream that compresses nothing, and an empty block behind it, which has the reader hand out what it has.
 * @source RFC 1950, 2.2; RFC 1951, 3.2.4 */
function storedBlock(bytes: Buffer, isFirst: boolean): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt16LE(bytes.length, 1);
  header.writeUInt16LE(bytes.length ^ 0xffff, 3);
  const start = isFirst ? [Buffer.from([0x78, 0x01])] : [];
  return Buffer.concat([...start, header, bytes, Buffer.from([0, 0, 0, 0xff, 0xff])]);
}
