import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { errorCode } from '../core/errors.ts';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { trustedTime } from '../core/time-trust.ts';
import { Certificates, type CertificatesDeps } from './certificates.ts';
import { type EdgeHubConfig, edgeHubConfig } from './config.ts';
import { TestCloud } from './test-cloud.ts';

type Context = { dir: string; cloud: TestCloud; config: EdgeHubConfig; certificates: Certificates };
const test = suite<Context>('certificates');
const never = new AbortController().signal;
const of = (config: EdgeHubConfig, node: string, more: Partial<CertificatesDeps> = {}): Certificates =>
  new Certificates({
    config,
    node,
    // TLS looks at the real clock.
    clock: new FakeClock(Date.now()),
    time: trustedTime,
    log: silentLogger,
    joined: () => {},
    bootstrapFile: '/nowhere',
    ...more,
  });

test.before.each(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'certificates-'));
  context.cloud = new TestCloud();
  await context.cloud.start();
  context.config = v.parse(edgeHubConfig, {
    httpServer: `https://${context.cloud.address}`,
    websocket: { server: context.cloud.address },
    tlsCaFile: join(context.dir, 'ca', 'ca.crt'),
    tlsCertFile: join(context.dir, 'certs', 'server.crt'),
    tlsPrivateKeyFile: join(context.dir, 'certs', 'server.key'),
  });
  context.certificates = of(context.config, 'edge-1');
});
test.after.each(async ({ cloud, dir }) => {
  await cloud.stop();
  rmSync(dir, { recursive: true });
});

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no failure',
    (error: unknown) => errorCode(error),
  );

test('a node without a certificate has no credentials', ({ certificates }) => {
  assert.is(certificates.load(), undefined);
});

test('joining asks for the CA, then sends the request as the body of a GET', async ({
  certificates,
  cloud,
}) => {
  await certificates.join(`${cloud.caHash}.head.claims.sig`, never);
  assert.equal(
    cloud.requests.map(({ path }) => path),
    ['/ca.crt', '/edge.crt'],
  );
  const [ca, edge] = cloud.requests;
  assert.is(ca?.headers.authorization, undefined, 'nothing is told to whom nobody trusts yet');
  assert.is(edge?.headers.authorization, 'Bearer head.claims.sig');
  assert.is(edge?.headers.nodename, 'edge-1');
  assert.is(edge?.body[0], 0x30, 'DER');
});

test('what was obtained is stored for its owner alone, and is there after a restart', async ({
  certificates,
  cloud,
  config,
}) => {
  const joined = await certificates.join(`${cloud.caHash}.a.b.c`, never);
  assert.is(joined.ca, cloud.caPem);
  assert.match(joined.key, '-----BEGIN EC PRIVATE KEY-----');
  assert.is(new X509Certificate(joined.cert).subject, 'CN=system:node:edge-1');
  for (const path of [config.tlsCaFile, config.tlsCertFile, config.tlsPrivateKeyFile])
    assert.is(statSync(path).mode & 0o777, 0o600);
  assert.equal(of(config, 'edge-1').load(), joined);
});

test('the certificate of another node is not taken for one’s own', async ({
  certificates,
  cloud,
  config,
}) => {
  await certificates.join(`${cloud.caHash}.a.b.c`, never);
  assert.is(of(config, 'edge-2').load(), undefined);
});

for (const file of ['tlsCertFile', 'tlsPrivateKeyFile'] as const) {
  test(`a ${file} that was cut short is no credential`, async ({ certificates, cloud, config }) => {
    await certificates.join(`${cloud.caHash}.a.b.c`, never);
    writeFileSync(config[file], readFileSync(config[file]).subarray(0, 40));
    assert.is(certificates.load(), undefined);
  });
}

test('a key that is not the certificate’s is no credential', async ({ certificates, cloud, config }) => {
  await certificates.join(`${cloud.caHash}.a.b.c`, never);
  writeFileSync(config.tlsPrivateKeyFile, cloud.credentials('edge-1').key);
  assert.is(certificates.load(), undefined);
});

test('a cloud with another CA than the token’s is told nothing, and nothing is stored', async ({
  certificates,
  cloud,
}) => {
  assert.is(await failure(certificates.join(`${'0'.repeat(64)}.a.b.c`, never)), 'EDGEHUB_CA_MISMATCH');
  assert.equal(
    cloud.requests.map(({ path }) => path),
    ['/ca.crt'],
  );
  assert.is(certificates.load(), undefined);
});

test('a token without the right form is refused without a word to the cloud', async ({
  certificates,
  cloud,
}) => {
  assert.is(await failure(certificates.join('', never)), 'EDGEHUB_TOKEN_REJECTED');
  assert.equal(cloud.requests, []);
});

for (const [status, code] of [
  [401, 'EDGEHUB_TOKEN_REJECTED'],
  [500, 'EDGEHUB_CERT_REFUSED'],
] as const) {
  test(`status ${status} of /edge.crt is ${code}`, async ({ certificates, cloud }) => {
    cloud.refusal = { status, text: 'no' };
    assert.is(await failure(certificates.join(`${cloud.caHash}.a.b.c`, never)), code);
    assert.is(certificates.load(), undefined);
  });
}

