import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Logger } from '../../runtime/core/log.ts';
import { closeServer, listen } from '../../runtime/wire/listen.ts';
import {
  decodeFrame,
  encodeConnect,
  encodeFrame,
  frameType,
  LARGEST_FRAME,
} from '../../runtime/wire/tunnel.ts';

/** What a server presents, and who signs its clients' certificates; PEM. */
export type ServerPair = { readonly ca: string; readonly cert: string; readonly key: string };

/** Who takes what a stream brings. */
export type StreamEnd = {
  /** @returns false to be given no more until `drained` */
  data(bytes: Buffer): boolean;
  end(): void;
};

/** A stream through a tunnel. */
export type Stream = {
  /** Ends it from this side. */
  close(): void;
  /** The receiver takes data again. */
  drained(): void;
};

/** The tunnels of all nodes that are connected.
 * @source KubeEdge cloud/pkg/cloudstream/tunnelserver.go */
export class Tunnels {
  private readonly log: Logger;
  private readonly server: Server;
  private readonly sockets = new WebSocketServer({
    noServer: true,
    maxPayload: LARGEST_FRAME,
    // Frames are binary in messages of type text.
    skipUTF8Validation: true,
  });
  private readonly tunnels = new Map<string, Tunnel>();

  constructor(deps: { tls: ServerPair; log: Logger }) {
    this.log = deps.log;
    const { ca, cert, key } = deps.tls;
    this.server = createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true });
    this.server.on('upgrade', (request, socket, head) => this.upgrade(request, socket, head));
  }

  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  start(port: number): Promise<void> {
    return listen(this.server, 'CloudStream tunnel', '0.0.0.0', port);
  }

  async stop(): Promise<void> {
    for (const tunnel of this.tunnels.values()) tunnel.close();
    await closeServer(this.server);
  }

  /** Opens a stream to a node's kubelet port.
   * @param path with its query
   * @returns undefined when the node has no tunnel now */
  open(node: string, path: string, query: string, end: StreamEnd): Stream | undefined {
    return this.tunnels.get(node)?.open(path, query, end);
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const node = String(request.headers.sessionhostnameoverride ?? '');
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    if (!node || subject?.CN !== `system:node:${node}` || request.url !== '/v1/kubeedge/connect') {
      this.log.warn('a tunnel was refused', { node, reason: 'path or certificate' });
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n');
      return;
    }
    this.sockets.handleUpgrade(request, socket, head, (webSocket) => {
      this.tunnels.get(node)?.close();
      const tunnel = new Tunnel(webSocket);
      this.tunnels.set(node, tunnel);
      webSocket.once('close', () => {
        if (this.tunnels.get(node) === tunnel) this.tunnels.delete(node);
      });
    });
  }
}

class Tunnel {
  private readonly socket: WebSocket;
  private readonly ends = new Map<number, StreamEnd>();
  private readonly full = new Set<number>();
  private last = 0;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer) => this.received(data));
    socket.on('error', () => socket.terminate());
    socket.once('close', () => {
      for (const end of this.ends.values()) end.end();
      this.ends.clear();
    });
  }

  open(path: string, query: string, end: StreamEnd): Stream {
    const stream = ++this.last;
    this.ends.set(stream, end);
    this.send(stream, frameType.logs, encodeConnect(stream, { path, query, method: 'GET' }));
    return {
      close: () => {
        if (this.ends.delete(stream)) this.send(stream, frameType.remove);
        this.drained(stream);
      },
      drained: () => this.drained(stream),
    };
  }

  close(): void {
    this.socket.terminate();
  }

  private received(data: Buffer): void {
    const frame = decodeFrame(data);
    const end = frame && this.ends.get(frame.stream);
    if (!frame || !end) return;
    if (frame.type === frameType.data && !end.data(frame.data)) {
      // The protocol has no window for one stream: the tunnel waits as a whole.
      this.full.add(frame.stream);
      this.socket.pause();
    }
    if (frame.type === frameType.remove) {
      this.ends.delete(frame.stream);
      end.end();
    }
  }

  private drained(stream: number): void {
    if (this.full.delete(stream) && this.full.size === 0) this.socket.resume();
  }

  private send(stream: number, type: number, data: Buffer = Buffer.alloc(0)): void {
    this.socket.send(encodeFrame({ stream, type, data }), { binary: false });
  }
}
