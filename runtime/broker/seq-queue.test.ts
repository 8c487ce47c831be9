import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SeqQueue } from './seq-queue.ts';

const test = suite('seq queue');

function drain(queue: SeqQueue): number[] {
  const all: number[] = [];
  for (let seq = queue.shift(); seq >= 0; seq = queue.shift()) all.push(seq);
  return all;
}

test('it gives back in the order of what came, over its first size and around its end', () => {
  const queue = new SeqQueue();
  const wanted: number[] = [];
  for (let n = 1; n <= 100; n++) {
    queue.push(n, 10);
    if (n % 3 === 0) wanted.push(queue.shift());
  }
  assert.equal(
    [...wanted, ...drain(queue)],
    Array.from({ length: 100 }, (_, i) => i + 1),
  );
  assert.equal([queue.length, queue.bytes, queue.peek(), queue.shift()], [0, 0, -1, -1]);
});

test('what is put back comes before the oldest, also when it is full', () => {
  const queue = new SeqQueue();
  for (let n = 10; n < 26; n++) queue.push(n, 1);
  for (const n of [9, 8, 7]) queue.unshift(n, 2);
  assert.equal([queue.length, queue.bytes, queue.peek()], [19, 22, 7]);
  assert.equal(
    drain(queue),
    Array.from({ length: 19 }, (_, i) => i + 7),
  );
  queue.unshift(1, 5);
  assert.equal([queue.peek(), queue.bytes], [1, 5]);
});

test.run();
