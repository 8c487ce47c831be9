import type { Duplex } from 'node:stream';

/** What a client asks an HTTP server for. */
export type WebSocketRequest = {
  readonly host: string;
  readonly origin: string | undefined;
  /** IP address of the client. */
  readonly address: string;
};

/** What an HTTP server has to know to take WebSockets for a listener. */
export type WebSocketRoute = {
  readonly path: string;
  readonly protocols: readonly string[];
  /** Largest message in bytes. */
  readonly maxPayload: number;
  /** WebSockets that there may be at a time. */
  readonly connections: number;
  /** Says before the handshake why there is none. */
  readonly refuse: (request: WebSocketRequest) => { status: number; reason: string } | undefined;
  /** Gets the bytes of a WebSocket that is open. */
  readonly open: (stream: Duplex, request: WebSocketRequest) => void;
};
