import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { closeServer, listen } from '../../runtime/wire/listen.ts';
import { issueCertificate, keyPem, newKey } from '../pki/certificate.ts';
import { KubeClient, type WatchEvent } from './client.ts';
import { kinds } from './resource-kind.ts';

type Request = { readonly line: string; readonly headers: IncomingMessage['headers']; readonly body: string };
type Context = {
  client: KubeClient;
  requests: Request[];
  /** What the server does next. */
  answer: (response: ServerResponse) => void;
  token: string | undefined;
  stop: () => Promise<void>;
};
const test = suite<Context>('client');

const [caKey, key] = [newKey(), newKey()];
const issuer = { subject: { commonName: 'ca' }, key: caKey };
const validity = { notBefore: Date.now() - 86_400_000, notAfter: Date.now() + 86_400_000 };
const ca = issueCertificate({ subject: issuer.subject, usage: 'ca', ...validity }, caKey, issuer);
const leaf = { subject: { commonName: 'api' }, usage: 'server', hosts: ['127.0.0.1'], ...validity } as const;
const cert = issueCertificate(leaf, key, issuer);

const json =
  (code: number, body: unknown) =>
  (response: ServerResponse): void => {
    response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };

test.before.each(async (context) => {
  context.requests = [];
  context.token = undefined;
  const server = createServer({ key: keyPem(key), cert }, async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    context.requests.push({ line: `${request.method} ${request.url}`, headers: request.headers, body });
    context.answer(response);
  });
  await listen(server, 'test', '127.0.0.1', 0);
  const { port } = server.address() as AddressInfo;
  context.client = new KubeClient({
    server: `https://127.0.0.1:${port}`,
    ca,
    insecure: false,
    cert: undefined,
    key: undefined,
    token: () => context.token,
  });
  context.stop = () => closeServer(server);
});
test.after.each(async ({ client, stop }) => {
  client.close();
  await stop();
});

test('every verb has its path, type and body', async (context) => {
  const { client, requests } = context;
  context.answer = json(200, { metadata: { name: 'x' } });
  const name = { namespace: 'ns', name: 'a' };
  await client.get(kinds.pod, name);
  await client.list(kinds.device, { labelSelector: 'a=b,c' });
  await client.create(kinds.pod, { namespace: 'ns', name: '' }, { a: 1 });
  await client.create(kinds.serviceAccount, { ...name, subresource: 'token' }, { a: 2 });
  await client.update(kinds.node, { name: 'n' }, { a: 3 });
  await client.patch(kinds.node, { name: 'n', subresource: 'status' }, 'application/merge-patch+json', {
    a: 4,
  });
  await client.delete(kinds.pod, name, { gracePeriodSeconds: 0 });
  assert.equal(
    requests.map(({ line, headers, body }) => [line, headers['content-type'], body]),
    [
      ['GET /api/v1/namespaces/ns/pods/a', undefined, ''],
      ['GET /apis/devices.kubeedge.io/v1beta1/devices?labelSelector=a%3Db%2Cc', undefined, ''],
      ['POST /api/v1/namespaces/ns/pods', 'application/json', '{"a":1}'],
      ['POST /api/v1/namespaces/ns/serviceaccounts/a/token', 'application/json', '{"a":2}'],
      ['PUT /api/v1/nodes/n', 'application/json', '{"a":3}'],
      ['PATCH /api/v1/nodes/n/status', 'application/merge-patch+json', '{"a":4}'],
      ['DELETE /api/v1/namespaces/ns/pods/a', 'application/json', '{"gracePeriodSeconds":0}'],
    ],
  );
});

test('a token is read for each request', async (context) => {
  context.answer = json(200, { metadata: { name: 'x' } });
  for (const token of [undefined, 'one', 'two']) {
    context.token = token;
    await context.client.get(kinds.node, { name: 'n' });
  }
  assert.equal(
    context.requests.map(({ headers }) => headers.authorization),
    [undefined, 'Bearer one', 'Bearer two'],
  );
});

test('a refusal is a value', async (context) => {
  const status = { kind: 'Status', status: 'Failure', message: 'no', reason: 'NotFound', code: 404 };
  context.answer = json(404, status);
  assert.equal(await context.client.get(kinds.node, { name: 'n' }), { status });
});

test('an answer that is no Status is told with its code', async (context) => {
  context.answer = json(502, 'bad gateway');
  const answer = await context.client.get(kinds.node, { name: 'n' });
  assert.ok('status' in answer);
  if ('status' in answer) {
    assert.is(answer.status.code, 502);
    assert.match(answer.status.message, /status 502.*bad gateway/);
  }
});

test('what cannot be reached or read is told as a Status, too', async (context) => {
  context.answer = (response) => response.writeHead(200).end('<html>');
  const garbled = await context.client.get(kinds.node, { name: 'n' });
  context.answer = (response) => response.destroy();
  const cut = await context.client.get(kinds.node, { name: 'n' });
  for (const answer of [garbled, cut]) {
    assert.ok('status' in answer);
    if ('status' in answer)
      assert.equal([answer.status.reason, answer.status.code], ['ServiceUnavailable', 503]);
  }
});

const line = (type: string, name: string): string =>
  `${JSON.stringify({ type, object: { metadata: { name } } })}\n`;

async function watched(context: Context, answer: (response: ServerResponse) => void): Promise<string[]> {
  const events: WatchEvent[] = [];
  context.answer = answer;
  const { signal } = new AbortController();
  await context.client.watch(kinds.pod, { resourceVersion: '5' }, (event) => events.push(event), signal);
  return events.map(({ type, object }) => `${type} ${object.metadata.name}`);
}

test('a watch reads lines however they are cut, and ends with the answer', async (context) => {
  const text = `${line('ADDED', 'ä')}${line('MODIFIED', 'b')}`;
  const bytes = Buffer.from(text);
  const middle = bytes.indexOf('ä') + 1;
  const events = await watched(context, (response) => {
    response.writeHead(200);
    response.write(bytes.subarray(0, middle), () => response.end(bytes.subarray(middle)));
  });
  assert.equal(events, ['ADDED ä', 'MODIFIED b']);
  assert.is(
    context.requests[0]?.line,
    'GET /api/v1/pods?resourceVersion=5&watch=true&allowWatchBookmarks=true',
  );
});

test('a watch that is answered 410 tells that its place is forgotten', async (context) => {
  assert.equal(await watched(context, json(410, { kind: 'Status', code: 410 })), ['ERROR ']);
});

test('a watch that is refused rejects', async (context) => {
  try {
    await watched(context, json(403, {}));
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), /watch answered 403/);
  }
});

/** Begins a watch that the server leaves open after one event; `then` is called with that event. */
async function interrupted(context: Context, then: (abort: AbortController) => void): Promise<boolean> {
  const abort = new AbortController();
  context.answer = (response) => {
    response.writeHead(200);
    response.write(line('ADDED', 'a'));
  };
  return context.client
    .watch(kinds.pod, {}, () => then(abort), abort.signal)
    .then(
      () => false,
      () => true,
    );
}

test('a watch that is cut rejects', async (context) => {
  assert.ok(await interrupted(context, () => void context.stop()));
});

test('a watch that is aborted is over', async (context) => {
  await interrupted(context, (abort) => abort.abort());
});

test.run();
