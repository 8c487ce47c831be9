import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { newApplication, parseVerdict } from './application.ts';

/** Captured from KubeEdge's edgecore. */
const captured = {
  ID: 'c06de1b481754bb510c2bee5bc9efd3349aa49fd8c0ffa0cc382e79351351dcd',
  Key: '/core/v1/configmaps/default/cm1',
  Verb: 'get',
  Nodename: 'edge1',
  Option: 'e30=',
  ReqBody: null,
  Subresource: '',
  RespBody: null,
  Status: 'InApplying',
  Reason: '',
  Error: { ErrStatus: { metadata: {} } },
  Timestamp: '0001-01-01T00:00:00Z',
};

test('a request is what KubeEdge sends', () => {
  assert.equal(
    newApplication({ key: '/core/v1/configmaps/default/cm1', verb: 'get', node: 'edge1' }),
    captured,
  );
});

test('what is asked differently has another ID', () => {
  const of = (more: object): string =>
    newApplication({ key: '/core/v1/pods/null/null', verb: 'list', node: 'edge1', ...more }).ID;
  const ids = [{}, { option: { limit: 1 } }, { body: Buffer.from('x') }, { subresource: 'scale' }].map(of);
  assert.is(new Set(ids).size, 4);
});

const status = { status: 'Failure', reason: 'NotFound', code: 404, message: 'no such' };
const whole = { ...status, kind: 'Status', apiVersion: 'v1', metadata: {} };
const unknown = (message: string) => ({ ...whole, reason: 'InternalError', code: 500, message });
const verdicts: [string, unknown, unknown][] = [
  [
    'an approval',
    { ...captured, Status: 'Approved', RespBody: Buffer.from('{}').toString('base64') },
    { kind: 'approved', body: Buffer.from('{}'), type: undefined },
  ],
  [
    'an approval of a watch',
    { ...captured, Status: 'Approved' },
    { kind: 'approved', body: Buffer.alloc(0), type: undefined },
  ],
  [
    'a rejection',
    { ...captured, Status: 'Rejected', Error: { ErrStatus: status } },
    { kind: 'rejected', status: whole },
  ],
  [
    'a rejection that gives a reason only',
    { ...captured, Status: 'Rejected', Reason: 'etcd is away' },
    { kind: 'rejected', status: unknown('etcd is away') },
  ],
  [
    'a failure without a word',
    { Status: 'Failed' },
    { kind: 'rejected', status: unknown('the cloud did not say why') },
  ],
  ['what is no application', 'OK', { kind: 'away', why: 'the answer of the cloud is no application' }],
];

for (const [what, content, wanted] of verdicts) {
  test(`an answer that is ${what}`, () => assert.equal(parseVerdict(content), wanted));
}

test.run();
