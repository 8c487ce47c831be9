import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { newMessage } from '../../runtime/core/message.ts';
import { AckQueue, type Delivery } from './ack-queue.ts';

type Context = {
  clock: FakeClock;
  queue: AckQueue;
  sent: string[];
  done: string[];
  postponed: string[];
  link: { moves: boolean };
};
const test = suite<Context>('ack queue');

test.before.each((context) => {
  context.clock = new FakeClock();
  context.sent = [];
  context.done = [];
  context.postponed = [];
  context.link = { moves: false };
  context.queue = new AckQueue({
    clock: context.clock,
    send: (message) => context.sent.push(message.header.msg_id),
    acknowledged: ({ message }) => context.done.push(message.header.msg_id),
    postponed: ({ message }) => context.postponed.push(message.header.msg_id),
    isMoving: () => context.link.moves,
  });
});
test.after.each(({ queue, clock }) => {
  queue.stop();
  assert.is(clock.pending, 0, 'no timer is left');
});

/** `a-2` is version 2 of object a. */
function delivery(id: string, deletion = false): Delivery {
  const [uid = '', version = ''] = id.split('-');
  const route = { source: 's', group: 'g', operation: 'update', resource: uid };
  return { message: newMessage({ ...route, content: {} }, 0, id), uid, version, deletion };
}

test('one object is under way at a time', ({ queue, sent, done }) => {
  for (const id of ['a-1', 'b-1', 'c-1']) queue.push(delivery(id));
  assert.equal(sent, ['a-1']);
  assert.is(queue.length, 3);
  assert.ok(queue.acknowledge('a-1'));
  assert.equal(sent, ['a-1', 'b-1']);
  assert.ok(queue.acknowledge('b-1'));
  assert.ok(queue.acknowledge('c-1'));
  assert.equal(done, ['a-1', 'b-1', 'c-1']);
  assert.is(queue.length, 0);
});

test('only the message that is waited for is acknowledged, and once', ({ queue, done }) => {
  queue.push(delivery('a-1'));
  queue.push(delivery('b-1'));
  assert.not(queue.acknowledge('b-1'), 'it was not sent');
  assert.not(queue.acknowledge(''));
  assert.ok(queue.acknowledge('a-1'));
  assert.not(queue.acknowledge('a-1'));
  assert.equal(done, ['a-1']);
});

test('it is sent again every 5 s, four times, and then goes to the end', async ({
  queue,
  clock,
  sent,
  postponed,
}) => {
  queue.push(delivery('a-1'));
  queue.push(delivery('b-1'));
  await clock.advance(4999);
  assert.equal(sent, ['a-1']);
  await clock.advance(1);
  assert.equal(sent, ['a-1', 'a-1']);
  await clock.advance(15_000);
  assert.equal(sent, ['a-1', 'a-1', 'a-1', 'a-1', 'a-1']);
  assert.equal(postponed, []);
  await clock.advance(5000);
  assert.equal(postponed, ['a-1']);
  assert.equal(sent.slice(5), ['b-1']);
  assert.is(queue.length, 2, 'it is not lost');
  assert.ok(queue.acknowledge('b-1'));
  assert.equal(sent.slice(5), ['b-1', 'a-1']);
  assert.ok(queue.acknowledge('a-1'));
});

test('an object that is alone is tried for ever', async ({ queue, clock, sent, postponed }) => {
  queue.push(delivery('a-1'));
  await clock.advance(60_000);
  assert.is(sent.length, 13);
  assert.equal(postponed, ['a-1', 'a-1']);
  assert.ok(queue.acknowledge('a-1'));
});

test('an acknowledgement ends the repetition', async ({ queue, clock, sent }) => {
  queue.push(delivery('a-1'));
  await clock.advance(6000);
  queue.acknowledge('a-1');
  await clock.advance(60_000);
  assert.equal(sent, ['a-1', 'a-1']);
});

test('a newer state takes the place of the one that waits', ({ queue, sent }) => {
  queue.push(delivery('a-1'));
  queue.push(delivery('b-1'));
  queue.push(delivery('c-1'));
  queue.push(delivery('b-2'));
  assert.is(queue.length, 3);
  for (const id of ['a-1', 'b-2', 'c-1']) assert.ok(queue.acknowledge(id));
  assert.equal(sent, ['a-1', 'b-2', 'c-1']);
});

test('a newer state of what is under way is sent after it', ({ queue, sent, done }) => {
  queue.push(delivery('a-1'));
  queue.push(delivery('a-2'));
  assert.equal(sent, ['a-1']);
  queue.acknowledge('a-1');
  queue.acknowledge('a-2');
  assert.equal(done, ['a-1', 'a-2']);
});

test('what is postponed does not come back over its newer state', async ({
  queue,
  clock,
  sent,
  postponed,
}) => {
  queue.push(delivery('a-1'));
  queue.push(delivery('a-2'));
  await clock.advance(25_000);
  assert.equal(postponed, ['a-1']);
  assert.equal(sent.slice(5), ['a-2']);
  assert.is(queue.length, 1);
});

test('nothing comes after a deletion that waits', ({ queue, sent }) => {
  queue.push(delivery('b-1'));
  queue.push(delivery('a-3', true));
  queue.push(delivery('a-2'));
  assert.is(queue.length, 2);
  queue.acknowledge('b-1');
  queue.acknowledge('a-3');
  assert.equal(sent, ['b-1', 'a-3']);
});

test('a deletion takes the place of the state that waits', ({ queue, sent }) => {
  queue.push(delivery('b-1'));
  queue.push(delivery('a-2'));
  queue.push(delivery('a-3', true));
  queue.acknowledge('b-1');
  assert.equal(sent, ['b-1', 'a-3']);
});

test('a queue that is stopped sends nothing more', async ({ queue, clock, sent, postponed }) => {
  queue.push(delivery('a-1'));
  queue.push(delivery('b-1'));
  queue.stop();
  await clock.advance(60_000);
  assert.equal(sent, ['a-1']);
  assert.equal(postponed, []);
  assert.is(queue.length, 0);
  assert.not(queue.acknowledge('a-1'));
});

test('while it is still on its way it is not sent again', async ({ queue, clock, sent, link }) => {
  link.moves = true;
  queue.push(delivery('a-1'));
  await clock.advance(60_000);
  assert.equal(sent, ['a-1']);
  link.moves = false;
  await clock.advance(5000);
  assert.equal(sent, ['a-1', 'a-1']);
});

test('a link that moves nothing for ten minutes is not waited for', async ({ queue, clock, sent, link }) => {
  link.moves = true;
  queue.push(delivery('a-1'));
  await clock.advance(605_000);
  assert.is(sent.length, 2);
});

test.run();