test('a join ends when the process does', async ({ certificates, cloud }) => {
  const work = failure(certificates.join(`${cloud.caHash}.a.b.c`, AbortSignal.abort()));
  assert.is(await work, 'EDGEHUB_CA_UNREACHABLE');
});

const DAY = 86_400_000;
const wordsOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'no failure',
    (error: Error) => error.message,
  );

test('a renewal shows the current certificate and no token, and replaces key and certificate', async ({
  certificates,
  cloud,
  config,
}) => {
  const first = await certificates.join(`${cloud.caHash}.a.b.c`, never);
  await certificates.renew(first, never);
  const { headers, by, path } = cloud.requests.at(-1) ?? {};
  assert.is(path, '/edge.crt');
  assert.is(by, 'system:node:edge-1');
  assert.is(headers?.authorization, undefined);
  assert.is(headers?.nodename, 'edge-1');
  const second = of(config, 'edge-1').load();
  assert.not.equal(second?.key, first.key);
  assert.not.equal(second?.cert, first.cert);
});

test('a renewal that is refused leaves what there is', async ({ certificates, cloud, config }) => {
  const first = await certificates.join(`${cloud.caHash}.a.b.c`, never);
  cloud.refusal = { status: 401, text: 'no' };
  assert.is(await failure(certificates.renew(first, never)), 'EDGEHUB_CERT_REFUSED');
  assert.equal(of(config, 'edge-1').load(), first);
});

for (const [rejoinExpired, token, outcome] of [
  [false, 'a token', /has expired: it was good until .*, and rejoinExpired is false/],
  [true, '', /has expired: it was good until .*, and there is no token/],
  [true, 'a token', /no failure/],
] as const) {
  test(`an expired certificate, rejoinExpired ${rejoinExpired}, ${token || 'no token'}: ${outcome.source}`, async ({
    certificates,
    cloud,
    config,
  }) => {
    const now = Date.now();
    cloud.life = [now - 2 * DAY, now - DAY];
    await certificates.join(`${cloud.caHash}.a.b.c`, never);
    cloud.life = undefined;
    const joined: string[] = [];
    const again = of({ ...config, rejoinExpired, token: token && `${cloud.caHash}.x.y.z` }, 'edge-1', {
      joined: () => joined.push('joined'),
    });
    assert.match(await wordsOf(again.obtain(never)), outcome);
    assert.is(joined.length, outcome.test('no failure') ? 1 : 0);
  });
}

test('without a clock no certificate is expired', async ({ certificates, cloud, config }) => {
  cloud.life = [Date.now() - 2 * DAY, Date.now() - DAY];
  const joined = await certificates.join(`${cloud.caHash}.a.b.c`, never);
  const time = { ...trustedTime, isTrusted: false };
  assert.equal(await of(config, 'edge-1', { time }).obtain(never), joined);
});

test('the bootstrap file goes before the configured token, and is gone once used', async ({
  cloud,
  config,
  dir,
}) => {
  const bootstrapFile = join(dir, 'bootstrap-edgecore.conf');
  writeFileSync(bootstrapFile, `${cloud.caHash}.from.the.file\n`);
  await of({ ...config, token: 'other' }, 'edge-1', { bootstrapFile }).obtain(never);
  assert.is(cloud.requests.at(-1)?.headers.authorization, 'Bearer from.the.file');
  assert.not(existsSync(bootstrapFile));
});

test('another CA is told in clear words; only a token of the new one makes the node join it', async ({
  certificates,
  cloud,
  config,
}) => {
  const old = await certificates.join(`${cloud.caHash}.a.b.c`, never);
  const replaced = new TestCloud();
  await replaced.start();
  const at = { ...config, httpServer: `https://${replaced.address}` };
  const met = Object.assign(new Error('x'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  for (const token of ['', `${cloud.caHash}.a.b.c`]) {
    const stays = of({ ...at, token }, 'edge-1');
    assert.match(stays.explain(met) ?? '', 'the cloud is not of the CA that this node has joined');
    assert.equal(await stays.obtain(never), old);
  }
  const goes = of({ ...at, token: `${replaced.caHash}.a.b.c` }, 'edge-1');
  goes.explain(met);
  assert.is((await goes.obtain(never)).ca, replaced.caPem);
  assert.is(goes.explain(new Error('connect ECONNREFUSED')), undefined);
  await replaced.stop();
});

test('a node without a clock believes the pinned CA, whatever the dates', async ({ config }) => {
  const cloud = new TestCloud({ life: [Date.now() + DAY, Date.now() + 2 * DAY] });
  await cloud.start();
  const at = { ...config, httpServer: `https://${cloud.address}` };
  const token = `${cloud.caHash}.a.b.c`;
  assert.match(await wordsOf(of(at, 'edge-1').join(token, never)), 'not yet valid');
  const time = { ...trustedTime, isTrusted: false };
  await of(at, 'edge-1', { time }).join(token, never);
  await cloud.stop();
});

test.run();
