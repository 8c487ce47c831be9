import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { judgeUpgrade, type UpgradeRefusal, type UpgradeRequest, type UpgradeRoute } from './upgrade.ts';
import { WebSocketStream } from './web-socket-stream.ts';

/** A client that is gone without a word is noticed after this time and the kernel's probes. */
const KEEP_ALIVE_MS = 60_000;

/** WebSockets of node:http, by the package ws. */
export class NodeWebSockets {
  private readonly route: UpgradeRoute;
  private readonly server: WebSocketServer;
  private readonly open = new Set<WebSocketStream>();

  constructor(route: UpgradeRoute) {
    this.route = route;
    this.server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: route.maxPayload,
      // Only what was judged before comes here, and it judges by the same order.
      handleProtocols: (offered) => [...offered].find((name) => route.protocols.includes(name)) ?? false,
    });
  }

  get path(): string {
    return this.route.path;
  }

  /** Takes the connection over; or leaves it alone and says why. */
  upgrade(request: IncomingMessage, socket: Socket, head: Buffer): UpgradeRefusal | undefined {
    const { host = '', origin, 'sec-websocket-protocol': offered = '' } = request.headers;
    const asked: UpgradeRequest = { host, origin, address: socket.remoteAddress ?? '' };
    const verdict = judgeUpgrade(this.route, offered, asked);
    if ('status' in verdict) return verdict;
    this.server.handleUpgrade(request, socket, head, (webSocket) => this.admit(webSocket, socket, asked));
    return undefined;
  }

  closeAll(): void {
    for (const stream of this.open) stream.destroy();
  }

  private admit(webSocket: WebSocket, socket: Socket, asked: UpgradeRequest): void {
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const stream = streamOver(webSocket, socket, this.route.maxPayload);
    this.open.add(stream);
    stream.once('close', () => this.open.delete(stream));
    this.route.open(stream, asked);
  }
}

function streamOver(webSocket: WebSocket, socket: Socket, maxPayload: number): WebSocketStream {
  const stream = new WebSocketStream(
    {
      send: (messages) => {
        // One system call for all of them.
        socket.cork();
        for (const message of messages) webSocket.send(message);
        socket.uncork();
        return !socket.writableNeedDrain;
      },
      hold: (held) => (held ? webSocket.pause() : webSocket.resume()),
      close: (code) => webSocket.close(code),
      terminate: () => webSocket.terminate(),
    },
    maxPayload,
  );
  socket.on('drain', () => stream.drained());
  // ws gives one Buffer for each message unless it is told otherwise.
  webSocket.on('message', (data: Buffer, isBinary) => stream.received(data, isBinary));
  webSocket.on('error', () => {}); // a close follows it
  webSocket.on('close', () => stream.gone());
  return stream;
}
