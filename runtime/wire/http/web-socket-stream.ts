import { Duplex } from 'node:stream';

/** A WebSocket of whichever library, as the stream over it uses it. */
export interface MessageSocket {
  /** Sends each buffer as a binary message; false when no more may be sent until the stream is told so. */
  send(messages: readonly Buffer[]): boolean;
  /** Stops or goes on reading from the network; absent where the library cannot. */
  hold?(held: boolean): void;
  close(code: number): void;
  terminate(): void;
}

/** Close codes. @source RFC 6455 §7.4.1 */
const NORMAL = 1000;
const UNSUPPORTED_DATA = 1003;
/** @source IANA WebSocket Close Code Number Registry: try again later */
const TRY_AGAIN = 1013;
/** Bytes that may wait to be read, besides one message of the largest size, where the network cannot be held. */
const UNREAD = 64 * 1024;

/** The bytes of a WebSocket's binary messages as one stream; where messages begin and end is of no account.
 * Whoever owns the socket calls `received`, `drained` and `gone`. */
export class WebSocketStream extends Duplex {
  private readonly unreadBytes: number;
  private socket: MessageSocket | undefined;
  private leaving = false;
  private whenDrained: (() => void) | undefined;

  constructor(socket: MessageSocket, maxPayload: number) {
    super({ allowHalfOpen: false, readableHighWaterMark: UNREAD });
    this.socket = socket;
    this.unreadBytes = maxPayload + UNREAD;
  }

  /** A message came. */
  received(data: Buffer, isBinary: boolean): void {
    if (!this.socket || this.leaving) return;
    if (!isBinary) return this.leave(UNSUPPORTED_DATA); // [MQTT-6.0.0-1]
    if (this.push(data)) return;
    if (this.socket.hold) this.socket.hold(true);
    else if (this.readableLength > this.unreadBytes) this.leave(TRY_AGAIN);
  }

  /** What was sent has left. */
  drained(): void {
    const done = this.whenDrained;
    this.whenDrained = undefined;
    done?.();
  }

  /** The socket is gone. */
  gone(): void {
    this.socket = undefined;
    this.drained();
    if (!this.destroyed) this.push(null);
  }

  override _read(): void {
    this.socket?.hold?.(false);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.send([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.send(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: () => void): void {
    this.leave(NORMAL);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { socket } = this;
    this.socket = undefined;
    socket?.terminate();
    this.drained();
    done(error);
  }

  private send(messages: readonly Buffer[], done: () => void): void {
    // What is written to a socket that is gone is lost, as on TCP.
    if (!this.socket || this.leaving || this.socket.send(messages)) done();
    else this.whenDrained = done;
  }

  private leave(code: number): void {
    if (this.leaving) return;
    this.leaving = true;
    this.socket?.close(code);
  }
}
