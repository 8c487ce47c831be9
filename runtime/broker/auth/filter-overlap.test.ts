import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { matches } from '../topics.ts';
import { leastMatchedTopics, overlapOf } from './filter-overlap.ts';

const overlaps: [string, string, string | undefined][] = [
  ['a/b', 'a/b', 'a/b'],
  ['a/b', 'a/c', undefined],
  ['a/b', 'a', undefined],
  ['a/+', 'a/b', 'a/b'],
  ['+/b', 'a/+', 'a/b'],
  ['+/+', '+/+', '+/+'],
  ['#', '#', '#'],
  ['#', 'a/+/c', 'a/+/c'],
  ['a/#', 'a', 'a'],
  ['a/#', 'a/b/#', 'a/b/#'],
  ['a/#', '+/b', 'a/b'],
  ['a/#', '+', 'a'],
  ['a/#', 'b/#', undefined],
  ['a/+', 'a', undefined],
  ['a/+', 'a/', 'a/'],
  ['/#', '+/b', '/b'],
  ['#', '$SYS/#', undefined],
  ['+/x', '$dev/x', undefined],
  ['$dev/#', '$dev/+', '$dev/+'],
  ['a/+', 'a/$b', 'a/$b'],
];

for (const [a, b, both] of overlaps) {
  test(`${a} and ${b} share ${both ?? 'no topic'}`, () => {
    assert.is(overlapOf(a.split('/'), b.split('/'))?.join('/'), both);
    assert.is(overlapOf(b.split('/'), a.split('/'))?.join('/'), both);
  });
}

/** Every sequence of up to `length` of the words. */
function sequences(words: readonly string[], length: number): string[][] {
  if (length === 0) return [[]];
  const shorter = sequences(words, length - 1);
  return [[], ...words.flatMap((word) => shorter.map((rest) => [word, ...rest]))];
}

test('what they share is just what both match, for all filters of three levels', () => {
  const filters = sequences(['a', 'b', '+', '$s'], 2).flatMap((levels) => [levels, [...levels, '#']]);
  const topics = sequences(['a', 'b', 'c', '$s'], 4).map((names) => names.join('/'));
  for (const a of filters.filter(({ length }) => length > 0)) {
    for (const b of filters.filter(({ length }) => length > 0)) {
      const both = overlapOf(a, b);
      for (const topic of topics.filter(Boolean)) {
        const expected = matches(a, topic) && matches(b, topic);
        if (expected !== (both !== undefined && matches(both, topic)))
          assert.unreachable(`${a.join('/')} and ${b.join('/')} give ${both?.join('/')}, but ${topic}`);
      }
    }
  }
});

const examples: [string, number, string[]][] = [
  ['a/b', 9, ['a/b']],
  ['a/+/c', 1, ['a/\0/c']],
  ['#', 3, ['\0', '\0/\0', '\0/\0/\0']],
  ['a/#', 2, ['a', 'a/\0']],
  ['a/b/+/#', 1, ['a/b/\0', 'a/b/\0/\0']],
];

for (const [filter, levels, topics] of examples) {
  test(`${filter} is followed to ${levels} levels`, () => {
    assert.equal(leastMatchedTopics(filter.split('/'), levels), topics);
  });
}

test.run();
