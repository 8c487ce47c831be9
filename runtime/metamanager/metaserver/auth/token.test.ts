import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkToken, type TokenRules } from './token.ts';

const NOW = 1_000_000;
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const claims = {
  iss: 'https://cluster',
  aud: ['https://cluster'],
  exp: NOW / 1000 + 60,
  nbf: NOW / 1000,
  'kubernetes.io': {
    namespace: 'ns',
    serviceaccount: { name: 'sa', uid: 'sa-1' },
    pod: { name: 'web', uid: 'u1' },
  },
};
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const token = (more: object = {}, alg = 'ES256', key: KeyObject = ec.privateKey): string => {
  const text = `${part({ alg })}.${part({ ...claims, ...more })}`;
  const options = alg.startsWith('ES') ? { key, dsaEncoding: 'ieee-p1363' as const } : { key };
  return `${text}.${sign('sha256', Buffer.from(text), options).toString('base64url')}`;
};
const rules: TokenRules = {
  issuers: ['https://cluster'],
  audiences: ['https://cluster'],
  keys: [rsa.publicKey, ec.publicKey],
  isKnown: () => false,
};
const subject = {
  namespace: 'ns',
  account: 'sa',
  accountUid: 'sa-1',
  bound: { type: 'pod', name: 'web', uid: 'u1' },
};

test('a token of the cluster says whose it is', () => {
  assert.equal(checkToken(token(), rules, NOW), subject);
  assert.equal(checkToken(token({}, 'RS256', rsa.privateKey), rules, NOW), subject);
});

test('without keys a token counts that this node was given', () => {
  const known = { ...rules, keys: [], isKnown: (text: string) => text === token({ nbf: 1 }) };
  assert.ok('refused' in checkToken(token(), known, NOW));
  const given = token({ nbf: 1 });
  assert.equal(checkToken(given, { ...known, isKnown: (text) => text === given }, NOW), subject);
});

const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const refused: [string, string, string][] = [
  ['no JWT', 'x', 'it is no JWT'],
  ['four parts', `${token()}.x`, 'it is no JWT'],
  ['another issuer', token({ iss: 'https://other' }), 'its issuer is unknown'],
  ['another audience', token({ aud: 'vault' }), 'it is for another audience'],
  ['an old one', token({ exp: NOW / 1000 }), 'it has expired'],
  ['one without end', token({ exp: undefined }), 'it has expired'],
  ['an early one', token({ nbf: NOW / 1000 + 1 }), 'it is not valid yet'],
  ['another key', token({}, 'ES256', other.privateKey), 'it was not signed by the cluster'],
  ['no signature', `${part({ alg: 'none' })}.${part(claims)}.x`, 'it was not signed by the cluster'],
  [
    'an algorithm that does not fit',
    `${part({ alg: 'HS256' })}.${token().split('.').slice(1).join('.')}`,
    'it was not signed by the cluster',
  ],
  ['a person', token({ 'kubernetes.io': undefined }), 'it is not of a service account'],
];
for (const [what, text, reason] of refused) {
  test(`a token that is ${what} does not count`, () => {
    assert.equal(checkToken(text, rules, NOW), { refused: reason });
  });
}

test.run();
