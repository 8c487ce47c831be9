import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { listenUnix } from '../unix-socket.ts';
import {
  BODY_LIMIT,
  type EventStream,
  type HttpAnswer,
  type HttpHandler,
  type HttpServer,
  listenError,
  pageHeaders,
  refusalAnswer,
  STREAM_LIMIT,
  streamHeaders,
  tooLong,
} from './http.ts';
import { NodeWebSockets } from './node-web-sockets.ts';
import type { UpgradeRoute } from './upgrade.ts';

/** Connections besides WebSockets. */
const CONNECTIONS = 64;

/** The server on node:http, for where no binary of uWebSockets.js loads. */
export class NodeHttpServer implements HttpServer {
  private readonly server: Server;
  private readonly handler: HttpHandler;
  private readonly webSockets: NodeWebSockets[] = [];

  constructor(handler: HttpHandler) {
    this.handler = handler;
    this.server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
      void bodyOf(request).then(async (body) => {
        send(response, body === undefined ? tooLong : await this.answer(request, body));
      });
    });
    this.server.maxConnections = CONNECTIONS;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  upgrade(route: UpgradeRoute): void {
    if (this.webSockets.length === 0) {
      this.server.on('upgrade', (request, socket, head) => this.takeOver(request, socket as Socket, head));
    }
    this.webSockets.push(new NodeWebSockets(route));
    this.server.maxConnections += route.connections;
  }

  start(address: { readonly host: string; readonly port: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', (cause) => reject(listenError(address, cause)));
      this.server.listen(address.port, address.host, () => resolve());
    });
  }

  /** Listens on a unix socket instead, which only the user of this process may use.
   * @param what names the server in the error
   * @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  async startUnix(what: string, path: string): Promise<void> {
    await listenUnix(this.server, what, path, 0o600);
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
      for (const webSockets of this.webSockets) webSockets.closeAll();
    });
  }

  private answer(request: IncomingMessage, body = ''): HttpAnswer | Promise<HttpAnswer> {
    return this.handler({
      method: request.method ?? '',
      path: pathOf(request),
      header: (name) => request.headers[name]?.toString(),
      address: request.socket.remoteAddress ?? '',
      body,
    });
  }

  /** Once WebSockets are taken, Node hands over every request that asks for another protocol. */
  private takeOver(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const wanted = request.headers.upgrade?.toLowerCase() === 'websocket' && request.method === 'GET';
    const found = wanted ? this.webSockets.find(({ path }) => path === pathOf(request)) : undefined;
    socket.on('error', () => {}); // a close follows it
    const refusal = found?.upgrade(request, socket, head);
    if (found && !refusal) return;
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once('finish', () => socket.destroySoon());
    if (refusal) send(response, refusalAnswer(refusal));
    else void Promise.resolve(this.answer(request)).then((answer) => send(response, answer));
  }
}

function send(response: ServerResponse, answer: HttpAnswer): void {
  if ('stream' in answer) return answer.stream(streamOf(response));
  response.writeHead(answer.status, pageHeaders(answer)).end(answer.body);
}

/** @returns undefined when it is too long; the rest of it is thrown away as it comes */
function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= BODY_LIMIT) chunks.push(chunk);
      else resolve(undefined);
    });
    request.once('end', () => resolve(Buffer.concat(chunks).toString()));
    request.on('error', () => {}); // the client has gone, and hears no answer
  });
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0] ?? '';
}

function streamOf(response: ServerResponse): EventStream {
  response.writeHead(200, streamHeaders);
  response.flushHeaders();
  return {
    write(text) {
      response.write(text);
      return response.writableLength < STREAM_LIMIT;
    },
    onClose: (closed) => response.once('close', closed),
    close: () => response.destroy(),
  };
}
