import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { parse as parseYaml } from 'yaml';
import type { Clock } from '../../../runtime/core/clock.ts';
import { errorText } from '../../../runtime/core/errors.ts';
import type { Logger } from '../../../runtime/core/log.ts';
import { closeServer, listen } from '../../../runtime/wire/listen.ts';
import type { Credentials } from '../auth/authority.ts';
import type { TokenSigner } from '../auth/tokens.ts';
import { isObject, type Json, type JsonObject, parseJson } from '../json.ts';
import type { Registry } from '../kinds/registry.ts';
import { badRequest, noSuchPath, Refusal, tooLarge } from '../status.ts';
import { authenticate, reviewToken } from './authentication.ts';
import { coreVersions, groupList, groupOf, resourceList } from './discovery.ts';
import type { Objects } from './objects.ts';
import { OpenApi } from './openapi.ts';
import { openApiV2, protobufBody } from './protobuf-body.ts';
import { parsePath } from './request.ts';
import { answerReview, reviewAt } from './reviews.ts';
import { type Call, serveResource } from './verbs.ts';

export type ApiServerDeps = {
  readonly objects: Objects;
  readonly registry: Registry;
  readonly signer: TokenSigner;
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly log: Logger;
};

const LARGEST_BODY = 3 * 1024 * 1024;
const VERSION = {
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.0-mini-master',
  gitCommit: '',
  gitTreeState: '',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: `linux/${process.arch}`,
};

/** The HTTPS end of the API. Whoever is authenticated may do everything: there are no roles here. */
export class ApiServer {
  private readonly deps: ApiServerDeps;
  private readonly server: Server;
  private readonly openApi: OpenApi;

  constructor(deps: ApiServerDeps) {
    this.deps = deps;
    this.openApi = new OpenApi(deps.registry);
    const { ca, server } = deps.credentials;
    const tls = {
      cert: server.cert,
      key: server.key,
      ca: ca.cert,
      requestCert: true,
      rejectUnauthorized: false,
    };
    this.server = createServer({ ...tls, requestTimeout: 60_000 }, (request, response) => {
      this.serve(request, response).catch((error: unknown) => this.refuse(response, error));
    });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  start(host: string, port: number): Promise<void> {
    return listen(this.server, 'Kubernetes API', host, port);
  }

  stop(): Promise<void> {
    return closeServer(this.server);
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://localhost');
    if (['/healthz', '/livez', '/readyz'].includes(url.pathname)) return void response.end('ok');
    if (url.pathname === '/version') return answer(response, 200, VERSION);
    const { objects, signer, clock } = this.deps;
    const user = authenticate(request, objects.store, signer, clock.now());
    if (!user) throw new Refusal(401, 'Unauthorized', 'Unauthorized');
    if (url.pathname === '/openapi/v2') return this.oldOpenApi(response);
    const schemas = /^\/openapi\/v3(?:\/(.*))?$/.exec(url.pathname);
    if (schemas) return answerText(response, 200, this.openApi.text(schemas[1] ?? ''));
    const fixed = this.fixed(url.pathname);
    if (fixed) return answer(response, 200, fixed);
    const bytes = await readBody(request);
    const path = parsePath(url.pathname);
    if (!path) throw noSuchPath();
    const review = reviewAt(path);
    if (review && request.method === 'POST') {
      const token = (asked: JsonObject): JsonObject => reviewToken(asked, objects.store, signer, clock.now());
      return answer(response, 201, answerReview(review, asRecord(parseBody(bytes, request)), user, token));
    }
    const call: Call = {
      method: request.method ?? 'GET',
      path,
      query: url.searchParams,
      accept: request.headers.accept ?? '',
      contentType: (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim() ?? '',
      agent: (request.headers['user-agent'] ?? 'unknown').split('/', 1)[0] ?? 'unknown',
      text: bytes.toString(),
      body: () => parseBody(bytes, request),
    };
    await serveResource(this.deps, call, response);
  }

  private oldOpenApi(response: ServerResponse): void {
    response.setHeader('Content-Type', 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf');
    response.end(openApiV2());
  }

  /** Discovery. */
  private fixed(path: string): JsonObject | undefined {
    const { registry } = this.deps;
    const parts = path.split('/').filter(Boolean);
    if (parts[0] === 'api' && parts.length === 1) return coreVersions();
    if (parts[0] === 'api' && parts.length === 2) return resourceList(registry, '', parts[1] ?? '');
    if (parts[0] !== 'apis' || parts.length > 3) return undefined;
    if (parts.length === 1) return groupList(registry);
    const [, group = '', version = ''] = parts;
    return parts.length === 2 ? groupOf(registry, group) : resourceList(registry, group, version);
  }

  private refuse(response: ServerResponse, error: unknown): void {
    const refusal = error instanceof Refusal ? error : new Refusal(500, 'InternalError', errorText(error));
    if (!(error instanceof Refusal)) this.deps.log.error('a request failed', { error });
    if (response.headersSent) response.end();
    else answer(response, refusal.code, refusal.status());
  }
}

/** Sends JSON. */
export function answer(response: ServerResponse, status: number, body: Json): void {
  answerText(response, status, JSON.stringify(body));
}

function answerText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > LARGEST_BODY) throw tooLarge(LARGEST_BODY);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function parseBody(bytes: Buffer, request: IncomingMessage): Json {
  if (bytes.length === 0) return {};
  const type = request.headers['content-type'] ?? '';
  if (type.includes('protobuf')) return protobufBody(bytes);
  if (type.includes('cbor'))
    throw new Refusal(415, 'UnsupportedMediaType', 'only JSON and YAML are taken here');
  const text = bytes.toString();
  try {
    return type.includes('yaml') ? (parseYaml(text) as Json) : parseJson(text);
  } catch (error) {
    throw badRequest(`the body is neither JSON nor YAML: ${errorText(error)}`);
  }
}

function asRecord(value: Json): JsonObject {
  if (!isObject(value)) throw badRequest('the body must be an object');
  return value;
}
