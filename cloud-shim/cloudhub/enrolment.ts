import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { errorText } from '../../runtime/core/errors.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { closeServer, listen } from '../../runtime/wire/listen.ts';
import type { Authority } from './authority.ts';
import type { CloudHubConfig } from './config.ts';

export type EnrolmentDeps = {
  readonly config: CloudHubConfig;
  readonly authority: Authority;
  readonly log: Logger;
  /** Whether the cluster has a Node of that name. */
  readonly hasNode: (name: string) => boolean;
  /** A node has joined with a token: it starts with an empty store. */
  readonly joined: (node: string) => Promise<void>;
};

const LARGEST_CSR = 1024 * 1024;

/** The HTTPS end where edges get the CA and their certificates.
 * @source KubeEdge cloud/pkg/cloudhub/servers/httpserver */
export class Enrolment {
  private readonly deps: EnrolmentDeps;
  private readonly server: Server;

  constructor(deps: EnrolmentDeps) {
    this.deps = deps;
    const { ca, cert, key } = deps.authority.serverPair;
    const tls = { ca, cert, key, requestCert: true, rejectUnauthorized: false };
    this.server = createServer({ ...tls, requestTimeout: 30_000 }, (request, response) => {
      this.serve(request, response).catch((error: unknown) => {
        response.writeHead(500).end(errorText(error));
      });
    });
    this.server.maxConnections = 4096;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  start(): Promise<void> {
    const { address, port } = this.deps.config.https;
    return listen(this.server, 'CloudHub HTTPS', address, port);
  }

  stop(): Promise<void> {
    return closeServer(this.server);
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    if (path === '/ca.crt') return void response.writeHead(200).end(this.deps.authority.caDer);
    if (path === '/edge.crt') return this.certificate(request, response);
    const node = path.match(/^\/node\/([^/]+)$/)?.[1];
    if (node === undefined)
      return void response.writeHead(404).end('there is /ca.crt, /edge.crt and /node/NAME\n');
    const found = this.deps.hasNode(unescaped(node));
    response.writeHead(found ? 200 : 404).end(found ? 'Node found' : 'Node not found');
  }

  private async certificate(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { authority, config, log, joined } = this.deps;
    const node = String(request.headers.nodename ?? '');
    const jwt = request.headers.authorization?.match(/^Bearer (.+)$/)?.[1] ?? '';
    const renews = isCertified(request, node);
    if (!renews && !authority.accepts(jwt)) {
      log.warn('a join was refused', { client: request.socket.remoteAddress, node, reason: 'token' });
      return void response.writeHead(401).end('the join token is invalid or has expired\n');
    }
    const csr = await readBody(request);
    const certificate = csr && authority.sign(csr, node, config.edgeCertSigningDuration);
    if (!certificate)
      return void response.writeHead(400).end(`no certificate request for system:node:${node}\n`);
    if (!renews) await joined(node);
    log.info(renews ? 'a certificate was renewed' : 'a node joined', { node });
    response.writeHead(200).end(certificate);
  }
}

/** What cannot be unescaped is no node's name. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/** Whether the caller already holds this node's certificate. */
function isCertified(request: IncomingMessage, node: string): boolean {
  const socket = request.socket as TLSSocket;
  if (!socket.authorized) return false;
  const { subject } = socket.getPeerCertificate();
  return subject?.O === 'system:nodes' && subject.CN === `system:node:${node}`;
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > LARGEST_CSR) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
