import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { errorText } from '../../runtime/core/errors.ts';
import type { KubeObject, Status } from '../../runtime/core/k8s.ts';
import { isRecord } from '../../runtime/core/message.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import { pathOf, type ResourceKind } from './resource-kind.ts';

/** The API server's answer: the object, or its refusal. */
export type Answer<T> = { readonly object: T } | { readonly status: Status };

export type PatchType =
  | 'application/merge-patch+json'
  | 'application/strategic-merge-patch+json'
  | 'application/apply-patch+yaml';

/** Names one object, or with an empty name its collection. */
export type ObjectName = {
  readonly namespace?: string;
  readonly name: string;
  readonly subresource?: string;
};

/** The API server, as the shim uses it. */
export interface KubeApi {
  get<T extends KubeObject>(kind: ResourceKind, name: ObjectName): Promise<Answer<T>>;
  list<T extends KubeObject>(kind: ResourceKind, query?: Query): Promise<Answer<ObjectList<T>>>;
  create<T = KubeObject>(kind: ResourceKind, name: ObjectName, object: unknown): Promise<Answer<T>>;
  update<T extends KubeObject>(kind: ResourceKind, name: ObjectName, object: unknown): Promise<Answer<T>>;
  patch<T extends KubeObject>(
    kind: ResourceKind,
    name: ObjectName,
    type: PatchType,
    patch: unknown,
    query?: Query,
  ): Promise<Answer<T>>;
  delete(kind: ResourceKind, name: ObjectName, options?: unknown): Promise<Answer<KubeObject>>;
  /** Streams events from after `resourceVersion` until the server ends it, or `signal` aborts; rejects on a broken one. */
  watch(
    kind: ResourceKind,
    query: Query,
    onEvent: (event: WatchEvent) => void,
    signal: AbortSignal,
  ): Promise<void>;
}

/** One request as it goes over the wire. */
export type ApiCall = {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly accept?: string;
  readonly contentType?: string;
  readonly body?: Buffer;
  /** In whose name. */
  readonly as?: { readonly user: string; readonly group: string };
};

export type ApiAnswer = { readonly code: number; readonly type: string; readonly body: Buffer };

/** The API server for what the shim only passes on. */
export interface RawApi {
  /** What cannot be reached is a Status of 503. */
  raw(call: ApiCall): Promise<ApiAnswer>;
}

export type Query = Readonly<Record<string, string>>;
export type ObjectList<T> = {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly T[];
};
export type WatchEvent = {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: KubeObject;
};

const TIMEOUT = 30_000;
/** A watch that has been silent for this long is taken for dead: the server sends bookmarks every minute. */
const WATCH_SILENCE = 150_000;
const LARGEST_ANSWER = 64 * 1024 * 1024;
const LARGEST_EVENT = 8 * 1024 * 1024;

/** The Kubernetes REST API over kept-alive connections. Refusals and failures are values; nothing here throws for them.
 * @source Kubernetes API concepts */
export class KubeClient implements KubeApi, RawApi {
  private readonly access: ClusterAccess;
  private readonly agent: Agent;

  constructor(access: ClusterAccess) {
    this.access = access;
    const { ca, cert, key, insecure } = access;
    this.agent = new Agent({ keepAlive: true, maxSockets: 64, ca, cert, key, rejectUnauthorized: !insecure });
  }

  close(): void {
    this.agent.destroy();
  }

  get<T extends KubeObject>(kind: ResourceKind, name: ObjectName): Promise<Answer<T>> {
    return this.ask('GET', urlOf(kind, name));
  }

  list<T extends KubeObject>(kind: ResourceKind, query: Query = {}): Promise<Answer<ObjectList<T>>> {
    return this.ask('GET', `${pathOf(kind)}${queryText(query)}`);
  }

  create<T = KubeObject>(kind: ResourceKind, name: ObjectName, object: unknown): Promise<Answer<T>> {
    const path = name.subresource ? urlOf(kind, name) : pathOf(kind, name.namespace);
    return this.ask('POST', path, JSON.stringify(object), 'application/json');
  }

  update<T extends KubeObject>(kind: ResourceKind, name: ObjectName, object: unknown): Promise<Answer<T>> {
    return this.ask('PUT', urlOf(kind, name), JSON.stringify(object), 'application/json');
  }

  patch<T extends KubeObject>(
    kind: ResourceKind,
    name: ObjectName,
    type: PatchType,
    patch: unknown,
    query: Query = {},
  ): Promise<Answer<T>> {
    const text = typeof patch === 'string' ? patch : JSON.stringify(patch);
    return this.ask('PATCH', `${urlOf(kind, name)}${queryText(query)}`, text, type);
  }

  delete(kind: ResourceKind, name: ObjectName, options?: unknown): Promise<Answer<KubeObject>> {
    return this.ask(
      'DELETE',
      urlOf(kind, name),
      options === undefined ? undefined : JSON.stringify(options),
      'application/json',
    );
  }

