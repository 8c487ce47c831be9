import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { KeyPair } from '../../pki/certificate.ts';
import { type ApiObject, objectAt, objectsAt, textAt } from '../json.ts';
import { badRequest, Refusal } from '../status.ts';
import type { Store } from '../store/store.ts';

const CONNECT_TIMEOUT = 10_000;

/** Hands a request for a container's log to the node's kubelet port and its answer to the client.
 * @source kubernetes pkg/registry/core/pod LogLocation */
export function proxyLog(
  store: Store,
  pod: ApiObject,
  query: URLSearchParams,
  client: KeyPair,
  response: ServerResponse,
): Promise<void> {
  const url = logUrl(store, pod, query);
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
      key: client.key,
      cert: client.cert,
      // Kubelets sign their own certificates; the tunnel's end does too.
      rejectUnauthorized: false,
      agent: false,
    });
    request.setTimeout(CONNECT_TIMEOUT, () => request.destroy(new Error('no answer')));
    request.once('error', (error) => reject(unreachable(url, error)));
    request.once('response', (answer) => {
      request.setTimeout(0);
      relay(answer, response, url).then(resolve, reject);
    });
    response.once('close', () => request.destroy());
    request.end();
  });
}

function logUrl(store: Store, pod: ApiObject, query: URLSearchParams): URL {
  const { name = '', namespace = '' } = pod.metadata;
  const container = query.get('container') || onlyContainer(pod);
  const nodeName = textAt(pod, 'spec', 'nodeName');
  if (!nodeName) throw badRequest(`pod ${name} does not have a host assigned`);
  const node = store.get('nodes', '', nodeName);
  if (!node) throw new Refusal(404, 'NotFound', `nodes "${nodeName}" not found`);
  const address = objectsAt(node, 'status', 'addresses').find((a) => a.type === 'InternalIP')?.address;
  const port = objectAt(node, 'status', 'daemonEndpoints', 'kubeletEndpoint').Port;
  const url = new URL(`https://${address}:${port}/containerLogs/${namespace}/${name}/${container}`);
  for (const key of [
    'follow',
    'previous',
    'timestamps',
    'tailLines',
    'sinceSeconds',
    'sinceTime',
    'limitBytes',
  ]) {
    const value = query.get(key);
    if (value) url.searchParams.set(key, value);
  }
  return url;
}

function onlyContainer(pod: ApiObject): string {
  const names = objectsAt(pod, 'spec', 'containers').map((c) => String(c.name));
  if (names.length === 1) return names[0] ?? '';
  throw badRequest(
    `a container name must be specified for pod ${pod.metadata.name}, choose one of: [${names.join(' ')}]`,
  );
}

async function relay(answer: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
  const { statusCode = 500 } = answer;
  if (statusCode >= 400) {
    let text = '';
    for await (const chunk of answer) text = (text + String(chunk)).slice(0, 4096);
    throw new Refusal(statusCode, 'BadRequest', text.trim() || `status ${statusCode} from ${url.host}`);
  }
  response.writeHead(200, { 'Content-Type': 'text/plain' });
  response.flushHeaders();
  answer.pipe(response);
  await new Promise<void>((resolve) => response.once('close', resolve));
}

function unreachable(url: URL, error: Error): Refusal {
  return new Refusal(500, 'InternalError', `Get "${url}": ${error.message}`);
}
