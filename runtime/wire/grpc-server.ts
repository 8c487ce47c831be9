import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { errorText } from '../core/errors.ts';
import { type Bytes, type Millis, millis, minutes, seconds } from '../core/units.ts';
import { withAnyAuthority } from './authority-filter.ts';
import { escaped, GrpcError, grpcStatus } from './grpc-status.ts';

/** Answers one call. @throws GrpcError what the caller is told; anything else is told as internal */
export type GrpcMethod = (request: Buffer) => Promise<Buffer>;

export type GrpcServerOptions = {
  /** By `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, GrpcMethod>;
  /** Of one request. */
  readonly largest: Bytes;
};

/** A call ends with this, or with its own `grpc-timeout` when that is sooner. */
const LONGEST: Millis = seconds(10);
const CONNECTIONS = 64;
const CALLS_AT_ONCE = 32;
/** Clients open a new connection by themselves. */
const IDLE: Millis = minutes(5);
const HEAD = 5;
const units: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** Unary gRPC calls on connections that somebody else accepts.
 * @source gRPC over HTTP/2 */
export class GrpcServer {
  private readonly options: GrpcServerOptions;
  private readonly server: Http2Server;
  private readonly sockets = new Set<Socket>();

  constructor(options: GrpcServerOptions) {
    this.options = options;
    this.server = createServer({ settings: { maxConcurrentStreams: CALLS_AT_ONCE } });
    // Bytes that are no HTTP/2 end their connection, and nothing else.
    this.server.on('sessionError', () => {});
    this.server.on('stream', (stream, headers) => this.called(stream, headers));
  }

  accept(socket: Socket): void {
    socket.on('error', () => {});
    if (this.sockets.size >= CONNECTIONS) return void socket.destroy();
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    // The socket's own timer: that of an HTTP/2 session outlives it, with all that it refers to.
    socket.setTimeout(IDLE, () => socket.destroy());
    this.server.emit('connection', withAnyAuthority(socket));
  }

  /** Ends every connection; calls under way are lost. */
  close(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  private called(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on('error', () => {});
    const http = httpFault(headers);
    if (http) return stream.respond({ ':status': http }, { endStream: true });
    const call = new Call(stream);
    const method = this.options.methods.get(String(headers[':path']));
    if (!method) return call.fail(grpcStatus.unimplemented, `unknown method ${headers[':path']}`);
    const encoding = headers['grpc-encoding'] ?? 'identity';
    if (encoding !== 'identity')
      return call.fail(grpcStatus.unimplemented, `compression ${encoding} is not known here: send identity`);
    call.run(method, timeoutOf(headers), this.options.largest);
  }
}

/** One call, from its first byte to its status. */
class Call {
  private readonly stream: ServerHttp2Stream;
  private readonly chunks: Buffer[] = [];
  private size = 0;
  private timer: NodeJS.Timeout | undefined;
  private done = false;

  constructor(stream: ServerHttp2Stream) {
    this.stream = stream;
    stream.on('close', () => this.finish());
  }

  run(method: GrpcMethod, timeout: Millis, largest: Bytes): void {
    const { stream } = this;
    this.timer = setTimeout(() => this.fail(grpcStatus.deadline, `not done within ${timeout} ms`), timeout);
    stream.on('data', (chunk: Buffer) => {
      this.size += chunk.length;
      if (this.size > largest + HEAD)
        this.fail(grpcStatus.exhausted, `a request of more than ${largest} bytes: report less at once`);
      else if (!this.done) this.chunks.push(chunk);
    });
    stream.on('end', () => void this.answer(method));
  }

  /** Ends the call with a status; nothing more of the request is read. */
  fail(status: number, text: string): void {
    if (!this.finish()) return;
    const { stream } = this;
    if (stream.destroyed) return;
    stream.respond(
      { ...ANSWER_HEAD, 'grpc-status': `${status}`, 'grpc-message': escaped(text) },
      { endStream: true },
    );
    // What the client still sends would fill the window for ever.
    stream.resume();
    stream.end();
  }

  private async answer(method: GrpcMethod): Promise<void> {
    if (this.done) return;
    try {
      this.succeed(await method(messageOf(Buffer.concat(this.chunks))));
    } catch (error) {
      if (error instanceof GrpcError) this.fail(error.status, error.message);
      else this.fail(grpcStatus.internal, errorText(error));
    }
  }

  private succeed(bytes: Buffer): void {
    const { stream } = this;
    if (!this.finish() || stream.destroyed) return;
    const frame = Buffer.alloc(HEAD + bytes.length);
    frame.writeUInt32BE(bytes.length, 1);
    bytes.copy(frame, HEAD);
    stream.respond(ANSWER_HEAD, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(frame);
  }

  /** @returns whether it was not finished before */
  private finish(): boolean {
    const first = !this.done;
    this.done = true;
    clearTimeout(this.timer);
    this.chunks.length = 0;
    return first;
  }
}

const ANSWER_HEAD = { ':status': 200, 'content-type': 'application/grpc' } as const;

function httpFault(headers: IncomingHttpHeaders): number | undefined {
  if (headers[':method'] !== 'POST') return 405;
  return /^application\/grpc($|[+;])/.test(headers['content-type'] ?? '') ? undefined : 415;
}

function timeoutOf(headers: IncomingHttpHeaders): Millis {
  const [, amount, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(String(headers['grpc-timeout'] ?? '')) ?? [];
  if (amount === undefined) return LONGEST;
  return millis(Math.min(Math.ceil(Number(amount) * (units[unit] ?? 1)), LONGEST));
}

/** Takes the one message out of its frame.
 * @throws GrpcError internal */
function messageOf(body: Buffer): Buffer {
  const length = body.length < HEAD ? -1 : body.readUInt32BE(1);
  if (length < 0 || body.length < HEAD + length) throw new GrpcError(grpcStatus.internal, 'a cut request');
  if (body.length > HEAD + length) throw new GrpcError(grpcStatus.internal, 'more than one message');
  if (body[0] !== 0) throw new GrpcError(grpcStatus.internal, 'a compressed message without grpc-encoding');
  return body.subarray(HEAD);
}
