import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { at, equal, type Json, parseJson } from './json.ts';

const pairs: [Json | undefined, Json | undefined, boolean][] = [
  [1, 1, true],
  [1, '1', false],
  [null, undefined, false],
  [null, {}, false],
  [[], {}, false],
  [[1, [2]], [1, [2]], true],
  [[1, 2], [2, 1], false],
  [[1], [1, 1], false],
  [{ a: 1, b: 2 }, { b: 2, a: 1 }, true],
  [{ a: 1 }, { a: 1, b: null }, false],
  [{ a: 1 }, { a: 1, b: undefined }, true],
  [{}, { constructor: 1 }, false],
  [{ toString: 'x' }, {}, false],
];
for (const [a, b, same] of pairs) {
  test(`${JSON.stringify(a)} and ${JSON.stringify(b)} are ${same ? 'equal' : 'not equal'}, both ways`, () => {
    assert.is(equal(a, b), same);
    assert.is(equal(b, a), same);
  });
}

test('a path ends where a step is missing, and inherits nothing', () => {
  assert.is(at({ a: { b: 1 } }, 'a', 'b'), 1);
  assert.is(at({ a: { b: 1 } }, 'a', 'c', 'd'), undefined);
  assert.is(at({ a: [1] }, 'a', '0'), undefined);
  assert.is(at({}, 'constructor'), undefined);
});

test('text cannot reach a prototype, however the key is written', () => {
  for (const text of ['{"__proto__": {"x": 1}, "a": 1}', '{"\\u005f_proto__": {"x": 1}, "a": 1}']) {
    const value = parseJson(text);
    assert.equal(Object.keys(value as object), ['a']);
    assert.is((value as { x?: unknown }).x, undefined);
  }
});

test.run();
