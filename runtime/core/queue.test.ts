import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BoundedQueue, type DropRule } from './queue.ts';

const make = (drop: DropRule, count = 3, bytes = 100) => {
  const dropped: string[] = [];
  const queue = new BoundedQueue<string>(
    { count, bytes, drop },
    (item) => item.length,
    (item) => dropped.push(item),
  );
  const drain = (): string[] => {
    const items: string[] = [];
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) items.push(item);
    return items;
  };
  return { queue, dropped, drain };
};

test('first in, first out', () => {
  const { queue, drain } = make('newest');
  for (const item of ['a', 'bb', 'ccc']) assert.ok(queue.push(item));
  assert.equal([queue.length, queue.bytes, queue.peek()], [3, 6, 'a']);
  assert.equal(drain(), ['a', 'bb', 'ccc']);
  assert.equal([queue.length, queue.bytes, queue.peek()], [0, 0, undefined]);
});

test('rule oldest: the oldest give way to the new one', () => {
  const { queue, dropped, drain } = make('oldest');
  for (const item of ['a', 'b', 'c', 'd', 'e']) assert.ok(queue.push(item));
  assert.equal([dropped, queue.dropped], [['a', 'b'], 2]);
  assert.equal(drain(), ['c', 'd', 'e']);
});

test('rule newest: what does not fit is dropped itself', () => {
  const { queue, dropped, drain } = make('newest');
  const taken = ['a', 'b', 'c', 'd'].map((item) => queue.push(item));
  assert.equal(taken, [true, true, true, false]);
  assert.equal(dropped, ['d']);
  assert.equal(drain(), ['a', 'b', 'c']);
});

test('bytes are bounded as well: as many of the oldest go as it takes', () => {
  const { queue, dropped, drain } = make('oldest', 10, 6);
  for (const item of ['aa', 'bb', 'cc', 'dddd']) queue.push(item);
  assert.equal(dropped, ['aa', 'bb']);
  assert.is(queue.bytes, 6);
  assert.equal(drain(), ['cc', 'dddd']);
});

for (const drop of ['oldest', 'newest'] as const) {
  test(`rule ${drop}: an item larger than the whole queue drops nothing but itself`, () => {
    const { queue, dropped, drain } = make(drop, 10, 6);
    queue.push('aa');
    assert.not(queue.push('xxxxxxx'));
    assert.equal([dropped, drain()], [['xxxxxxx'], ['aa']]);
  });
}

test('order and counts hold over many thousands of items', () => {
  const { queue } = make('newest', 1000, 1e6);
  let next = 0;
  let expected = 0;
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < 50; i++) queue.push(String(next++));
    for (let i = 0; i < 40; i++) assert.is(queue.shift(), String(expected++));
    if (queue.length > 900) while (queue.length > 0) assert.is(queue.shift(), String(expected++));
  }
  assert.is(queue.length, next - expected);
});

test.run();
