import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { millis } from '../../runtime/core/units.ts';
import { Cycle } from './cycle.ts';

type Context = {
  clock: FakeClock;
  turns: number[];
  /** How long each turn takes. */
  work: { takes: number };
  make: (period: number, phase: number) => Cycle;
};
const test = suite<Context>('cycle');

test.before.each((context) => {
  const clock = new FakeClock();
  const turns: number[] = [];
  const work = { takes: 0 };
  const task = (): Promise<void> => {
    turns.push(clock.monotonic());
    if (work.takes === 0) return Promise.resolve();
    return new Promise((resolve) => {
      clock.after(millis(work.takes), resolve);
    });
  };
  const make: Context['make'] = (period, phase) =>
    new Cycle({ clock, period: millis(period), phase: millis(phase), task });
  Object.assign(context, { clock, turns, work, make });
});

test('the first turn comes after the phase, the others each period', async ({ make, clock, turns }) => {
  const cycle = make(1000, 300);
  await clock.advance(3500);
  assert.equal(turns, [300, 1300, 2300, 3300]);
  cycle.stop();
});

test('turns that take their time do not shift the ones that follow', async ({ make, clock, turns, work }) => {
  work.takes = 400;
  const cycle = make(1000, 0);
  await clock.advance(3500);
  assert.equal(turns, [0, 1000, 2000, 3000]);
  cycle.stop();
});

test('a turn that takes longer than the period makes the next one late; the missed ones are left out', async ({
  make,
  clock,
  turns,
  work,
}) => {
  work.takes = 2500;
  const cycle = make(1000, 0);
  await clock.advance(0);
  await clock.advance(100);
  work.takes = 0;
  await clock.advance(4900);
  assert.equal(turns.slice(0, 2), [0, 2500]);
  assert.equal(turns.slice(2), [3500, 4500]);
  cycle.stop();
});

test('hurry brings the next turn forward, and the period counts from it', async ({ make, clock, turns }) => {
  const cycle = make(1000, 0);
  await clock.advance(400);
  cycle.hurry();
  await clock.advance(1100);
  assert.equal(turns, [0, 400, 1400]);
  cycle.stop();
});

test('hurry during a turn starts no second one', async ({ make, clock, turns, work }) => {
  work.takes = 500;
  const cycle = make(1000, 0);
  await clock.advance(100);
  cycle.hurry();
  await clock.advance(800);
  assert.equal(turns, [0]);
  cycle.stop();
});

test('a period that is changed counts from the next turn on', async ({ make, clock, turns }) => {
  const cycle = make(1000, 0);
  await clock.advance(500);
  cycle.period = millis(200);
  await clock.advance(1000);
  assert.equal(turns, [0, 1000, 1200, 1400]);
  cycle.stop();
});

test('a cycle that was stopped takes no further turn, also when it was in one', async ({
  make,
  clock,
  turns,
  work,
}) => {
  const idle = make(1000, 100);
  idle.stop();
  work.takes = 500;
  const busy = make(1000, 0);
  await clock.advance(100);
  busy.stop();
  await clock.advance(5000);
  assert.equal(turns, [0]);
  assert.is(clock.pending, 0);
});

test.run();
