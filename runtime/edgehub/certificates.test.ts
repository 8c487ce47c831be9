import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { errorCode } from '../core/errors.ts';
import { silentLogger } from '../core/log.ts';
import { Certificates } from './certificates.ts';
import { type EdgeHubConfig, edgeHubConfig } from './config.ts';
import { TestCloud } from './test-cloud.ts';

type Context = { dir: string; cloud: TestCloud; config: EdgeHubConfig; certificates: Certificates };
const test = suite<Context>('certificates');
const never = new AbortController().signal;
const of = (config: EdgeHubConfig, node: string): Certificates =>
  new Certificates({ config, node, log: silentLogger });

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

test.run();
