import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { millis } from '../../runtime/core/units.ts';
import { Reporter } from './report.ts';

const readings = (values: Record<string, string>) =>
  Object.entries(values).map(([property, value]) => ({ property, value, at: millis(0) }));
const due = (
  reporter: Reporter,
  values: Record<string, string>,
  now: number,
  cycles: Record<string, number> = {},
) =>
  Object.fromEntries(
    reporter
      .due(readings(values), new Map(Object.entries(cycles).map(([k, n]) => [k, millis(n)])), millis(now))
      .map(({ property, value }) => [property, value]),
  );

test('the first value goes up, an equal one does not, another one does', () => {
  const reporter = new Reporter();
  assert.equal(due(reporter, { a: '1', b: '1' }, 0), { a: '1', b: '1' });
  assert.equal(due(reporter, { a: '1', b: '2' }, 1), { b: '2' });
  assert.equal(due(reporter, { a: '1', b: '2' }, 2), {});
});

test('no value goes up more often than its report cycle; the last one is not lost', () => {
  const reporter = new Reporter();
  const cycles = { a: 1000 };
  due(reporter, { a: '1' }, 0, cycles);
  assert.equal(due(reporter, { a: '2' }, 500, cycles), {});
  assert.equal(due(reporter, { a: '3' }, 999, cycles), {});
  assert.equal(due(reporter, { a: '3' }, 1000, cycles), { a: '3' });
});

test('a value that went and came back within its cycle is no change', () => {
  const reporter = new Reporter();
  const cycles = { a: 1000 };
  due(reporter, { a: '1' }, 0, cycles);
  assert.equal(due(reporter, { a: '2' }, 500, cycles), {});
  assert.equal(due(reporter, { a: '1' }, 1500, cycles), {});
});

test('after a reset every value goes up', () => {
  const reporter = new Reporter();
  due(reporter, { a: '1' }, 0, { a: 1000 });
  reporter.reset();
  assert.equal(due(reporter, { a: '1' }, 1, { a: 1000 }), { a: '1' });
});

test.run();
