import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type EventStream,
  type HttpHandler,
  type HttpServer,
  listenError,
  pageHeaders,
  STREAM_LIMIT,
  streamHeaders,
} from './http.ts';

/** The server on node:http, for where no binary of uWebSockets.js loads. */
export class NodeHttpServer implements HttpServer {
  private readonly server: Server;

  constructor(handler: HttpHandler) {
    this.server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
      request.resume();
      const answer = handler({
        method: request.method ?? '',
        path: (request.url ?? '').split('?', 1)[0] ?? '',
      });
      if ('stream' in answer) return answer.stream(streamOf(response));
      response.writeHead(answer.status, pageHeaders(answer.type)).end(answer.body);
    });
    this.server.maxConnections = 64;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
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
    });
  }
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
