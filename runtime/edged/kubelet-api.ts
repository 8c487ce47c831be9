import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorText } from '../core/errors.ts';
import type { Pod } from '../core/pod.ts';
import { closeServer, listen } from '../wire/listen.ts';
import { copyLog, type LogOptions } from './container-log.ts';

/** A container's log file, and whether more will come. */
export type LogFile = { readonly path: string; readonly ended: () => boolean };

export type KubeletApiDeps = {
  readonly pods: () => readonly Pod[];
  /** @returns the log, or why there is none */
  readonly log: (
    namespace: string,
    pod: string,
    container: string,
    previous: boolean,
  ) => LogFile | { missing: string };
};

/** The kubelet's port, local only: who comes here through the cloud's tunnel has been authorized there.
 * @source KubeEdge edged read-only server; kubelet pkg/kubelet/server */
export class KubeletApi {
  private readonly deps: KubeletApiDeps;
  private readonly server: Server;

  constructor(deps: KubeletApiDeps) {
    this.deps = deps;
    this.server = createServer({ requestTimeout: 10_000 }, (request, response) => {
      this.serve(request, response).catch((error: unknown) => {
        if (!response.headersSent) response.writeHead(500);
        response.end(errorText(error));
      });
    });
    this.server.maxConnections = 64;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
  start(host: string, port: number): Promise<void> {
    return listen(this.server, 'kubelet API', host, port);
  }

  stop(): Promise<void> {
    return closeServer(this.server);
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const [area, namespace = '', pod = '', container = ''] = url.pathname
      .split('/')
      .slice(1)
      .map(decodeURIComponent);
    if (area === 'healthz') return void response.end('ok');
    if (area === 'pods') {
      response.setHeader('Content-Type', 'application/json');
      return void response.end(
        JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: this.deps.pods() }),
      );
    }
    if (area === 'containerLogs' && container)
      return this.logs(namespace, pod, container, url.searchParams, response);
    response.writeHead(404).end('there is /healthz, /pods and /containerLogs/NAMESPACE/POD/CONTAINER\n');
  }

  private async logs(
    namespace: string,
    pod: string,
    container: string,
    query: URLSearchParams,
    response: ServerResponse,
  ): Promise<void> {
    const file = this.deps.log(namespace, pod, container, query.get('previous') === 'true');
    if ('missing' in file) return void response.writeHead(404).end(file.missing);
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    response.writeHead(200, { 'Content-Type': 'text/plain' });
    response.flushHeaders();
    await copyLog(file.path, logOptions(query), response, file.ended, gone.signal);
    response.end();
  }
}

function logOptions(query: URLSearchParams): LogOptions {
  const number = (name: string): number | undefined => {
    const value = Number.parseInt(query.get(name) ?? '', 10);
    return Number.isFinite(value) && value >= 0 ? value : undefined;
  };
  const sinceSeconds = number('sinceSeconds');
  const sinceTime = query.get('sinceTime');
  return {
    follow: query.get('follow') === 'true',
    timestamps: query.get('timestamps') === 'true',
    tailLines: number('tailLines'),
    limitBytes: number('limitBytes'),
    since:
      sinceSeconds === undefined
        ? sinceTime
          ? Date.parse(sinceTime)
          : undefined
        : Date.now() - sinceSeconds * 1000,
  };
}
