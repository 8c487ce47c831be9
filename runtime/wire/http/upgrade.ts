import type { Duplex } from 'node:stream';

/** What a client that wants a WebSocket tells of itself. */
export type UpgradeRequest = {
  readonly host: string;
  readonly origin: string | undefined;
  /** IP address of the client. */
  readonly address: string;
};

export type UpgradeRefusal = { readonly status: number; readonly reason: string };

/** A path on which WebSockets are taken. */
export type UpgradeRoute = {
  readonly path: string;
  /** Subprotocols that are spoken; a client offers at least one of them. */
  readonly protocols: readonly string[];
  /** Largest message in bytes. */
  readonly maxPayload: number;
  /** WebSockets that there may be at a time. */
  readonly connections: number;
  /** Says before the handshake why there is none. */
  readonly refuse: (request: UpgradeRequest) => UpgradeRefusal | undefined;
  /** Gets the bytes of a WebSocket that is open. */
  readonly open: (stream: Duplex, request: UpgradeRequest) => void;
};

/** Answers a request for a WebSocket.
 * @param offered the header `Sec-WebSocket-Protocol`
 * @returns the client's first subprotocol that is spoken, or why there is no WebSocket */
export function judgeUpgrade(
  route: UpgradeRoute,
  offered: string,
  request: UpgradeRequest,
): { readonly protocol: string } | UpgradeRefusal {
  const protocol = protocolsIn(offered).find((name) => route.protocols.includes(name));
  if (protocol === undefined) {
    return { status: 400, reason: `offer a subprotocol of ${route.protocols.join(', ')}` };
  }
  return route.refuse(request) ?? { protocol };
}

function protocolsIn(header: string): string[] {
  return header.split(',').map((name) => name.trim());
}
