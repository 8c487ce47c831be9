import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, Server as SecureServer } from 'node:https';
import { type AddressInfo, isIP } from 'node:net';
import { errorText } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { closeServer, listen } from '../../wire/listen.ts';
import { parseApiPath } from './api-path.ts';
import { type Call, isTrue } from './call.ts';
import { type Answer, Documents, jsonAnswer } from './documents.ts';
import type { Reads } from './reads.ts';
import { noSuchPath, notAllowed, Refusal, refusal } from './refusal.ts';
import type { Watching } from './watching.ts';
import type { Writes } from './writes.ts';

/** What is not Kubernetes' own; undefined when it is not theirs either. */
export interface Extensions {
  serve(call: Call): Promise<Answer | 'served' | undefined>;
}

/** Who may come in. Throws refusals. */
export interface Gate {
  check(request: IncomingMessage, url: URL): void;
}

export type ApiServerDeps = {
  readonly reads: Reads;
  readonly writes: Writes;
  readonly watching: Watching;
  readonly documents: Documents;
  readonly extensions: Extensions;
  readonly gate: Gate | undefined;
  readonly log: Logger;
};

export type ServingPair = { readonly cert: string; readonly key: string };

const LARGEST_BODY = 3 * 1024 * 1024;
const CONNECTIONS = 256;

/** The HTTP end of the local API; it can listen on several addresses. */
export class ApiServer {
  private readonly deps: ApiServerDeps;
  private readonly servers: (Server | SecureServer)[] = [];

  constructor(deps: ApiServerDeps) {
    this.deps = deps;
  }

  /** @param tls undefined for plain HTTP
   * @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  async listen(address: string, tls?: ServingPair): Promise<number> {
    const handler = (request: IncomingMessage, response: ServerResponse): void => {
      this.serve(request, response).catch((error: unknown) => this.refuse(response, error));
    };
    const options = { requestTimeout: 30_000, headersTimeout: 10_000 };
    const server = tls ? createSecureServer({ ...options, ...tls }, handler) : createServer(options, handler);
    server.maxConnections = CONNECTIONS;
    const { hostname, port } = new URL(`http://${address}`);
    await listen(server, 'MetaServer', hostname.replace(/^\[|\]$/g, ''), Number(port || 80));
    this.servers.push(server);
    return (server.address() as AddressInfo).port;
  }

  /** Shows another certificate from the next connection on. */
  renew(tls: ServingPair): void {
    for (const server of this.servers) if (server instanceof SecureServer) server.setSecureContext(tls);
  }

  async stop(): Promise<void> {
    for (const server of this.servers) await closeServer(server);
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (this.deps.gate) this.deps.gate.check(request, url);
    else refuseBrowsers(request);
    const accept = request.headers.accept ?? '';
    const { documents, extensions } = this.deps;
    if (request.method === 'GET' && Documents.has(url.pathname))
      return send(response, await documents.serve(url.pathname, accept));
    const path = parseApiPath(url.pathname);
    if (!path) throw noSuchPath();
    const call: Call = {
      method: request.method ?? 'GET',
      path,
      query: url.searchParams,
      accept,
      contentType: (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim() ?? '',
      agent: request.headers['user-agent'] ?? '',
      body: await readBody(request),
      request,
      response,
    };
    const special = await extensions.serve(call);
    if (special === 'served') return;
    if (special) return send(response, special);
    if (call.method !== 'GET') return send(response, await this.write(call));
    if (isTrue(call.query.get('watch'))) return this.deps.watching.serve(call);
    send(response, await (path.name ? this.deps.reads.get(call) : this.deps.reads.list(call)));
  }

  private write(call: Call): Promise<Answer> {
    if (/protobuf|cbor/.test(call.contentType))
      throw refusal(415, 'UnsupportedMediaType', 'only JSON is taken here');
    if (call.method === 'HEAD' || call.method === 'OPTIONS') throw notAllowed();
    return this.deps.writes.serve(call);
  }

  private refuse(response: ServerResponse, error: unknown): void {
    const known = error instanceof Refusal;
    if (!known) this.deps.log.error('a request to the local API failed', { error });
    const { status } = known ? error : refusal(500, 'InternalError', errorText(error));
    if (response.headersSent) response.end();
    else send(response, jsonAnswer(status, status.code));
  }
}

/** Who may use this machine may use this API; a page of another place that a browser shows may not. */
function refuseBrowsers({ headers }: IncomingMessage): void {
  const host = (headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  if (headers.origin === undefined && (host === 'localhost' || isIP(host) !== 0)) return;
  throw refusal(403, 'Forbidden', 'this API is for programs of this machine, by its address');
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > LARGEST_BODY)
      throw refusal(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${LARGEST_BODY}`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
