import { SocketAddress } from 'node:net';
import { judgeUpgrade, type UpgradeRefusal, type UpgradeRequest, type UpgradeRoute } from './upgrade.ts';
import { WebSocketStream } from './web-socket-stream.ts';

/** A WebSocket of uWebSockets.js; it throws once it is closed. */
export type UwsWebSocket = {
  send(message: Uint8Array, isBinary: boolean): number;
  getBufferedAmount(): number;
  cork(work: () => void): void;
  end(code: number): void;
  close(): void;
};

type UwsUpgradeResponse = {
  getRemoteAddress(): ArrayBuffer;
  upgrade(data: object, key: string, protocol: string, extensions: string, context: unknown): void;
};

type UwsUpgradeRequest = { getHeader(name: string): string };

/** What `app.ws` is given. */
export type UwsBehavior<Response extends UwsUpgradeResponse> = {
  readonly maxPayloadLength: number;
  readonly maxBackpressure: number;
  upgrade(response: Response, request: UwsUpgradeRequest, context: unknown): void;
  open(socket: UwsWebSocket): void;
  message(socket: UwsWebSocket, message: ArrayBuffer, isBinary: boolean): void;
  drain(socket: UwsWebSocket): void;
  close(socket: UwsWebSocket): void;
};

/** WebSockets of uWebSockets.js. It cannot stop reading a WebSocket, so what waits to be read is bounded instead. */
export class UwsWebSockets<Response extends UwsUpgradeResponse> {
  readonly behavior: UwsBehavior<Response>;
  private readonly streams = new Map<UwsWebSocket, WebSocketStream>();

  /** @param refuse answers a request that gets no WebSocket */
  constructor(route: UpgradeRoute, refuse: (response: Response, refusal: UpgradeRefusal) => void) {
    // A WebSocket opens inside the call that upgrades its request.
    let opening: UpgradeRequest | undefined;
    this.behavior = {
      maxPayloadLength: route.maxPayload,
      maxBackpressure: 0, // no bound of its own, which would drop messages: the stream waits
      upgrade: (response, request, context) => {
        const asked: UpgradeRequest = {
          host: request.getHeader('host'),
          origin: request.getHeader('origin') || undefined,
          address: addressText(response.getRemoteAddress()),
        };
        const verdict = judgeUpgrade(route, request.getHeader('sec-websocket-protocol'), asked);
        if ('status' in verdict) return refuse(response, verdict);
        opening = asked;
        response.upgrade({}, request.getHeader('sec-websocket-key'), verdict.protocol, '', context);
      },
      open: (socket) => {
        const stream = new WebSocketStream(messageSocket(socket), route.maxPayload);
        this.streams.set(socket, stream);
        if (opening) route.open(stream, opening);
      },
      // uWebSockets.js takes its memory back when this returns.
      message: (socket, message, isBinary) =>
        this.streams.get(socket)?.received(Buffer.from(new Uint8Array(message)), isBinary),
      drain: (socket) => {
        if (socket.getBufferedAmount() === 0) this.streams.get(socket)?.drained();
      },
      close: (socket) => {
        const stream = this.streams.get(socket);
        this.streams.delete(socket);
        stream?.gone();
      },
    };
  }

  closeAll(): void {
    for (const stream of this.streams.values()) stream.destroy();
  }
}

function messageSocket(socket: UwsWebSocket) {
  return {
    send: (messages: readonly Buffer[]): boolean => {
      socket.cork(() => {
        for (const message of messages) socket.send(message, true);
      });
      return socket.getBufferedAmount() === 0;
    },
    close: (code: number) => socket.end(code),
    terminate: () => socket.close(),
  };
}

/** Four or sixteen bytes as text. */
export function addressText(address: ArrayBuffer): string {
  const bytes = Buffer.from(address);
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return '';
  const groups = bytes.toString('hex').match(/.{4}/g) ?? [];
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}
