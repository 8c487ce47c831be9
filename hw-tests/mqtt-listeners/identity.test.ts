import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { type Credentials, localOnly } from '../../runtime/broker/auth.ts';
import { Broker } from '../../runtime/broker/broker.ts';
import { listenerConfig } from '../../runtime/broker/listeners/config.ts';
import { systemClock } from '../../runtime/core/clock.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { Metrics } from '../../runtime/core/metrics.ts';
import { requireProgram } from '../real-parts.ts';
import { freePorts } from '../stack.ts';
import { type PairFiles, TestCa } from './certificates.ts';
import { overTls } from './stream-client.ts';

type Context = { folder: string; ca: TestCa; port: number; broker: Broker; seen: Credentials[] };
const test = suite<Context>('who a TLS client is');

test.before(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'edgecore-identity-'));
  context.ca = new TestCa(context.folder);
  context.port = (await freePorts()).mqtt;
  context.seen = [];
  const { cert, key } = context.ca.server('broker');
  const files = { tlsCertFile: cert, tlsPrivateKeyFile: key, tlsCaFile: context.ca.file };
  const address = `127.0.0.1:${context.port}`;
  context.broker = new Broker({
    listeners: [v.parse(listenerConfig, { type: 'tls', address, ...files, packetBytes: 1024 })],
    authority: {
      ...localOnly,
      authenticate: (credentials) => {
        context.seen.push(credentials);
        return localOnly.authenticate(credentials);
      },
    },
    clock: systemClock,
    log: silentLogger,
    metrics: new Metrics(),
  });
  await context.broker.start();
});
test.before.each(({ seen }) => void seen.splice(0));
test.after(async ({ broker, folder }) => {
  await broker.stop();
  rmSync(folder, { recursive: true });
});

test('the common name of a certificate is the user', async ({ ca, port, seen }) => {
  const client = overTls(port, ca.file, ca.client('pump-7'));
  assert.is((await client.connect('any-id')).returnCode, 0);
  client.close();
  const [credentials] = seen;
  assert.ok(credentials);
  assert.is(credentials.peer.certificateName, 'pump-7');
  assert.equal(localOnly.authenticate(credentials), { clientId: 'any-id', username: 'pump-7' });
});

test('a client without a certificate has no name', async ({ ca, port, seen }) => {
  const client = overTls(port, ca.file);
  assert.is((await client.connect('any-id')).returnCode, 0);
  client.close();
  assert.is(seen[0]?.peer.certificateName, undefined);
});

test('the listener’s own packet limit counts, and MQTT 5 clients are told', async ({ ca, port }) => {
  const client = overTls(port, ca.file, undefined, {}, 5);
  assert.is((await client.connect('large')).properties?.maximumPacketSize, 1024);
  const payload = Buffer.alloc(1024);
  client.send({ cmd: 'publish', topic: 't', payload, qos: 0, retain: false, dup: false });
  await client.endsByItself();
});

if (requireProgram('openssl', 'openssl')) {
  test('a certificate with two common names is nobody’s', async ({ ca, port, folder, seen }) => {
    const client = overTls(port, ca.file, twoNamed(folder, ca));
    await client.endsByItself();
    assert.is(seen.length, 0);
  });
}

/** What a careless CA might sign. */
function twoNamed(folder: string, ca: TestCa): PairFiles {
  const files = { cert: join(folder, 'two.crt'), key: join(folder, 'two.key') };
  const request = join(folder, 'two.csr');
  const subject = '/CN=pump-7/CN=admin';
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  execFileSync(
    'openssl',
    ['req', '-new', ...newKey, '-keyout', files.key, '-subj', subject, '-out', request],
    {
      stdio: 'ignore',
    },
  );
  const signer = ['-CA', ca.file, '-CAkey', ca.keyFile, '-CAcreateserial', '-days', '1'];
  execFileSync('openssl', ['x509', '-req', '-in', request, ...signer, '-out', files.cert], {
    stdio: 'ignore',
  });
  return files;
}

test.run();
