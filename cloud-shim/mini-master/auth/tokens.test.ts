import { createHmac } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { keyPem, newKey } from '../../pki/certificate.ts';
import type { JsonObject } from '../json.ts';
import { ISSUER, TokenSigner, type TokenSubject, tokenSubject } from './tokens.ts';

const pem = keyPem(newKey());
const signer = new TokenSigner(pem);
const subject: TokenSubject = {
  namespace: 'default',
  serviceAccount: { name: 'sa', uid: 'sa-uid' },
  bound: { kind: 'pod', name: 'p', uid: 'p-uid' },
};
const NOW = 1_767_225_600;
const issued = signer.issue(subject, ['api'], NOW, 3600);
const part = (token: string, index: number): JsonObject =>
  JSON.parse(Buffer.from(token.split('.')[index] ?? '', 'base64url').toString()) as JsonObject;
const encode = (value: JsonObject): string => Buffer.from(JSON.stringify(value)).toString('base64url');

test('a token carries the claims of Kubernetes', () => {
  const { jti, ...claims } = part(issued, 1);
  assert.match(String(jti), /^[0-9a-f]{8}-[0-9a-f]{4}-4/);
  assert.equal(claims, {
    iss: ISSUER,
    sub: 'system:serviceaccount:default:sa',
    aud: ['api'],
    iat: NOW,
    nbf: NOW,
    exp: NOW + 3600,
    'kubernetes.io': {
      namespace: 'default',
      pod: { name: 'p', uid: 'p-uid' },
      serviceaccount: { name: 'sa', uid: 'sa-uid' },
    },
  });
  const { kid, ...head } = part(issued, 0);
  assert.equal(head, { alg: 'ES256', typ: 'JWT' });
  assert.ok(kid);
});

test('no two tokens are the same', () => {
  assert.is.not(signer.issue(subject, ['api'], NOW, 3600), issued);
});

test('a signature is the 64 bytes of RFC 7518 §3.4', () => {
  assert.is(Buffer.from(issued.split('.')[2] ?? '', 'base64url').length, 64);
});

for (const [when, now, valid] of [
  ['as it is issued', NOW, true],
  ['in its last second', NOW + 3599, true],
  ['as it expires', NOW + 3600, false],
  ['before it is issued', NOW - 1, false],
] as const) {
  test(`a token is ${valid ? 'good' : 'not good'} ${when}`, () => {
    assert.is(signer.check(issued, now) !== undefined, valid);
  });
}

test('a token survives a restart, and no other key accepts it', () => {
  assert.ok(new TokenSigner(pem).check(issued, NOW));
  assert.is(new TokenSigner(keyPem(newKey())).check(issued, NOW), undefined);
});

const [head = '', claims = '', signature = ''] = issued.split('.');
const forged: [string, string][] = [
  ['nothing', ''],
  ['two parts', `${head}.${claims}`],
  ['four parts', `${issued}.x`],
  ['an empty signature', `${head}.${claims}.`],
  ['other claims', `${head}.${encode({ ...part(issued, 1), sub: 'admin' })}.${signature}`],
  ['another head', `${encode({ alg: 'none' })}.${claims}.${signature}`],
  ['no algorithm and no signature', `${encode({ alg: 'none' })}.${claims}.x`],
  [
    'a MAC with the public key',
    `${encode({ alg: 'HS256' })}.${claims}.${createHmac('sha256', pem)
      .update(`${encode({ alg: 'HS256' })}.${claims}`)
      .digest('base64url')}`,
  ],
  ['a signature that is cut', `${head}.${claims}.${signature.slice(0, -4)}`],
  ['letters that are no base64', '!.!.!'],
];
for (const [what, token] of forged) {
  test(`${what} is no token`, () => assert.is(signer.check(token, NOW), undefined));
}

const subjects: TokenSubject[] = [
  { namespace: 'ns', serviceAccount: { name: 'sa', uid: 'u' } },
  subject,
  { ...subject, bound: { kind: 'secret', name: 's', uid: 's-uid' } },
  { ...subject, bound: { kind: 'node', name: 'n', uid: 'n-uid' } },
];
for (const each of subjects) {
  test(`a token bound to ${each.bound?.kind ?? 'nothing'} names its subject`, () => {
    assert.equal(tokenSubject(signer.check(signer.issue(each, [], NOW, 60), NOW) ?? {}), each);
  });
}

test('a pod comes before its node', () => {
  const token = signer.issue({ ...subject, node: { name: 'n', uid: 'n-uid' } }, [], NOW, 60);
  assert.equal(part(token, 1)['kubernetes.io'], {
    namespace: 'default',
    node: { name: 'n', uid: 'n-uid' },
    pod: { name: 'p', uid: 'p-uid' },
    serviceaccount: { name: 'sa', uid: 'sa-uid' },
  });
  assert.equal(tokenSubject(part(token, 1))?.bound, subject.bound);
});

test('claims without a service account have no subject', () => {
  assert.is(tokenSubject({}), undefined);
  assert.is(tokenSubject({ 'kubernetes.io': { namespace: 'a', serviceaccount: { name: 'b' } } }), undefined);
});

test.run();
