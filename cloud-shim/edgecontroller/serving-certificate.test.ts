import { generateKeyPairSync } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { newMessage } from '../../runtime/core/message.ts';
import { servingRequest } from '../../runtime/wire/serving-request.ts';
import { FakeApi } from '../kube/fake-api.ts';
import { Upstream } from './upstream.ts';

type Context = { api: FakeApi; upstream: Upstream };
const test = suite<Context>('serving certificates');

test.before.each((context) => {
  context.api = new FakeApi();
  context.upstream = new Upstream({
    api: context.api,
    clock: new FakeClock(),
    log: silentLogger,
    clusterCa: '',
    kubeletPort: undefined,
    nodeKnown: () => {},
  });
});

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ask = (request: string, signerName = 'kubernetes.io/kubelet-serving') =>
  newMessage(
    {
      source: 'edged',
      group: 'meta',
      operation: 'insert',
      resource: 'default/certificatesigningrequest/csr-1',
      content: {
        metadata: { name: 'csr-1' },
        spec: { signerName, request: Buffer.from(request).toString('base64') },
      },
    },
    0,
  );
const made = 'POST /apis/certificates.k8s.io/v1/certificatesigningrequests/csr-1';
const approved = 'PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/csr-1/approval';

const cases: [string, Parameters<typeof ask>, readonly string[]][] = [
  [
    'its own addresses',
    [servingRequest('edge-1', ['127.0.0.1', '169.254.30.10', '::1'], privateKey)],
    [made, approved],
  ],
  ['an address that others have', [servingRequest('edge-1', ['127.0.0.1', '192.0.2.1'], privateKey)], [made]],
  ['a global address', [servingRequest('edge-1', ['2001:db8::1'], privateKey)], [made]],
  ['another node', [servingRequest('edge-2', ['127.0.0.1'], privateKey)], []],
  [
    'another signer',
    [servingRequest('edge-1', ['127.0.0.1'], privateKey), 'kubernetes.io/kube-apiserver-client'],
    [],
  ],
  ['what is no request', ['x'], []],
];
for (const [what, asked, wanted] of cases) {
  test(`a certificate for ${what}`, async ({ api, upstream }) => {
    const reply = await upstream.handle('edge-1', ask(...asked));
    assert.equal(api.calls, wanted);
    assert.is((reply?.content as { Err?: unknown } | undefined)?.Err === null, wanted.length > 0);
  });
}

test.run();
