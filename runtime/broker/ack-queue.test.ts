import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { AckQueue, type Settle } from './ack-queue.ts';

const test = suite('ack queue');

test('acknowledgements leave in the order of what they acknowledge', () => {
  const queue = new AckQueue(
    () => {},
    () => {},
  );
  const sent: string[] = [];
  const note = (name: string) => (error?: unknown) => void sent.push(error ? `${name}: ${error}` : name);
  queue.now(note('a'));
  const b = queue.later(note('b'));
  const c = queue.later(note('c'));
  queue.now(note('d'));
  c('full');
  assert.equal([sent, queue.length], [['a'], 3]);
  b();
  b('again');
  assert.equal([sent, queue.length], [['a', 'b', 'c: full', 'd'], 0]);
  queue.now(note('e'));
  assert.is(sent.at(-1), 'e');
});

test('one that never empties stays in order and small', () => {
  const queue = new AckQueue(
    () => {},
    () => {},
  );
  const sent: number[] = [];
  let waiting: Settle[] = [queue.later(() => void sent.push(0))];
  for (let n = 1; n <= 5000; n++) {
    const next = queue.later(() => void sent.push(n));
    waiting[0]?.();
    waiting = [next];
  }
  waiting[0]?.();
  assert.equal(
    sent,
    Array.from({ length: 5001 }, (_, i) => i),
  );
});

test('what an acknowledgement sets off may acknowledge more', () => {
  const queue = new AckQueue(
    () => {},
    () => {},
  );
  const sent: string[] = [];
  const a = queue.later(() => {
    sent.push('a');
    queue.now(() => void sent.push('b'));
  });
  a();
  assert.equal([sent, queue.length], [['a', 'b'], 0]);
});

test('an answer to a PUBLISH is told what it was opened with, and how it ended', () => {
  const sent: unknown[][] = [];
  const queue = new AckQueue(
    (...answer) => void sent.push(answer),
    () => {},
  );
  const [a, b] = [queue.open(1, 7, 0, 0), queue.open(2, 8, 16, 0)];
  b.settle();
  assert.equal(sent, []);
  a.settle('full');
  assert.equal(sent, [
    [1, 7, 0, 'full'],
    [2, 8, 16, undefined],
  ]);
});

test('others may wait for the same, before and after its end', () => {
  const queue = new AckQueue(
    () => {},
    () => {},
  );
  const told: unknown[] = [];
  const other = { settle: (error?: unknown) => void told.push(error) };
  const ack = queue.open(2, 1, 0, 0);
  ack.tell(other);
  assert.equal(told, []);
  ack.settle('full');
  ack.tell(other);
  assert.equal(told, ['full', 'full']);
});

test.run();
