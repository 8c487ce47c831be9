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

/** `a-2` is version 2 of object a; `aNew-1` another object of that name. */
function delivery(id: string, deletion = false, type = 'device', source = 'edgecontroller'): Delivery {
  const [uid = '', version = ''] = id.split('-');
  const route = { source, group: 'g', operation: 'update', resource: `default/${type}/${uid[0]}` };
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

test('pods, configmaps and secrets go sixteen at a time, one type after the other', ({ queue, sent }) => {
  const names = 'abcdefghijklmnopqr'.split('').map((name) => `${name}-1`);
  for (const name of names) queue.push(delivery(name, false, 'pod'));
  queue.push(delivery('s-1', false, 'secret'));
  queue.push(delivery('t-1', false, 'secret'));
  assert.equal(sent, names.slice(0, 16));
  for (const name of names.slice(1)) queue.acknowledge(name);
  assert.equal(sent, names, 'one pod is still under way');
  queue.acknowledge('a-1');
  assert.equal(sent.slice(18), ['s-1', 't-1']);
});

test('what clients of the node watch goes one by one, whatever it is', ({ queue, sent }) => {
  for (const name of ['a-1', 'b-1']) queue.push(delivery(name, false, 'pod', 'dynamiccontroller'));
  assert.equal(sent, ['a-1']);
});

test('a pod of the same name waits until the one before is gone; others do not', ({ queue, sent }) => {
  queue.push(delivery('a-1', true, 'pod'));
  queue.push(delivery('aNew-2', false, 'pod'));
  queue.push(delivery('b-1', false, 'pod'));
  assert.equal(sent, ['a-1', 'b-1']);
  queue.acknowledge('a-1');
  assert.equal(sent, ['a-1', 'b-1', 'aNew-2']);
});

test('one that is lost holds up no other of its type', async ({ queue, clock, sent }) => {
  queue.push(delivery('a-1', false, 'pod'));
  queue.push(delivery('b-1', false, 'pod'));
  queue.acknowledge('b-1');
  queue.push(delivery('c-1', false, 'pod'));
  assert.equal(sent, ['a-1', 'b-1', 'c-1']);
  queue.acknowledge('c-1');
  await clock.advance(500);
  assert.equal(sent, ['a-1', 'b-1', 'c-1', 'a-1']);
});

test('it is sent again after twice 0.5, 1, 2 and 4 s and 8 s, and after 8 s more goes to the end', async ({
  queue,
  clock,
  sent,
  postponed,
}) => {
  queue.push(delivery('a-1'));
  queue.push(delivery('b-1'));
  await clock.advance(499);
  assert.equal(sent, ['a-1']);
  await clock.advance(1);
  assert.equal(sent, ['a-1', 'a-1']);
  await clock.advance(22_500);
  assert.equal(sent, Array(10).fill('a-1'));
  assert.equal(postponed, []);
  await clock.advance(8000);
  assert.equal(postponed, ['a-1']);
  assert.equal(sent.slice(10), ['b-1']);
  assert.is(queue.length, 2, 'it is not lost');
  assert.ok(queue.acknowledge('b-1'));
  assert.equal(sent.slice(10), ['b-1', 'a-1']);
  assert.ok(queue.acknowledge('a-1'));
});

test('an object that is alone is tried for ever', async ({ queue, clock, sent, postponed }) => {
  queue.push(delivery('a-1'));
  await clock.advance(62_000);
  assert.is(sent.length, 21);
  assert.equal(postponed, ['a-1', 'a-1']);
  assert.ok(queue.acknowledge('a-1'));
});

test('an acknowledgement ends the repetition', async ({ queue, clock, sent }) => {
  queue.push(delivery('a-1'));
  await clock.advance(500);
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
  await clock.advance(31_000);
  assert.equal(postponed, ['a-1']);
  assert.equal(sent.slice(10), ['a-2']);
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
  await clock.advance(500);
  assert.equal(sent, ['a-1', 'a-1']);
});

test('a link that moves nothing for ten minutes is not waited for', async ({ queue, clock, sent, link }) => {
  link.moves = true;
  queue.push(delivery('a-1'));
  await clock.advance(600_500);
  assert.is(sent.length, 2);
});

test.run();