  watch(
    kind: ResourceKind,
    query: Query,
    onEvent: (event: WatchEvent) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const path = `${pathOf(kind)}${queryText({ ...query, watch: 'true', allowWatchBookmarks: 'true' })}`;
    return new Promise((resolve, reject) => {
      // A watch holds its connection: it has its own, outside the pool.
      const call = this.open('GET', path, { signal, timeout: WATCH_SILENCE });
      call.once('timeout', () => call.destroy(new Error('the watch fell silent')));
      call.once('error', reject);
      call.once('response', (response) => {
        if (response.statusCode === 410) {
          // Forgotten there, which most servers say in the stream.
          response.resume();
          onEvent({ type: 'ERROR', object: { metadata: { name: '' } } });
          resolve();
          return;
        }
        if (response.statusCode !== 200) {
          response.resume();
          reject(new Error(`watch answered ${response.statusCode}`));
          return;
        }
        readEvents(response, onEvent).then(resolve, reject);
      });
      call.end();
    });
  }

  async raw(call: ApiCall): Promise<ApiAnswer> {
    try {
      return await this.exchange(call);
    } catch (error) {
      const status = failure(`${call.method} ${call.path}: ${errorText(error)}`);
      return { code: status.code, type: 'application/json', body: Buffer.from(JSON.stringify(status)) };
    }
  }

  private async ask<T>(
    method: string,
    path: string,
    body?: string,
    contentType?: string,
  ): Promise<Answer<T>> {
    try {
      const { code, body: bytes } = await this.exchange({
        method,
        path,
        ...(body === undefined ? {} : { body: Buffer.from(body) }),
        ...(contentType ? { contentType } : {}),
      });
      const text = bytes.toString();
      const parsed: unknown = JSON.parse(text || '{}');
      if (code >= 200 && code < 300) return { object: parsed as T };
      return { status: statusOf(parsed, code, text) };
    } catch (error) {
      return { status: failure(`${method} ${path}: ${errorText(error)}`) };
    }
  }

  private exchange({ method, path, body, ...options }: ApiCall): Promise<ApiAnswer> {
    return new Promise((resolve, reject) => {
      const call = this.open(method, path, {
        ...options,
        timeout: TIMEOUT,
        ...(body === undefined ? {} : { length: body.length }),
      });
      call.once('timeout', () => call.destroy(new Error(`no answer within ${TIMEOUT} ms`)));
      call.once('error', reject);
      call.once('response', (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > LARGEST_ANSWER)
            response.destroy(new Error(`an answer of more than ${LARGEST_ANSWER} bytes`));
          else chunks.push(chunk);
        });
        response.once('end', () =>
          resolve({
            code: response.statusCode ?? 0,
            type: response.headers['content-type'] ?? '',
            body: Buffer.concat(chunks),
          }),
        );
        response.once('error', reject);
      });
      call.end(body);
    });
  }

  private open(
    method: string,
    path: string,
    options: Pick<ApiCall, 'accept' | 'contentType' | 'as'> & {
      timeout: number;
      signal?: AbortSignal;
      length?: number;
    },
  ) {
    const { ca, cert, key, insecure, server } = this.access;
    const token = this.access.token();
    const { timeout, signal, contentType, length, accept = 'application/json', as } = options;
    return request(`${server}${path}`, {
      method,
      timeout,
      ...(signal
        ? { signal, agent: false, ca, cert, key, rejectUnauthorized: !insecure }
        : { agent: this.agent }),
      headers: {
        accept,
        'user-agent': 'cloud-shim',
        ...(contentType && length !== undefined
          ? { 'content-type': contentType, 'content-length': length }
          : {}),
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(as ? { 'impersonate-user': as.user, 'impersonate-group': as.group } : {}),
      },
    });
  }
}

async function readEvents(response: IncomingMessage, onEvent: (event: WatchEvent) => void): Promise<void> {
  let rest = '';
  response.setEncoding('utf8');
  for await (const chunk of response) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LARGEST_EVENT)
      throw new Error(`a watch event of more than ${LARGEST_EVENT} characters`);
    for (const line of lines) if (line) onEvent(JSON.parse(line) as WatchEvent);
  }
}

function urlOf(kind: ResourceKind, { namespace, name, subresource }: ObjectName): string {
  return pathOf(kind, namespace, name, subresource);
}

function queryText(query: Query): string {
  const text = new URLSearchParams(query).toString();
  return text ? `?${text}` : '';
}

function statusOf(parsed: unknown, code: number, text: string): Status {
  if (isRecord(parsed) && parsed.kind === 'Status') return parsed as unknown as Status;
  return { ...failure(`status ${code}: ${text.slice(0, 200)}`), code };
}

/** A failure to reach the server, as the Status that a server would have sent. */
function failure(message: string): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    message,
    reason: 'ServiceUnavailable',
    code: 503,
  };
}
