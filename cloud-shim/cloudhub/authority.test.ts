import { createHash, createHmac, X509Certificate } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EdgeError } from '../../runtime/core/errors.ts';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import type { Secret } from '../../runtime/core/k8s.ts';
import { FakeApi } from '../kube/fake-api.ts';
import { kinds } from '../kube/resource-kind.ts';
import { newKey } from '../pki/certificate.ts';
import { requestOf } from '../pki/test-request.ts';
import { Authority } from './authority.ts';

type Context = { api: FakeApi; clock: FakeClock; authority: Authority };
const test = suite<Context>('authority');
const HOUR = 3_600_000;

test.before.each(async (context) => {
  context.api = new FakeApi();
  context.clock = new FakeClock();
  context.authority = await Authority.load(context, ['192.0.2.1', 'cloud.example']);
});

async function secret(api: FakeApi, name: string): Promise<Record<string, Buffer>> {
  const answer = await api.get<Secret>(kinds.secret, { namespace: 'kubeedge', name });
  assert.ok('object' in answer, JSON.stringify(answer));
  const data = Object.entries(('object' in answer ? answer.object.data : undefined) ?? {});
  return Object.fromEntries(data.map(([key, text]) => [key, Buffer.from(text, 'base64')]));
}

test('the first start makes the namespace and the CA where KubeEdge keeps them', async ({
  api,
  authority,
}) => {
  assert.equal(api.calls, [
    'POST /api/v1/namespaces/kubeedge',
    'GET /api/v1/namespaces/kubeedge/secrets/casecret',
    'POST /api/v1/namespaces/kubeedge/secrets/casecret',
  ]);
  const { cadata, cakeydata } = await secret(api, 'casecret');
  assert.equal(cadata, authority.caDer);
  assert.ok(cakeydata);
  const ca = new X509Certificate(authority.caDer);
  assert.ok(ca.ca);
  assert.is(ca.subject, 'CN=KubeEdge');
});

test('a restart has the same CA, also with a namespace that is there', async ({ api, clock, authority }) => {
  const again = await Authority.load({ api, clock }, []);
  assert.equal(again.caDer, authority.caDer);
});

test('of two that start at once the first CA counts for both', async ({ api, clock, authority }) => {
  let first = true;
  const late = Object.create(api) as FakeApi;
  late.get = (kind, name) => {
    if (!first) return api.get(kind, name);
    first = false;
    return api.get(kind, { ...name, name: 'none' });
  };
  assert.equal((await Authority.load({ api: late, clock }, [])).caDer, authority.caDer);
});

test('the servers present a certificate of the CA for the names given', ({ authority }) => {
  const { ca, cert, key } = authority.serverPair;
  const certificate = new X509Certificate(cert);
  assert.ok(certificate.checkIssued(new X509Certificate(ca)));
  assert.is(certificate.subjectAltName, 'IP Address:192.0.2.1, DNS:cloud.example');
  assert.match(key, /BEGIN EC PRIVATE KEY/);
});

test('the join token is the hash of the CA and a JWT that the CA’s key signs', async ({
  api,
  authority,
  clock,
}) => {
  const token = await authority.publishToken(12 * HOUR);
  assert.equal((await secret(api, 'tokensecret')).tokendata, Buffer.from(token));
  const [hash, head = '', claims = '', signature] = token.split('.');
  assert.is(hash, createHash('sha256').update(authority.caDer).digest('hex'));
  const json = (text: string): unknown => JSON.parse(Buffer.from(text, 'base64url').toString());
  assert.equal(json(head), { alg: 'HS256', typ: 'JWT' });
  assert.equal(json(claims), { exp: (clock.now() + 12 * HOUR) / 1000 });
  const { cakeydata = Buffer.alloc(0) } = await secret(api, 'casecret');
  assert.is(signature, createHmac('sha256', cakeydata).update(`${head}.${claims}`).digest('base64url'));
});

test('a new token takes the place of the one before', async ({ api, authority, clock }) => {
  await authority.publishToken(HOUR);
  await clock.advance(1000);
  const token = await authority.publishToken(HOUR);
  assert.equal((await secret(api, 'tokensecret')).tokendata, Buffer.from(token));
});

const jwtOf = (token: string): string => token.slice(token.indexOf('.') + 1);

test('a token is good until it expires, also after a restart', async ({ api, clock, authority }) => {
  const jwt = jwtOf(await authority.publishToken(HOUR));
  await clock.advance(HOUR - 1);
  assert.ok(authority.accepts(jwt));
  assert.ok((await Authority.load({ api, clock }, [])).accepts(jwt));
  await clock.advance(1);
  assert.not(authority.accepts(jwt));
});

test('nothing else is accepted', async ({ clock, authority }) => {
  const [head = '', claims = '', signature = ''] = jwtOf(await authority.publishToken(HOUR)).split('.');
  const never = Buffer.from(JSON.stringify({ exp: 9_999_999_999 })).toString('base64url');
  const stranger = await Authority.load({ api: new FakeApi(), clock }, []);
  const foreign = jwtOf(await stranger.publishToken(HOUR));
  for (const jwt of [
    '',
    '.',
    '..',
    head,
    `${head}.${claims}`,
    `${head}.${claims}.`,
    `${head}.${never}.${signature}`,
  ]) {
    assert.not(authority.accepts(jwt), jwt);
  }
  assert.not(authority.accepts(`${head}.${claims}.${signature}.x`));
  assert.not(authority.accepts(foreign));
});

test('a node gets a certificate for its own key, for so many days', ({ authority, clock }) => {
  const key = newKey();
  const der = authority.sign(requestOf('system:node:edge-1', key), 'edge-1', 365);
  assert.ok(der);
  const certificate = new X509Certificate(der ?? Buffer.alloc(0));
  assert.is(certificate.subject, 'O=system:nodes\nCN=system:node:edge-1');
  assert.ok(certificate.checkPrivateKey(key));
  assert.ok(certificate.verify(new X509Certificate(authority.caDer).publicKey));
  assert.equal(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  assert.is(Date.parse(certificate.validTo), clock.now() + 365 * 24 * HOUR);
});

test('a request for another node, or none, is not signed', ({ authority }) => {
  const request = requestOf('system:node:edge-2', newKey());
  assert.is(authority.sign(request, 'edge-1', 365), undefined);
  assert.is(authority.sign(requestOf('edge-1', newKey()), 'edge-1', 365), undefined);
  assert.is(authority.sign(Buffer.from('no request'), 'edge-1', 365), undefined);
});

async function failure(work: () => Promise<unknown>): Promise<EdgeError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof EdgeError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

for (const [what, call] of [
  ['the namespace', /^POST .*namespaces\/kubeedge$/],
  ['the secret to be read', /^GET .*casecret/],
  ['the secret to be written', /^POST .*casecret/],
] as const) {
  test(`${what} refused by the API server ends the start`, async ({ clock }) => {
    const api = new FakeApi();
    api.refusals.push({ call, code: 403, reason: 'Forbidden' });
    const error = await failure(() => Authority.load({ api, clock }, []));
    assert.is(error.code, 'CLOUD_REFUSED');
    assert.match(error.message, /was refused/);
  });
}

test('a secret without a key is named', async ({ clock }) => {
  const api = new FakeApi();
  const name = { name: 'casecret', namespace: 'kubeedge' };
  await api.create(kinds.secret, name, { metadata: name, data: { cadata: 'AA==' } });
  const error = await failure(() => Authority.load({ api, clock }, []));
  assert.is(error.code, 'OBJECT_INVALID');
  assert.match(error.message, /secret kubeedge\/casecret: no cakeydata/);
});

test.run();
