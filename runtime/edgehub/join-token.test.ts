import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseJoinToken } from './join-token.ts';

const HASH = 'ab'.repeat(32);

test('a token is the CA’s hash, then the bearer token', () => {
  assert.equal(parseJoinToken(`${HASH}.head.claims.sig`), { caHash: HASH, jwt: 'head.claims.sig' });
});

test('blanks around it and capitals in the hash do not matter', () => {
  assert.equal(parseJoinToken(` ${HASH.toUpperCase()}.a.b.c\n`), { caHash: HASH, jwt: 'a.b.c' });
});

for (const token of [
  '',
  'a.b.c.d',
  `${HASH}.a.b`,
  `${HASH}.a.b.c.d`,
  `${HASH}0.a.b.c`,
  `${HASH.slice(2)}.a.b.c`,
]) {
  test(`${JSON.stringify(token.replace(HASH, 'HASH'))} is no token`, () =>
    assert.is(parseJoinToken(token), undefined));
}

test.run();
