import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:tls';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pinnedSocket } from './pinned-tls.ts';
import { issueTestCertificate } from './test-certificate.ts';

type Pair = { readonly pem: string; readonly key: KeyObject };
type Context = { ca: Pair; servers: Server[]; serve: (pair: Pair) => Promise<number> };
const test = suite<Context>('pinned TLS');
const never = new AbortController().signal;
const DAY = 86_400_000;

function issue(name: string, issuer: Pair | undefined, days: readonly [number, number]): Pair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const by = { name: issuer ? 'ca' : name, key: issuer?.key ?? privateKey };
  const life = [Date.now() + days[0] * DAY, Date.now() + days[1] * DAY] as const;
  return { pem: new X509Certificate(issueTestCertificate(name, spki, by, life)).toString(), key: privateKey };
}

test.before.each((context) => {
  context.ca = issue('ca', undefined, [-1, 1]);
  context.servers = [];
  context.serve = async ({ pem, key }) => {
    const server = createServer({ cert: pem, key: key.export({ type: 'pkcs8', format: 'pem' }) });
    server.on('tlsClientError', () => {});
    context.servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
});
test.after.each(({ servers }) => {
  for (const server of servers) server.close();
});

const words = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'connected',
    (error: Error) => error.message,
  );

for (const [what, days] of [
  ['good now', [-1, 1]],
  ['not yet valid', [1, 2]],
  ['expired', [-2, -1]],
] as const) {
  test(`a certificate of the CA that is ${what} is believed`, async ({ ca, serve }) => {
    const port = await serve(issue('cloud', ca, days));
    const socket = await pinnedSocket({ host: '127.0.0.1', port, ca: ca.pem }, never);
    assert.ok(socket.encrypted);
    socket.destroy();
  });
}

test('one of another CA is not, though its name is the same', async ({ ca, serve }) => {
  const stranger = issue('ca', undefined, [-1, 1]);
  const port = await serve(issue('cloud', stranger, [1, 2]));
  const outcome = await words(pinnedSocket({ host: '127.0.0.1', port, ca: ca.pem }, never));
  assert.is(outcome, 'unable to verify the first certificate');
});

test('one for another name is not', async ({ ca, serve }) => {
  const port = await serve(issue('cloud', ca, [-1, 1]));
  const outcome = await words(pinnedSocket({ host: 'localhost', port, ca: ca.pem }, never));
  assert.is(outcome, 'its certificate is not for localhost');
});

test('who does not answer is not waited for longer than asked', async ({ ca }) => {
  const outcome = await words(pinnedSocket({ host: '127.0.0.1', port: 1, ca: ca.pem }, AbortSignal.abort()));
  assert.match(outcome, 'aborted');
});

test.run();
