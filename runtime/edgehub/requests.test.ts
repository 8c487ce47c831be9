import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../core/errors.ts';
import { FakeClock } from '../core/fake-clock.ts';
import { newMessage } from '../core/message.ts';
import { seconds } from '../core/units.ts';
import { Requests } from './requests.ts';

type Context = { clock: FakeClock; requests: Requests; settled: string[] };
const test = suite<Context>('requests');

test.before.each((context) => {
  context.clock = new FakeClock();
  context.settled = [];
  context.requests = new Requests(context.clock, { settled: (id) => context.settled.push(id) });
});
test.after.each(({ clock }) => assert.is(clock.pending, 0));

const reply = newMessage({ source: 's', group: 'g', operation: 'response', resource: 'r', content: 1 }, 0);
const outcome = (work: Promise<unknown>): Promise<unknown> =>
  work.catch((error: unknown) => errorCode(error));

test('an answer goes to who waits for it, once', async ({ requests, settled }) => {
  const waiting = requests.wait('a', 'r', seconds(1));
  assert.not(requests.settle('b', reply));
  assert.ok(requests.settle('a', reply));
  assert.is(await waiting, reply);
  assert.not(requests.settle('a', reply));
  assert.equal(settled, ['a'], 'it is not sent again');
});

test('without an answer the request fails when its time is up', async ({ requests, clock, settled }) => {
  const waiting = outcome(requests.wait('a', 'r', seconds(1)));
  await clock.advance(seconds(60));
  assert.is(clock.pending, 0, 'it does not run while the request waits for its turn on a slow link');
  requests.handed('a');
  await clock.advance(999);
  assert.is(clock.pending, 1);
  await clock.advance(1);
  assert.is(await waiting, 'LINK_TIMEOUT');
  assert.not(requests.settle('a', reply), 'an answer that is late');
  assert.equal(settled, ['a']);
});

test('the end of the connection fails all that wait', async ({ requests }) => {
  const both = [outcome(requests.wait('a', 'r', seconds(1))), outcome(requests.wait('b', 'r', seconds(1)))];
  requests.failAll('gone');
  assert.equal(await Promise.all(both), ['LINK_OFFLINE', 'LINK_OFFLINE']);
});

test('a request that is not sent fails at once', async ({ requests }) => {
  const waiting = outcome(requests.wait('a', 'r', seconds(1)));
  requests.refuse('a', 'no room');
  assert.is(await waiting, 'LINK_OFFLINE');
});

test.run();
