import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isOlder, uidOf } from './versions.ts';

const object = (uid: unknown, resourceVersion: unknown): unknown => ({ metadata: { uid, resourceVersion } });

const rows: [string, unknown, unknown, boolean][] = [
  ['a lower version', object('a', '9'), object('a', '10'), true],
  ['the same version', object('a', '10'), object('a', '10'), false],
  ['a higher version', object('a', '10'), object('a', '9'), false],
  [
    'versions beyond what a double holds',
    object('a', '9007199254740993'),
    object('a', '9007199254740994'),
    true,
  ],
  ['a lower version of another life', object('b', '9'), object('a', '10'), false],
  ['a version that is no number', object('a', 'x'), object('a', '10'), false],
  ['no version', object('a', undefined), object('a', '10'), false],
  ['nothing stored that has a version', object('a', '9'), object('a', ''), false],
  [
    'objects without UID, as device models from a file',
    object(undefined, '9'),
    object(undefined, '10'),
    true,
  ],
];
for (const [what, incoming, stored, older] of rows) {
  test(`${what} is ${older ? 'older' : 'not older'}`, () => assert.is(isOlder(incoming, stored), older));
}

test('the UID of what has none is undefined', () => {
  assert.is(uidOf(object('a', '1')), 'a');
  for (const value of [object('', '1'), object(5, '1'), {}, null, undefined, 'x', []])
    assert.is(uidOf(value), undefined);
});

test.run();
