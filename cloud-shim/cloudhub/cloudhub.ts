import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';
import type { Clock } from '../../runtime/core/clock.ts';
import { errorText } from '../../runtime/core/errors.ts';
import type { KubeObject } from '../../runtime/core/k8s.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { type Message, type MessageDraft, newMessage } from '../../runtime/core/message.ts';
import { mebibytes, seconds } from '../../runtime/core/units.ts';
import { closeServer, listen } from '../../runtime/wire/listen.ts';
import type { Delivery } from './ack-queue.ts';
import type { Authority } from './authority.ts';
import type { CloudHubConfig } from './config.ts';
import { InOrder } from './in-order.ts';
import { Session } from './session.ts';

/** Who deals with what edges send. A returned draft is the answer. */
export interface UpstreamHandlers {
  edge(node: string, message: Message): Promise<Answer | undefined>;
  device(node: string, message: Message): Promise<Answer | undefined>;
  /** Requests of a node's local API. */
  application(node: string, message: Message): Promise<Answer | undefined>;
}

/** The content of an answer; `object` when it is one that the node will acknowledge. */
export type Answer = {
  readonly content: unknown;
  readonly operation?: 'response' | 'error' | 'applicationResponse';
  readonly source?: string;
  readonly group?: string;
  readonly resource?: string;
};

/** What versions of which objects a node has acknowledged. */
export interface SyncedVersions {
  acknowledged(node: string, object: KubeObject, deletion: boolean): void;
}

export type CloudHubDeps = {
  readonly config: CloudHubConfig;
  readonly authority: Authority;
  readonly synced: SyncedVersions;
  readonly clock: Clock;
  readonly log: Logger;
  readonly handlers: UpstreamHandlers;
  readonly connected: (node: string) => void;
  readonly disconnected: (node: string) => void;
};

const LARGEST_FRAME = mebibytes(8);
/** What of one node is dealt with at a time; more waits in its socket. Reports of devices wait for their turn at the API
 * server, and must not hold up its lease and its pods. */
const CONCURRENT = { requests: 64, reports: 4096 } as const;
type Lane = keyof typeof CONCURRENT;

/** The WebSocket end of CloudHub: one session for each node, identified by its certificate.
 * @source KubeEdge cloud/pkg/cloudhub */
export class CloudHub {
  readonly name = 'cloudhub';
  private readonly deps: CloudHubDeps;
  private readonly server: Server;
  private readonly sockets = new WebSocketServer({ noServer: true, maxPayload: LARGEST_FRAME });
  private readonly sessions = new Map<string, Session>();
  private readonly busy = new Map<string, Record<Lane, number>>();
  private readonly order = new InOrder();

