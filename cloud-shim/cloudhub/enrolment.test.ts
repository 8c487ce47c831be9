import { X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { FakeApi } from '../kube/fake-api.ts';
import { keyPem, newKey } from '../pki/certificate.ts';
import { requestOf } from '../pki/test-request.ts';
import { Authority } from './authority.ts';
import { cloudHubConfig } from './config.ts';
import { Enrolment } from './enrolment.ts';

type Ask = {
  readonly body?: Buffer;
  readonly headers?: Record<string, string>;
  readonly pair?: { readonly key: string; readonly cert: string };
};
type Answer = { readonly code: number; readonly body: Buffer };
type Context = {
  clock: FakeClock;
  authority: Authority;
  enrolment: Enrolment;
  joined: string[];
  ask: (path: string, options?: Ask) => Promise<Answer>;
};
const test = suite<Context>('enrolment');

test.before.each(async (context) => {
  // TLS looks at the real clock: the certificates must be good today.
  context.clock = new FakeClock(Math.floor(Date.now() / 1000) * 1000);
  context.authority = await Authority.load({ api: new FakeApi(), clock: context.clock }, ['127.0.0.1']);
  context.joined = [];
  context.enrolment = new Enrolment({
    config: v.parse(cloudHubConfig, {
      advertiseAddress: ['127.0.0.1'],
      https: { address: '127.0.0.1', port: 0 },
    }),
    authority: context.authority,
    log: silentLogger,
    hasNode: (name) => name === 'edge-1',
    joined: async (node) => void context.joined.push(node),
  });
  await context.enrolment.start();
  const ca = context.authority.serverPair.ca;
  const { port } = context.enrolment;
  context.ask = (path, { body, headers: named = {}, pair } = {}) =>
    new Promise((resolve, reject) => {
      // As edges do: a GET with a body, whose length must be told.
      const headers = { ...named, ...(body ? { 'content-length': String(body.length) } : {}) };
      const call = request(
        { host: '127.0.0.1', port, path, headers, ca, agent: false, ...pair },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.once('end', () =>
            resolve({ code: response.statusCode ?? 0, body: Buffer.concat(chunks) }),
          );
        },
      );
      call.once('error', reject);
      call.end(body);
    });
});
test.after.each(({ enrolment }) => enrolment.stop());

async function bearer(authority: Authority): Promise<string> {
  const token = await authority.publishToken(3_600_000);
  return `Bearer ${token.slice(token.indexOf('.') + 1)}`;
}

test('anyone may have the CA', async ({ ask, authority }) => {
  assert.equal(await ask('/ca.crt'), { code: 200, body: authority.caDer });
  assert.equal((await ask('/ca.crt?x=1')).code, 200);
});

test('a node with a token joins', async ({ ask, authority, joined }) => {
  const key = newKey();
  const { code, body } = await ask('/edge.crt', {
    body: requestOf('system:node:edge-1', key),
    headers: { NodeName: 'edge-1', Authorization: await bearer(authority) },
  });
  assert.is(code, 200);
  assert.ok(new X509Certificate(body).checkPrivateKey(key));
  assert.equal(joined, ['edge-1']);
});

test('a node with a certificate renews it without a token, and keeps its store', async ({
  ask,
  authority,
  joined,
}) => {
  const own = newKey();
  const der = authority.sign(requestOf('system:node:edge-1', own), 'edge-1', 1) ?? Buffer.alloc(0);
  const pair = { key: keyPem(own), cert: new X509Certificate(der).toString() };
  const next = newKey();
  const renewal = { body: requestOf('system:node:edge-1', next), headers: { NodeName: 'edge-1' }, pair };
  const { code, body } = await ask('/edge.crt', renewal);
  assert.is(code, 200);
  assert.ok(new X509Certificate(body).checkPrivateKey(next));
  assert.equal(joined, []);
  const other = { ...renewal, body: requestOf('system:node:edge-2', next), headers: { NodeName: 'edge-2' } };
  assert.is((await ask('/edge.crt', other)).code, 401, 'it is no certificate for another node');
});

test('a certificate of another CA opens nothing', async ({ ask, clock }) => {
  const stranger = await Authority.load({ api: new FakeApi(), clock }, []);
  const own = newKey();
  const csr = requestOf('system:node:edge-1', own);
  const cert = new X509Certificate(stranger.sign(csr, 'edge-1', 1) ?? Buffer.alloc(0)).toString();
  const { code } = await ask('/edge.crt', {
    body: csr,
    headers: { NodeName: 'edge-1' },
    pair: { key: keyPem(own), cert },
  });
  assert.is(code, 401);
});

test('without a token, or with one that has expired, nobody joins', async ({
  ask,
  authority,
  clock,
  joined,
}) => {
  const body = requestOf('system:node:edge-1', newKey());
  const old = await bearer(authority);
  await clock.advance(3_600_000);
  for (const Authorization of ['', 'Bearer x', old, `Basic ${old.slice(7)}`]) {
    const { code } = await ask('/edge.crt', { body, headers: { NodeName: 'edge-1', Authorization } });
    assert.is(code, 401);
  }
  assert.equal(joined, []);
});

test('a request for another node than the one named is refused', async ({ ask, authority, joined }) => {
  const Authorization = await bearer(authority);
  for (const [NodeName, body] of [
    ['edge-1', requestOf('system:node:edge-2', newKey())],
    ['edge-1', Buffer.from('no request')],
    ['edge-1', Buffer.alloc(1024 * 1024 + 1)],
    ['', requestOf('system:node:edge-1', newKey())],
  ] as const) {
    assert.is((await ask('/edge.crt', { body, headers: { NodeName, Authorization } })).code, 400);
  }
  assert.equal(joined, []);
});

test('who asks for a node is told whether it is there', async ({ ask }) => {
  assert.equal(await ask('/node/edge-1'), { code: 200, body: Buffer.from('Node found') });
  assert.equal(await ask('/node/edge%2D1'), { code: 200, body: Buffer.from('Node found') });
  assert.equal(await ask('/node/edge-2'), { code: 404, body: Buffer.from('Node not found') });
});

test('other paths are not there, and a broken one does no harm', async ({ ask }) => {
  for (const path of ['/', '/node/', '/node/a/b', '/edge']) assert.is((await ask(path)).code, 404);
  assert.is((await ask('/node/%ff')).code, 404);
  assert.is((await ask('/ca.crt')).code, 200);
});

test.run();
