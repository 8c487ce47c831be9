import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { type Millis, mebibytes } from '../core/units.ts';
import { GrpcError, grpcStatus, unescaped } from './grpc-status.ts';

const LARGEST_ANSWER = mebibytes(16);

/** Unary gRPC calls over one HTTP/2 connection to a unix socket; connects when needed, and again after a loss.
 * @source gRPC over HTTP/2 */
export class GrpcClient {
  readonly path: string;
  private readonly lost: (reason: string) => void;
  private session: ClientHttp2Session | undefined;
  private greeted: ClientHttp2Session | undefined;

  /** @param path of the unix socket
   * @param lost called when the connection has ended, or could not be made; not after {@link close} */
  constructor(path: string, lost: (reason: string) => void = () => {}) {
    this.path = path;
    this.lost = lost;
  }

  /** Connects without a call.
   * @returns resolves when the other side has spoken HTTP/2; rejects with GrpcError unavailable */
  connect(limit: Millis): Promise<void> {
    const session = this.connected();
    if (this.greeted === session) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const silent = new Error(`no HTTP/2 within ${limit} ms`);
      let reason = 'the connection closed at once';
      const timer = setTimeout(() => session.destroy(silent), limit);
      session.once('error', (error: Error) => {
        reason = error.message;
      });
      session.once('remoteSettings', () => {
        clearTimeout(timer);
        this.greeted = session;
        resolve();
      });
      session.once('close', () => {
        clearTimeout(timer);
        reject(new GrpcError(grpcStatus.unavailable, reason));
      });
    });
  }

  /** Makes one call.
   * @param method `/package.Service/Method`
   * @returns the answer's message bytes; rejects with GrpcError */
  call(method: string, request: Buffer, timeout: Millis): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const stream = this.open(method, timeout);
      const answer = new Answer(stream, timeout, resolve, reject);
      stream.on('response', (headers) => answer.headers(headers));
      stream.on('data', (chunk: Buffer) => answer.data(chunk));
      stream.on('trailers', (headers) => answer.trailers(headers));
      stream.on('error', (error) => answer.fail(grpcStatus.unavailable, reasonOf(error)));
      stream.on('close', () => answer.close(this.path));
      const frame = Buffer.alloc(5 + request.length);
      frame.writeUInt32BE(request.length, 1);
      request.copy(frame, 5);
      stream.end(frame);
    });
  }

  close(): void {
    const { session } = this;
    this.session = undefined;
    session?.destroy();
  }

  private open(method: string, timeout: Millis): ClientHttp2Stream {
    return this.connected().request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: method,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': `${timeout}m`,
    });
  }

  private connected(): ClientHttp2Session {
    if (this.session && !this.session.closed && !this.session.destroyed) return this.session;
    const session = connect('http://localhost', { createConnection: () => connectSocket(this.path) });
    let reason = 'the connection was closed';
    // The streams report it, too; without a listener it would end the process.
    session.on('error', (error: Error) => {
      reason = error.message;
    });
    session.on('goaway', () => session.close());
    session.on('close', () => {
      if (this.session !== session) return;
      this.session = undefined;
      this.lost(reason);
    });
    this.session = session;
    return session;
  }
}

/** Gathers one answer until its status is known. */
class Answer {
  private readonly stream: ClientHttp2Stream;
  private readonly resolve: (bytes: Buffer) => void;
  private readonly reject: (error: GrpcError) => void;
  private readonly timer: NodeJS.Timeout;
  private readonly chunks: Buffer[] = [];
  private size = 0;
  private settled = false;

  constructor(
    stream: ClientHttp2Stream,
    timeout: Millis,
    resolve: (bytes: Buffer) => void,
    reject: (error: GrpcError) => void,
  ) {
    this.stream = stream;
    this.resolve = resolve;
    this.reject = reject;
    this.timer = setTimeout(() => this.fail(grpcStatus.deadline, `no answer within ${timeout} ms`), timeout);
  }

  headers(headers: Readonly<Record<string, unknown>>): void {
    const http = Number(headers[':status']);
    if (http !== 200) this.fail(grpcStatus.unavailable, `HTTP status ${http}`);
    else if (headers['grpc-status'] !== undefined) this.trailers(headers);
  }

  data(chunk: Buffer): void {
    this.size += chunk.length;
    if (this.size > LARGEST_ANSWER)
      this.fail(grpcStatus.exhausted, `an answer of more than ${LARGEST_ANSWER} bytes`);
    else this.chunks.push(chunk);
  }

  trailers(headers: Readonly<Record<string, unknown>>): void {
    const status = Number(headers['grpc-status'] ?? grpcStatus.unknown);
    if (status !== grpcStatus.ok) return this.fail(status, unescaped(String(headers['grpc-message'] ?? '')));
    const body = Buffer.concat(this.chunks);
    if (body.length < 5 || body.length < 5 + body.readUInt32BE(1))
      return this.fail(grpcStatus.unknown, 'a cut answer');
    this.settle();
    this.resolve(body.subarray(5, 5 + body.readUInt32BE(1)));
  }

  close(path: string): void {
    this.fail(grpcStatus.unavailable, `${path}: the connection closed before the answer`);
  }

  fail(status: number, message: string): void {
    if (this.settled) return;
    this.settle();
    if (!this.stream.closed) this.stream.close(constants.NGHTTP2_CANCEL);
    this.reject(new GrpcError(status, message));
  }

  private settle(): void {
    this.settled = true;
    clearTimeout(this.timer);
  }
}

/** A stream fails because its connection did: that is what an operator can act on. */
function reasonOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}
