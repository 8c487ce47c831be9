import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Certificate, TLSSocket } from 'node:tls';
import { errorText } from '../../runtime/core/errors.ts';
import type { KubeObject } from '../../runtime/core/k8s.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { isRecord } from '../../runtime/core/message.ts';
import { closeServer, listen } from '../../runtime/wire/listen.ts';
import type { KubeApi } from '../kube/client.ts';
import { kinds } from '../kube/resource-kind.ts';
import type { ServerPair, Tunnels } from './tunnels.ts';

export type StreamServerDeps = {
  readonly api: KubeApi;
  readonly tls: ServerPair;
  /** Who signs the API server's certificate for kubelets, PEM. */
  readonly clientCas: readonly string[];
  readonly tunnels: Tunnels;
  /** @returns the node of a pod */
  readonly nodeOf: (namespace: string, pod: string) => string | undefined;
  readonly log: Logger;
};

/** What the API server takes for the kubelet's port of every edge node. Differs: KubeEdge lets in whoever reaches the
 * port; here, as at a kubelet, the caller shows a certificate and the API server says whether it may.
 * @source KubeEdge cloud/pkg/cloudstream/streamserver.go; kubernetes kubelet authentication and authorization */
export class StreamServer {
  private readonly deps: StreamServerDeps;
  private readonly server: Server;

  constructor(deps: StreamServerDeps) {
    this.deps = deps;
    const { cert, key } = deps.tls;
    const tls = { cert, key, ca: [...deps.clientCas], requestCert: true, rejectUnauthorized: true };
    this.server = createServer({ ...tls, requestTimeout: 30_000 }, (request, response) => {
      this.serve(request, response).catch((error: unknown) => {
        if (!response.headersSent) response.writeHead(500);
        response.end(`${errorText(error)}\n`);
      });
    });
  }

  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  start(port: number): Promise<void> {
    return listen(this.server, 'CloudStream', '0.0.0.0', port);
  }

  stop(): Promise<void> {
    return closeServer(this.server);
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://kubelet');
    const [area, namespace = '', pod = '', container] = url.pathname
      .split('/')
      .slice(1)
      .map(decodeURIComponent);
    if (area === 'exec' || area === 'attach' || area === 'portForward')
      return void response.writeHead(501).end(`${area} is not offered on edge nodes\n`);
    if (area !== 'containerLogs' || !container)
      return void response.writeHead(404).end('there is /containerLogs/NAMESPACE/POD/CONTAINER\n');
    const node = this.deps.nodeOf(namespace, pod);
    if (!node) return void response.writeHead(404).end(`pod ${namespace}/${pod} is on no node\n`);
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    const fault = await this.refusal(subject, node);
    if (fault) return void response.writeHead(403).end(`${fault}\n`);
    this.relay(node, url, response);
  }

  private relay(node: string, url: URL, response: ServerResponse): void {
    const stream = this.deps.tunnels.open(node, url.pathname, url.search.slice(1), {
      data: (bytes) => response.write(bytes),
      end: () => response.end(),
    });
    if (!stream) return void response.writeHead(503).end(`node ${node} has no tunnel: it is offline\n`);
    // The protocol says no status: it goes out before the node answers.
    response.writeHead(200, { 'Content-Type': 'text/plain' });
    response.flushHeaders();
    response.on('drain', () => stream.drained());
    response.once('close', () => stream.close());
  }

  /** @returns why the caller may not read the node's logs */
  private async refusal(subject: Certificate | undefined, node: string): Promise<string | undefined> {
    const user = String(subject?.CN ?? '');
    const groups = [subject?.O ?? []].flat();
    const resourceAttributes = { verb: 'get', resource: 'nodes', subresource: 'proxy', name: node };
    const answer = await this.deps.api.create<KubeObject & { status?: unknown }>(
      kinds.subjectAccessReview,
      { name: '' },
      {
        apiVersion: kinds.subjectAccessReview.apiVersion,
        kind: kinds.subjectAccessReview.kind,
        spec: { user, groups, resourceAttributes },
      },
    );
    if ('status' in answer) return `whether ${user} may read logs is not known: ${answer.status.message}`;
    const { status } = answer.object;
    return isRecord(status) && status.allowed === true ? undefined : `${user} may not get nodes/proxy`;
  }
}
