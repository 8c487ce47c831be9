import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { InOrder } from './in-order.ts';

const test = suite('in order');

test('one thing is worked on in order, whatever becomes of what was before; another at once', async () => {
  const order = new InOrder();
  const begun: string[] = [];
  const ends = new Map<string, { resolve: (value: string) => void; reject: (error: Error) => void }>();
  const work = (name: string) => (): Promise<string> => {
    begun.push(name);
    return new Promise((resolve, reject) => ends.set(name, { resolve, reject }));
  };
  const first = order.run('a', work('a1')).catch((error: Error) => error.message);
  const second = order.run('a', work('a2'));
  const other = order.run('b', work('b1'));
  assert.equal(begun, ['a1', 'b1']);
  ends.get('a1')?.reject(new Error('failed'));
  assert.is(await first, 'failed');
  await new Promise(setImmediate);
  assert.equal(begun, ['a1', 'b1', 'a2']);
  ends.get('a2')?.resolve('done');
  ends.get('b1')?.resolve('done');
  assert.equal(await Promise.all([second, other]), ['done', 'done']);
  await new Promise(setImmediate);
  assert.is(order.size, 0, 'nothing is kept');
});

test.run();
