import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Receipts } from './receipts.ts';

test('a pong is the receipt of what was sent before its ping, and of nothing after it', () => {
  let pings = 0;
  const received: number[] = [];
  const receipts = new Receipts(() => pings++);
  const send = (i: number): void => receipts.expect(() => received.push(i));
  send(1);
  assert.is(pings, 1);
  send(2);
  send(3);
  assert.is(pings, 1, 'one ping is under way at a time');
  receipts.pong();
  assert.equal([received, pings], [[1], 2]);
  receipts.pong();
  assert.equal([received, pings], [[1, 2, 3], 2]);
  receipts.pong();
  assert.is(pings, 2);
});

test('who hears of a receipt may send at once', () => {
  let pings = 0;
  const received: string[] = [];
  const receipts = new Receipts(() => pings++);
  receipts.expect(() => {
    received.push('first');
    receipts.expect(() => received.push('second'));
  });
  receipts.pong();
  receipts.pong();
  assert.equal([received, pings], [['first', 'second'], 2]);
});

test.run();
