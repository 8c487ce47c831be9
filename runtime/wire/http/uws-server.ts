import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import {
  BODY_LIMIT,
  type EventStream,
  type HttpAnswer,
  type HttpHandler,
  type HttpRequest,
  type HttpServer,
  type HttpText,
  listenError,
  pageHeaders,
  refusalAnswer,
  STREAM_LIMIT,
  streamHeaders,
  tooLong,
} from './http.ts';
import type { UpgradeRoute } from './upgrade.ts';
import { addressText, type UwsBehavior, UwsWebSockets } from './uws-web-sockets.ts';

/** The part of uWebSockets.js' native module that is used. */
export type Uws = {
  App(): UwsApp;
  us_listen_socket_close(socket: unknown): void;
  us_socket_local_port(socket: unknown): number;
};

type UwsApp = {
  ws(pattern: string, behavior: UwsBehavior<UwsResponse>): UwsApp;
  any(pattern: string, handler: (response: UwsResponse, request: UwsRequest) => void): UwsApp;
  listen(host: string, port: number, options: number, listening: (socket: unknown) => void): UwsApp;
};

type UwsRequest = {
  getMethod(): string;
  getUrl(): string;
  forEach(each: (name: string, value: string) => void): void;
};

type UwsResponse = {
  cork(work: () => void): void;
  writeStatus(status: string): UwsResponse;
  writeHeader(name: string, value: string): UwsResponse;
  write(chunk: string): boolean;
  end(body?: string): void;
  close(): void;
  onAborted(aborted: () => void): void;
  onData(chunk: (part: ArrayBuffer, isLast: boolean) => void): void;
  getRemoteAddress(): ArrayBuffer;
  upgrade(data: object, key: string, protocol: string, extensions: string, context: unknown): void;
};

/** Not LIBUS_LISTEN_EXCLUSIVE_PORT: that leaves out SO_REUSEADDR, and connections that have ended would hold the port
 * for a minute after a restart. */
const SHARED = 0;

/** Loads the native file of uWebSockets.js for this Node.js, looked for in `folders`.
 * Its own JavaScript is left out: it searches by paths that do not exist in a bundle.
 * @returns undefined where there is none, or its C library is too old for it */
export function loadUws(folders: readonly string[]): Uws | undefined {
  const file = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`;
  for (const folder of folders) {
    const path = join(folder, file);
    if (!existsSync(path)) continue;
    try {
      return createRequire(path)(path) as Uws;
    } catch {
      // Built for a newer C library: node:http serves instead.
    }
  }
  return undefined;
}

/** The server on uWebSockets.js. */
export class UwsHttpServer implements HttpServer {
  private readonly uws: Uws;
  private readonly app: UwsApp;
  private readonly open = new Set<UwsResponse>();
  private readonly webSockets: UwsWebSockets<UwsResponse>[] = [];
  private socket: unknown;

  constructor(uws: Uws, handler: HttpHandler) {
    this.uws = uws;
    this.app = uws.App().any('/*', (response, request) => {
      const asked = requestOf(request, response);
      if (asked.method !== 'POST') return this.answer(response, handler(asked));
      const answer = bodyOf(response).then((body) =>
        body === undefined ? tooLong : handler({ ...asked, body }),
      );
      this.answer(response, answer);
    });
  }

  get port(): number {
    return this.uws.us_socket_local_port(this.socket);
  }

  upgrade(route: UpgradeRoute): void {
    const webSockets = new UwsWebSockets<UwsResponse>(route, (response, refusal) =>
      send(response, refusalAnswer(refusal)),
    );
    this.app.ws(route.path, webSockets.behavior);
    this.webSockets.push(webSockets);
  }

  async start(address: { readonly host: string; readonly port: number }): Promise<void> {
    // It would share the port with another process unnoticed, and says only that it failed: a plain socket looks first.
    const fault = await whyNot(address);
    if (fault !== undefined) throw listenError(address, fault);
    this.app.listen(address.host, address.port, SHARED, (socket) => {
      this.socket = socket;
    });
    if (!this.socket) throw listenError(address, undefined);
  }

  async stop(): Promise<void> {
    if (this.socket) this.uws.us_listen_socket_close(this.socket);
    this.socket = undefined;
    for (const response of this.open) response.close();
    for (const webSockets of this.webSockets) webSockets.closeAll();
  }

  private answer(response: UwsResponse, answer: HttpAnswer | Promise<HttpAnswer>): void {
    if (answer instanceof Promise) {
      let isAborted = false;
      response.onAborted(() => {
        isAborted = true;
      });
      void answer.then((text) => {
        if (!isAborted && 'status' in text) send(response, text);
      });
    } else if ('stream' in answer) answer.stream(this.streamOf(response));
    else send(response, answer);
  }

  private streamOf(response: UwsResponse): EventStream {
    let closed = (): void => {};
    let held = 0;
    this.open.add(response);
    const write = (text: string): boolean => {
      if (!this.open.has(response)) return false;
      let flowing = true;
      response.cork(() => {
        flowing = response.write(text);
      });
      held = flowing ? 0 : held + text.length;
      return held < STREAM_LIMIT;
    };
    response.onAborted(() => {
      this.open.delete(response);
      closed();
    });
    response.cork(() => {
      response.writeStatus('200');
      writeHeaders(response, streamHeaders);
      response.write(': \n\n');
    });
    return {
      write,
      onClose: (listener) => {
        closed = listener;
      },
      close: () => {
        if (this.open.has(response)) response.close();
      },
    };
  }
}

/** What uWebSockets.js says is true only until its callback returns, so it is copied. */
function requestOf(request: UwsRequest, response: UwsResponse): HttpRequest {
  const headers = new Map<string, string>();
  request.forEach((name, value) => void headers.set(name, value));
  return {
    method: request.getMethod().toUpperCase(),
    path: request.getUrl(),
    header: (name) => headers.get(name),
    address: addressText(response.getRemoteAddress()),
    body: '',
  };
}

/** @returns undefined when it is too long */
function bodyOf(response: UwsResponse): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve) => {
    response.onData((part, isLast) => {
      size += part.byteLength;
      if (size <= BODY_LIMIT) chunks.push(Buffer.from(part.slice(0)));
      if (isLast) resolve(size <= BODY_LIMIT ? Buffer.concat(chunks).toString() : undefined);
    });
  });
}

function send(response: UwsResponse, answer: HttpText): void {
  response.cork(() => {
    response.writeStatus(String(answer.status));
    writeHeaders(response, pageHeaders(answer));
    response.end(answer.body);
  });
}

function writeHeaders(response: UwsResponse, headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) response.writeHeader(name, value);
}

function whyNot(address: { host: string; port: number }): Promise<unknown> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', resolve);
    probe.listen(address.port, address.host, () => probe.close(() => resolve(undefined)));
  });
}
