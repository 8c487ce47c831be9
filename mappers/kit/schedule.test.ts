import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { millis } from '../../runtime/core/units.ts';
import { fakePoint } from './fake-driver.ts';
import { Schedule } from './schedule.ts';

const names = (schedule: Schedule, now: number): string =>
  schedule
    .take(millis(now))
    .map((p) => p.property)
    .join(' ');

test('everything is read at first, and then on the grid', () => {
  const schedule = new Schedule([fakePoint('a', 500), fakePoint('b', 1000)], millis(30), millis(700));
  assert.is(schedule.next, 30);
  const turns = [30, 200, 700, 1200, 1700].map((now) => names(schedule, now));
  assert.equal(turns, ['a b', 'a', 'a b', 'a', 'a b']);
});

test('the same points come as the same array', () => {
  const schedule = new Schedule([fakePoint('a', 500), fakePoint('b', 1000)], millis(0), millis(0));
  const sets = [0, 500, 1000, 1500, 2000].map((now) => schedule.take(millis(now)));
  assert.is(sets[0], sets[2]);
  assert.is(sets[1], sets[3]);
  assert.is(sets[0], sets[4]);
});

test('a late turn shifts none that follow, and missed ones are left out', () => {
  const schedule = new Schedule([fakePoint('a', 1000)], millis(0), millis(0));
  names(schedule, 0);
  assert.is(names(schedule, 2500), 'a');
  assert.is(names(schedule, 2600), '');
  assert.is(schedule.next, 3000);
});

test('a timer that fires a millisecond early takes the turn, and it comes once', () => {
  const schedule = new Schedule([fakePoint('a', 1000)], millis(0), millis(0));
  names(schedule, 0);
  assert.is(names(schedule, 998.6), 'a');
  assert.is(schedule.next, 2000);
});

test('a cycle that is not kept for long is told with the one that is achieved; a single late turn is not', () => {
  const schedule = new Schedule([fakePoint('a', 100), fakePoint('b', 1000)], millis(0), millis(0));
  const turns = (from: number, to: number, step: number): void => {
    for (let now = from; now < to; now += step) schedule.take(millis(now));
  };
  turns(0, 1000, 100);
  assert.is(schedule.lag, undefined);
  schedule.take(millis(1150));
  assert.is(schedule.lag, undefined);
  turns(1400, 20_000, 250);
  assert.equal(schedule.lag?.asked, 100);
  assert.ok(Math.abs((schedule.lag?.achieved ?? 0) - 250) < 15, `${schedule.lag?.achieved}`);
  turns(20_000, 24_000, 100);
  assert.is(schedule.lag, undefined);
});

test('after an absence everything is due, and the absence is no lag', () => {
  const schedule = new Schedule([fakePoint('a', 100), fakePoint('b', 60_000)], millis(0), millis(0));
  names(schedule, 0);
  schedule.restart(millis(5000));
  assert.is(names(schedule, 5000), 'a b');
  assert.is(schedule.lag, undefined);
});

test('without points nothing is ever due', () => {
  assert.is(new Schedule([], millis(0), millis(0)).next, Number.POSITIVE_INFINITY);
});

test.run();
