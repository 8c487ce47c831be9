import { generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { EdgeError } from '../../../core/errors.ts';
import { FakeClock } from '../../../core/fake-clock.ts';
import { silentLogger } from '../../../core/log.ts';
import { type MessageDraft, newMessage } from '../../../core/message.ts';
import { elements } from '../../../wire/der.ts';
import { issueTestCertificate } from '../../../wire/test-certificate.ts';
import { metaManagerConfig } from '../../config.ts';
import { type LocalPods, MetaServer } from '../metaserver.ts';
import { FakeObjectStore } from '../test-store.ts';

type Context = {
  dir: string;
  clock: FakeClock;
  store: FakeObjectStore;
  link: { online: boolean; asked: string[]; request: (draft: MessageDraft) => Promise<never> };
  make: () => MetaServer;
  server: MetaServer;
  ask: (path: string, token?: string) => Promise<number>;
  open: () => Promise<void>;
};
const test = suite<Context>('the local API with TLS');

const ca = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const issuer = { name: 'cluster', key: ca.privateKey };
const caPem = new X509Certificate(
  issueTestCertificate('cluster', ca.publicKey.export({ type: 'spki', format: 'der' }), issuer),
).toString();

/** What the cluster's signer makes of a request. */
function signed(request: string): string {
  const pem = Buffer.from(request, 'base64').toString();
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const [info] = elements(elements(der)[0]?.content ?? Buffer.alloc(0));
  const spki = elements(info?.content ?? Buffer.alloc(0))[2]?.whole ?? Buffer.alloc(0);
  return new X509Certificate(issueTestCertificate('system:node:edge-1', spki, issuer)).toString();
}

test.before.each(async (context) => {
  const dir = mkdtempSync(join(tmpdir(), 'metaserver-'));
  const clock = new FakeClock(Date.now());
  const store = new FakeObjectStore();
  let request = '';
  const asked: string[] = [];
  const answer = ({ resource, operation, content }: MessageDraft): unknown => {
    if (resource === 'k8s/ca.crt') return caPem;
    if (operation !== 'insert')
      return {
        metadata: { name: 'csr' },
        status: { certificate: Buffer.from(signed(request)).toString('base64') },
      };
    const { spec } = content as { spec: { request: string } };
    request = spec.request;
    return { Object: content, Err: null };
  };
  const link = {
    online: false,
    asked,
    request: async (draft: MessageDraft) => {
      if (!link.online) throw new EdgeError('LINK_OFFLINE');
      asked.push(`${draft.operation} ${draft.resource.split('/')[1]}`);
      return newMessage({ ...draft, operation: 'response', content: answer(draft), parent: 'p' }, 0);
    },
  };
  const { metaServer } = v.parse(metaManagerConfig, {
    metaServer: {
      enable: true,
      server: '127.0.0.1:0',
      dummyServer: '127.0.0.1:0',
      tlsCaFile: join(dir, 'ca.crt'),
      tlsCertFile: join(dir, 'server.crt'),
      tlsPrivateKeyFile: join(dir, 'server.key'),
      serviceAccountKeyFiles: [join(dir, 'sa.pub')],
    },
  });
  writeFileSync(join(dir, 'sa.pub'), ca.publicKey.export({ type: 'spki', format: 'pem' }));
  const make = (): MetaServer =>
    new MetaServer({
      config: metaServer,
      node: 'edge-1',
      authorization: true,
      pods: {} as LocalPods,
      own: { keep: async () => {} },
      store,
      link,
      clock,
      log: silentLogger,
    });
  const server = make();
  await server.start();
  Object.assign(context, {
    dir,
    clock,
    store,
    link,
    make,
    server,
    open: async () => {
      link.online = true;
      context.server.online(true);
      while (context.server.port === 0) await new Promise((resolve) => setImmediate(resolve));
      link.online = false;
    },
    ask: async (path: string, token?: string) => {
      const headers = token ? { authorization: `Bearer ${token}` } : {};
      const { port } = context.server;
      // The test's CA is none by the rules: who serves is looked at instead.
      const options = { host: '127.0.0.1', port, path, agent: false, headers };
      const call = httpsRequest({ ...options, rejectUnauthorized: false });
      call.end();
      const [response] = (await once(call, 'response')) as [IncomingMessage];
      const peer = (response.socket as TLSSocket).getPeerCertificate();
      assert.is(peer.subject.CN, 'system:node:edge-1');
      response.resume();
      return response.statusCode ?? 0;
    },
  });
});
test.after.each(async ({ server, dir }) => {
  await server.stop();
  rmSync(dir, { recursive: true });
});

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
function tokenOf(clock: FakeClock, podUid = 'u1'): string {
  const claims = {
    iss: 'https://kubernetes.default.svc.cluster.local',
    aud: ['https://kubernetes.default.svc.cluster.local'],
    exp: clock.now() / 1000 + 60,
    'kubernetes.io': {
      namespace: 'ns',
      serviceaccount: { name: 'sa', uid: 'sa-1' },
      pod: { name: 'web', uid: podUid },
    },
  };
  const text = `${part({ alg: 'ES256' })}.${part(claims)}`;
  const signature = sign('sha256', Buffer.from(text), { key: ca.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

test('it opens when the cluster has signed its certificate, and after a restart without the cloud', async (context) => {
  assert.is(context.server.port, 0);
  await context.open();
  assert.equal(context.link.asked, [
    'insert certificatesigningrequest',
    'query certificatesigningrequest',
    'query ca.crt',
  ]);
  assert.is(await context.ask('/api'), 200);
  await context.server.stop();
  context.server = context.make();
  await context.server.start();
  assert.is(await context.ask('/api'), 200);
});

test('discovery is for everybody; objects are for accounts that the cluster allows them', async (context) => {
  const { store, clock, ask } = context;
  await context.open();
  const metadata = { name: 'web', namespace: 'ns', uid: 'u1' };
  store.kept.push({ key: 'ns/pod/web', type: 'pod', value: JSON.stringify({ metadata }) });
  const token = tokenOf(clock);
  assert.is(await ask('/healthz'), 200);
  assert.is(await ask('/api/v1/pods'), 401);
  assert.is(await ask('/api/v1/pods', 'x'), 401);
  assert.is(await ask('/api', 'x'), 401);
  assert.is(await ask('/api/v1/namespaces/ns/pods', token), 403);
  const access = {
    metadata: { name: 'sa', namespace: 'ns' },
    spec: {
      serviceAccount: { metadata: { name: 'sa' } },
      serviceAccountUid: 'sa-1',
      accessRoleBinding: [
        {
          roleBinding: { metadata: { namespace: 'ns' } },
          rules: [{ verbs: ['list'], apiGroups: [''], resources: ['pods'] }],
        },
      ],
    },
  };
  store.kept.push({
    key: 'ns/serviceaccountaccess/sa',
    type: 'serviceaccountaccess',
    value: JSON.stringify(access),
  });
  assert.is(await ask('/api/v1/namespaces/ns/pods', token), 200);
  assert.is(await ask('/api/v1/namespaces/ns/pods/web', token), 403);
  assert.is(await ask('/api/v1/namespaces/ns/pods', tokenOf(clock, 'gone')), 401);
});

test.run();
