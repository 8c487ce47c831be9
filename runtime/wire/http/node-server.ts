import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import {
  type EventStream,
  type HttpAnswer,
  type HttpHandler,
  type HttpServer,
  listenError,
  pageHeaders,
  refusalAnswer,
  STREAM_LIMIT,
  streamHeaders,
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
      request.resume();
      send(response, this.answer(request));
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

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
      for (const webSockets of this.webSockets) webSockets.closeAll();
    });
  }

  private answer(request: IncomingMessage): HttpAnswer {
    return this.handler({ method: request.method ?? '', path: pathOf(request) });
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
    send(response, refusal ? refusalAnswer(refusal) : this.answer(request));
  }
}

function send(response: ServerResponse, answer: HttpAnswer): void {
  if ('stream' in answer) return answer.stream(streamOf(response));
  response.writeHead(answer.status, pageHeaders(answer.type)).end(answer.body);
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