  constructor(deps: CloudHubDeps) {
    this.deps = deps;
    const { ca, cert, key } = deps.authority.serverPair;
    this.server = createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true });
    this.server.on('upgrade', (request, socket, head) => this.upgrade(request, socket, head));
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get nodes(): number {
    return this.sessions.size;
  }

  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  start(): Promise<void> {
    const { address, port } = this.deps.config.websocket;
    return listen(this.server, 'CloudHub WebSocket', address, port);
  }

  async stop(): Promise<void> {
    for (const session of this.sessions.values()) session.end('the cloud side stops');
    await closeServer(this.server);
  }

  isConnected(node: string): boolean {
    return this.sessions.has(node);
  }

  /** Ends a node's session, because the node is no longer part of the cluster. */
  disconnect(node: string): void {
    this.sessions.get(node)?.end('the node was deleted');
  }

  /** Sends what is not waited for; nothing happens while the node is away. */
  send(node: string, draft: MessageDraft): void {
    this.sessions.get(node)?.send(newMessage(draft, this.deps.clock.now()));
  }

  /** Sends an object, or its deletion, until the node has it; what is missed while it is away is found when it returns. */
  deliver(node: string, draft: MessageDraft, object: KubeObject, deletion: boolean): void {
    const session = this.sessions.get(node);
    const { uid = '', resourceVersion = '' } = object.metadata;
    if (!session || !uid) return;
    const message = newMessage({ ...draft, resourceVersion }, this.deps.clock.now());
    // What a client on the node watches is not what the node needs: neither takes the other's place.
    const key = isWatched(message) ? `watched/${uid}` : uid;
    session.deliver({ message, uid: key, version: resourceVersion, deletion });
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const node = String(request.headers.node_id ?? '');
    const fault = this.faultOf(request, node);
    if (fault) {
      this.deps.log.warn('a connection was refused', { node, reason: fault });
      socket.end(`HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n${fault}\n`);
      return;
    }
    this.sockets.handleUpgrade(request, socket, head, (webSocket) => {
      this.sessions.get(node)?.end('the node connected again');
      const { config, clock, log } = this.deps;
      const session = new Session({
        node,
        socket: webSocket,
        transport: request.socket,
        keepalive: seconds(config.keepaliveInterval),
        clock,
        log,
        received: (from, message) => this.received(from, message),
        acknowledged: (name, delivery) => this.acknowledged(name, delivery),
        closed: (from, reason) => this.closed(from, reason),
      });
      this.sessions.set(node, session);
      log.info('a node is connected', { node });
      this.deps.connected(node);
    });
  }

  /** Differs: KubeEdge believes the header; here the certificate must be that node's. */
  private faultOf(request: IncomingMessage, node: string): string | undefined {
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    if (!node) return 'no node_id header';
    if (subject?.CN !== `system:node:${node}`) return `the certificate is not that of node ${node}`;
    if (request.headers.connectionuse !== 'msg') return 'no ConnectionUse: msg header';
    const known = this.sessions.has(node);
    return !known && this.sessions.size >= this.deps.config.nodeLimit
      ? 'too many nodes are connected'
      : undefined;
  }

  private closed(session: Session, reason: string): void {
    if (this.sessions.get(session.node) === session) {
      this.sessions.delete(session.node);
      this.deps.disconnected(session.node);
    }
    this.deps.log.info('a node is gone', { node: session.node, reason });
  }

  /** Differs: KubeEdge records watched objects as the node's, and deletes them there after a reconnection. */
  private acknowledged(node: string, { message, deletion }: Delivery): void {
    if (isWatched(message)) return;
    this.deps.synced.acknowledged(node, message.content as KubeObject, deletion);
  }

  private received(session: Session, message: Message): void {
    const { node } = session;
    if (!session.begin(message)) return;
    const lane: Lane = message.route.source === 'twin' ? 'reports' : 'requests';
    const busy = this.busy.get(node) ?? { requests: 0, reports: 0 };
    this.busy.set(node, busy);
    busy[lane]++;
    // More wait in the socket, and so at the node.
    if (isFull(busy)) session.pause();
    this.handle(node, message)
      .then((answer) => {
        if (answer) session.send(newMessage(answerDraft(message, answer), this.deps.clock.now()));
      })
      .catch((error: unknown) => {
        this.deps.log.error('a message could not be dealt with', {
          node,
          resource: message.route.resource,
          reason: errorText(error),
        });
      })
      .finally(() => {
        session.finish(message);
        busy[lane]--;
        if (!isFull(busy)) session.resume();
        if (busy.requests + busy.reports === 0) this.busy.delete(node);
      });
  }

  private async handle(node: string, message: Message): Promise<Answer | undefined> {
    const { source, operation, resource } = message.route;
    const { handlers, log } = this.deps;
    // An acknowledgement of an answer, or a complaint; the sender is not waited for.
    if (operation === 'response') return undefined;
    if (operation === 'error') {
      log.debug('a node reports an error', () => ({ node, resource, content: message.content }));
      return undefined;
    }
    if (source === 'metaserver') return handlers.application(node, message);
    // Reports are merged in the order in which they come.
    if (source === 'twin') return handlers.device(node, message);
    // What is sent again must not come after what follows it.
    return this.order.run(`${node} ${resource}`, () => handlers.edge(node, message));
  }
}

function isFull(busy: Record<Lane, number>): boolean {
  return busy.requests >= CONCURRENT.requests || busy.reports >= CONCURRENT.reports;
}

function isWatched({ route }: Message): boolean {
  return route.source === 'dynamiccontroller';
}

function answerDraft(request: Message, answer: Answer): MessageDraft {
  const { resource } = request.route;
  return {
    source: answer.source ?? 'edgecontroller',
    group: answer.group ?? 'resource',
    operation: answer.operation ?? 'response',
    resource: answer.resource ?? resource,
    content: answer.content,
    parent: request.header.msg_id,
  };
}
