import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { TokenRequestSpec } from '../core/k8s.ts';
import { isFresh, parseTokenRequest, tokenKey } from './tokens.ts';

const ISSUED = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;
const token = (life: number) => ({
  token: 't',
  issuedAt: ISSUED,
  expirationTimestamp: new Date(ISSUED + life).toISOString(),
});

const ages: [string, number, number, boolean][] = [
  ['new', HOUR, 0, true],
  ['just under 80 % of its life old', HOUR, 0.8 * HOUR - 1, true],
  ['80 % of its life old', HOUR, 0.8 * HOUR, false],
  ['expired', HOUR, 2 * HOUR, false],
  ['of a future hour, as the clock was set back,', 24 * HOUR, -HOUR, false],
  ['of a year, and just under a day old', 365 * 24 * HOUR, 24 * HOUR - 1, true],
  ['of a year, and a day old', 365 * 24 * HOUR, 24 * HOUR, false],
];
for (const [what, life, age, fresh] of ages) {
  test(`a token that is ${what} is ${fresh ? '' : 'not '}fresh`, () =>
    assert.is(isFresh(token(life), ISSUED + age), fresh));
}

const spec = (uid: string, audiences: string[] | null, expirationSeconds = 3600): TokenRequestSpec => ({
  audiences,
  expirationSeconds,
  boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'web', uid },
});

test('a token is found again by account, pod and audiences, in whatever order these come', () => {
  const key = tokenKey('ns', 'sa', spec('u1', ['b', 'a']));
  assert.is(tokenKey('ns', 'sa', spec('u1', ['a', 'b'], 7200)), key);
  const others = [
    tokenKey('ns', 'sa', spec('u2', ['a', 'b'])),
    tokenKey('ns', 'sa', spec('u1', ['a'])),
    tokenKey('ns', 'sa', spec('u1', null)),
    tokenKey('ns', 'sb', spec('u1', ['a', 'b'])),
    tokenKey('nt', 'sa', spec('u1', ['a', 'b'])),
  ];
  assert.is(new Set([key, ...others]).size, 6);
});

test('the token is taken out of the status', () => {
  const status = { token: 'jwt', expirationTimestamp: '2026-01-01T01:00:00Z' };
  assert.equal(parseTokenRequest({ spec: {}, status }, 5), { ...status, issuedAt: 5 });
});

for (const object of [
  {},
  { status: null },
  { status: { token: '', expirationTimestamp: '2026-01-01T01:00:00Z' } },
  { status: { token: 'jwt' } },
  { status: { token: 5, expirationTimestamp: 'x' } },
]) {
  test(`${JSON.stringify(object)} holds no token`, () => assert.is(parseTokenRequest(object, 5), undefined));
}

test.run();
