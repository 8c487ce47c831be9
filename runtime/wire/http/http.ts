import { EdgeError, errorCode } from '../../core/errors.ts';
import type { UpgradeRefusal, UpgradeRoute } from './upgrade.ts';

export type HttpRequest = {
  readonly method: string;
  /** Without query. */
  readonly path: string;
  /** @param name in small letters */
  readonly header: (name: string) => string | undefined;
  /** IP address of the client; empty on a unix socket. */
  readonly address: string;
  /** Of a POST, as text; one that is too long does not get here. */
  readonly body: string;
};

export type HttpText = {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  /** Besides those of every answer. */
  readonly headers?: Readonly<Record<string, string>>;
};

/** A whole answer, or an open stream of events. */
export type HttpAnswer = HttpText | { readonly stream: (stream: EventStream) => void };

/** One client that listens to server-sent events.
 * @source WHATWG HTML, Server-sent events */
export interface EventStream {
  /** Sends text as it is; false once the client has more unread than it may hold. */
  write(text: string): boolean;
  /** Calls back once when the client has gone or the stream was closed. */
  onClose(closed: () => void): void;
  close(): void;
}

/** A local HTTP server, on uWebSockets.js where its binary loads, else on node:http. */
export interface HttpServer {
  /** Port that it listens on, once started. */
  readonly port: number;
  /** Takes WebSockets on a path; before `start`. */
  upgrade(route: UpgradeRoute): void;
  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  start(address: { readonly host: string; readonly port: number }): Promise<void>;
  stop(): Promise<void>;
}

/** Answers at once, or when it can; a handler never rejects. */
export type HttpHandler = (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;

/** Bytes that the body of a request may have. */
export const BODY_LIMIT = 64 * 1024;

/** What a client reads whose body is longer. */
export const tooLong: HttpText = {
  status: 413,
  type: 'text/plain; charset=utf-8',
  body: `a body has ${BODY_LIMIT} bytes at most\n`,
};

/** Bytes that an event stream may hold back before the client counts as too slow. */
export const STREAM_LIMIT = 256 * 1024;

export const streamHeaders: Readonly<Record<string, string>> = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store',
};

/** What goes with every page: nothing from elsewhere is loaded, no other site may frame it. */
export function pageHeaders({ type, headers }: HttpText): Readonly<Record<string, string>> {
  return {
    ...headers,
    'Content-Type': type,
    'Cache-Control': 'no-store',
    'Content-Security-Policy': "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
    'X-Frame-Options': 'DENY',
    'X-Content-Type-Options': 'nosniff',
  };
}

/** What a client reads that gets no WebSocket. */
export function refusalAnswer({ status, reason }: UpgradeRefusal) {
  return { status, type: 'text/plain; charset=utf-8', body: `${reason}\n` };
}

/** The error of a server that could not listen. */
export function listenError(address: { host: string; port: number }, cause: unknown): EdgeError {
  const code = errorCode(cause) === 'EADDRINUSE' ? 'PORT_TAKEN' : 'PORT_UNUSABLE';
  return new EdgeError(code, { detail: `HTTP ${address.host}:${address.port}`, cause });
}
