import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto';
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Message } from '../core/message.ts';
import { elements } from '../wire/der.ts';
import { issueTestCertificate } from '../wire/test-certificate.ts';

/** One request for a certificate as it came. */
export type EnrolmentRequest = {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Whose certificate was shown. */
  readonly by?: string;
};

/** The cloud's end of the link, on a loopback port: enrolment and CloudHub's WebSocket. Tests look at what came, and say
 * what goes back. */
export class TestCloud {
  readonly ca: Buffer;
  readonly caHash: string;
  readonly requests: EnrolmentRequest[] = [];
  readonly upgrades: { readonly path: string; readonly headers: IncomingHttpHeaders }[] = [];
  /** What `/edge.crt` answers instead of a certificate. */
  refusal: { readonly status: number; readonly text: string } | undefined;
  /** From when to when the certificates that it issues are good, ms since epoch. */
  life: readonly [number, number] | undefined;
  /** The newest connection. */
  socket: WebSocket | undefined;
  private readonly key: KeyObject;
  private readonly server: Server;
  private readonly sockets: WebSocketServer;
  private readonly inbox: Message[] = [];
  private readonly waiting: ((message: Message) => void)[] = [];

  /** @param options.life of its own certificate */
  constructor(options: { readonly autoPong?: boolean; readonly life?: readonly [number, number] } = {}) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.key = privateKey;
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    this.ca = issueTestCertificate('cloud', spki, { name: 'cloud', key: privateKey }, options.life);
    this.caHash = createHash('sha256').update(this.ca).digest('hex');
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    const tls = { cert: this.caPem, key: pem, ca: this.caPem, requestCert: true, rejectUnauthorized: false };
    this.server = createServer(tls, (request, response) => {
      void this.enrol(request, response);
    });
    this.sockets = new WebSocketServer({ noServer: true, autoPong: options.autoPong ?? true });
    this.server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      this.upgrades.push({ path: request.url ?? '', headers: request.headers });
      this.sockets.handleUpgrade(request, socket, head, (accepted) => this.accept(accepted));
    });
  }

  get caPem(): string {
    return new X509Certificate(this.ca).toString();
  }

  /** `HOST:PORT`, once started. */
  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async start(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
  }

  async stop(): Promise<void> {
    for (const client of this.sockets.clients) client.terminate();
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  /** The credentials of a node that has joined. */
  credentials(node: string): { ca: string; cert: string; key: string } {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    return {
      ca: this.caPem,
      cert: new X509Certificate(
        issueTestCertificate(`system:node:${node}`, spki, { name: 'cloud', key: this.key }, this.life),
      ).toString(),
      key: privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
    };
  }

  send(message: Message): void {
    this.socket?.send(JSON.stringify(message));
  }

  /** The next message from the edge. */
  next(): Promise<Message> {
    const message = this.inbox.shift();
    return message ? Promise.resolve(message) : new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Resolves when the edge has taken all that was sent before, and all that it sent in turn is here.
   * @returns what came meanwhile */
  async settled(): Promise<Message[]> {
    if (this.socket) {
      this.socket.ping();
      await once(this.socket, 'pong');
    }
    return this.inbox.splice(0);
  }

  private accept(socket: WebSocket): void {
    this.socket = socket;
    socket.on('message', (data) => {
      const message = JSON.parse(data.toString()) as Message;
      const waiting = this.waiting.shift();
      if (waiting) waiting(message);
      else this.inbox.push(message);
    });
  }

  private async enrol(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    const { url: path = '', headers } = request;
    this.requests.push({ path, headers, body, ...(subject ? { by: String(subject.CN) } : {}) });
    if (request.url === '/ca.crt') return void response.end(this.ca);
    if (this.refusal) return void response.writeHead(this.refusal.status).end(this.refusal.text);
    const [info] = elements(elements(body)[0]?.content ?? Buffer.alloc(0));
    const spki = elements(info?.content ?? Buffer.alloc(0))[2]?.whole ?? Buffer.alloc(0);
    createPublicKey({ key: spki, format: 'der', type: 'spki' });
    const node = String(request.headers.nodename);
    response.end(
      issueTestCertificate(`system:node:${node}`, spki, { name: 'cloud', key: this.key }, this.life),
    );
  }
}
