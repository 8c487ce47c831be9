import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import WebSocket, { type RawData, WebSocketServer } from 'ws';
import { Authority } from '../../cloud-shim/cloudhub/authority.ts';
import { systemClock } from '../../runtime/core/clock.ts';
import { type Message, parseMessage } from '../../runtime/core/message.ts';
import { parseResource } from '../../runtime/core/resource.ts';
import type { Stack } from '../stack.ts';

type Direction = 'up' | 'down';

export type DropRelayOptions = {
  /** CloudHub's port on 127.0.0.1. */
  readonly target: number;
  readonly stack: () => Stack;
  readonly seed: number;
};

/** A man in the middle of the link that loses single messages.
 *
 * TLS keeps everybody else out, so it is let in by both: it serves with a certificate of the cloud's CA, and dials with the
 * certificate of the edge. Pings and pongs pass, in their place among the messages: what is read and lost then is just what
 * nobody notices but by the answer that does not come.
 *
 * Which messages are lost is decided by the seed and by what they are (the third lease, the first status of pod-7), not by
 * when they come, so that a seed means the same however the machine is loaded. */
export class DropRelay {
  /** The share of messages to lose, of each kind in each direction. */
  share = 0;
  /** Of each message the first time. */
  first = false;
  /** How many were lost, by kind. */
  readonly lost = new Map<string, number>();
  readonly passed = { up: 0, down: 0 };
  private readonly options: DropRelayOptions;
  private readonly counts = new Map<string, number>();
  private readonly sockets = new Set<WebSocket>();
  private readonly upgrades = new WebSocketServer({ noServer: true, autoPong: false });
  private readonly server: Server;
  private tls: Promise<HttpsServer> | undefined;

  constructor(options: DropRelayOptions) {
    this.options = options;
    this.server = createServer({ noDelay: true }, (socket) => {
      this.tls ??= this.serveTls();
      this.tls.then(
        (tls) => tls.emit('connection', socket),
        () => socket.destroy(),
      );
    });
  }

  /** @returns the port to connect to */
  async start(): Promise<number> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.terminate();
    this.server.close();
    await once(this.server, 'close');
  }

  /** How much was lost, for the record. */
  get summary(): string {
    const lost = [...this.lost.values()].reduce((sum, n) => sum + n, 0);
    const { up, down } = this.passed;
    return `${lost} of ${lost + up + down} messages lost`;
  }

  /** With a certificate of the cloud, made as the cloud makes its own. */
  private async serveTls(): Promise<HttpsServer> {
    const authority = await Authority.load({ api: this.options.stack().api, clock: systemClock }, [
      '127.0.0.1',
    ]);
    const { ca, cert, key } = authority.serverPair;
    const tls = createHttpsServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true });
    tls.on('upgrade', (request, socket: Socket, head) => this.join(request, socket, head));
    return tls;
  }

  private join(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const certs = join(this.options.stack().options.dir, 'edgecore', 'certs');
    const { node_id, project_id, connectionuse } = request.headers as Record<string, string>;
    const far = new WebSocket(`wss://127.0.0.1:${this.options.target}${request.url}`, {
      ca: readFileSync(join(certs, 'rootCA.crt')),
      cert: readFileSync(join(certs, 'server.crt')),
      key: readFileSync(join(certs, 'server.key')),
      headers: { node_id, project_id, ConnectionUse: connectionuse },
      perMessageDeflate: false,
      autoPong: false,
    });
    far.on('error', () => socket.destroy());
    socket.on('error', () => far.terminate());
    far.once('open', () => {
      this.upgrades.handleUpgrade(request, socket, head, (near) => {
        this.pipe(near, far, 'up');
        this.pipe(far, near, 'down');
      });
    });
  }

  private pipe(from: WebSocket, to: WebSocket, direction: Direction): void {
    this.sockets.add(from);
    from.on('message', (data: RawData) => {
      const text = String(data);
      if (!this.isLost(direction, text)) to.send(text);
    });
    from.on('ping', (data: Buffer) => to.ping(data));
    from.on('pong', (data: Buffer) => to.pong(data));
    from.on('error', () => {}); // the close that follows says enough
    from.on('close', () => {
      this.sockets.delete(from);
      to.terminate();
    });
  }

  private isLost(direction: Direction, text: string): boolean {
    const message = parseMessage(text);
    const isLost = !('refused' in message) && this.decide(direction, message);
    if (!isLost) this.passed[direction]++;
    return isLost;
  }

  private decide(direction: Direction, message: Message): boolean {
    if (this.share === 0 && !this.first) return false;
    const { operation, resource } = message.route;
    // Node and namespace are named anew with every run.
    const key = `${direction} ${operation} ${resource.replaceAll(/edge-test-\d+-\d+/g, '_')}`;
    const count = (this.counts.get(key) ?? 0) + 1;
    this.counts.set(key, count);
    const hash = createHash('sha256').update(`${this.options.seed} ${key} ${count}`).digest();
    const isLost = this.first ? count === 1 : hash.readUInt32BE() / 2 ** 32 < this.share;
    if (!isLost) return false;
    const kind = `${direction} ${operation} ${parseResource(resource)?.type ?? resource.split('/').at(-1)}`;
    this.lost.set(kind, (this.lost.get(kind) ?? 0) + 1);
    return true;
  }
}
