import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { deadline, sleep, withTimeout } from './clock.ts';
import { FakeClock } from './fake-clock.ts';
import { seconds } from './units.ts';

type Context = { clock: FakeClock };
const test = suite<Context>('clock');
test.before.each((context) => {
  context.clock = new FakeClock(0);
});
test.after.each(({ clock }) => assert.is(clock.pending, 0));

const settled = (work: Promise<unknown>): { done: boolean } => {
  const state = { done: false };
  void work.then(() => {
    state.done = true;
  });
  return state;
};

test('a sleep lasts as long as it says', async ({ clock }) => {
  const slept = settled(sleep(clock, seconds(2)));
  await clock.advance(1999);
  assert.not(slept.done);
  await clock.advance(1);
  await clock.advance(0);
  assert.ok(slept.done);
});

test('a sleep ends when the signal aborts, and does not begin when it has', async ({ clock }) => {
  const abort = new AbortController();
  const slept = settled(sleep(clock, seconds(2), abort.signal));
  abort.abort();
  await clock.advance(0);
  assert.ok(slept.done);
  await sleep(clock, seconds(2), abort.signal);
});

test('work in time settles as it does, and lets its timer go', async ({ clock }) => {
  const late = (): Error => new Error('late');
  assert.is(await withTimeout(clock, seconds(1), Promise.resolve(5), late), 5);
  const failed = withTimeout(clock, seconds(1), Promise.reject(new Error('no')), late);
  assert.is(await failed.catch((error: Error) => error.message), 'no');
});

test('work that takes longer than its limit is late', async ({ clock }) => {
  const never = new Promise(() => {});
  const outcome = withTimeout(clock, seconds(1), never, () => new Error('late')).catch(
    (error: Error) => error.message,
  );
  await clock.advance(1000);
  assert.is(await outcome, 'late');
});

test('timers fire in order of due time, then of creation, at their own time', async ({ clock }) => {
  const fired: string[] = [];
  const note = (name: string) => (): void => {
    fired.push(`${name}@${clock.monotonic()}`);
  };
  clock.after(seconds(2), note('b'));
  const every = clock.every(seconds(1), note('e'));
  clock.after(seconds(2), note('c'));
  clock.after(seconds(1), note('a'));
  await clock.advance(2000);
  every.cancel();
  assert.equal(fired, ['e@1000', 'a@1000', 'b@2000', 'e@2000', 'c@2000']);
});

test('the wall clock goes with the other, and may jump alone', async ({ clock }) => {
  clock.jump(-5000);
  await clock.advance(1000);
  assert.equal([clock.now(), clock.monotonic()], [-4000, 1000]);
});

test('a deadline aborts after its time, or with the signal that it was given, and leaves no timer', async ({
  clock,
}) => {
  const stop = new AbortController();
  const [late, stopped, done] = [1, 2, 3].map((n) => deadline(clock, seconds(n), stop.signal));
  done?.done();
  await clock.advance(1000);
  assert.equal([late?.signal.aborted, stopped?.signal.aborted], [true, false]);
  stop.abort();
  assert.equal([stopped?.signal.aborted, done?.signal.aborted], [true, false]);
  stopped?.done();
  assert.ok(deadline(clock, seconds(1), stop.signal).signal.aborted);
  await clock.advance(1000);
});

test.run();
