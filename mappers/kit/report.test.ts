import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { millis } from '../../runtime/core/units.ts';
import { Reporter } from './report.ts';
import type { ReportRule } from './report-rules.ts';

type Rule = Partial<ReportRule> & { cycle?: number };

const newReporter = (rules: Record<string, Rule> = {}): Reporter =>
  new Reporter(
    Object.entries(rules).map(([property, { cycle = 0 }]) => ({ property, reportCycle: millis(cycle) })),
    new Map(
      Object.entries(rules).map(([property, { cycle: _, ...rule }]) => {
        return [property, { deadband: 0, deadbandPercent: 0, ...rule }];
      }),
    ),
  );
const readings = (values: Record<string, string>) =>
  Object.entries(values).map(([property, value]) => ({ property, value, at: millis(0) }));
const due = (reporter: Reporter, values: Record<string, string>, now: number) =>
  Object.fromEntries(
    reporter.due(readings(values), millis(now)).map(({ property, value }) => [property, value]),
  );

test('the first value goes up, an equal one does not, another one does', () => {
  const reporter = newReporter();
  assert.equal(due(reporter, { a: '1', b: '1' }, 0), { a: '1', b: '1' });
  assert.equal(due(reporter, { a: '1', b: '2' }, 1), { b: '2' });
  assert.equal(due(reporter, { a: '1', b: '2' }, 2), {});
});

test('no value goes up more often than its report cycle; the last one is not lost', () => {
  const reporter = newReporter({ a: { cycle: 1000 } });
  due(reporter, { a: '1' }, 0);
  assert.equal(due(reporter, { a: '2' }, 500), {});
  assert.equal(due(reporter, { a: '3' }, 999), {});
  assert.equal(due(reporter, { a: '3' }, 1000), { a: '3' });
});

test('a value that went and came back within its cycle is no change', () => {
  const reporter = newReporter({ a: { cycle: 1000 } });
  due(reporter, { a: '1' }, 0);
  assert.equal(due(reporter, { a: '2' }, 500), {});
  assert.equal(due(reporter, { a: '1' }, 1500), {});
});

test('after a reset every value goes up', () => {
  const reporter = newReporter({ a: { cycle: 1000 } });
  due(reporter, { a: '1' }, 0);
  reporter.reset();
  assert.equal(due(reporter, { a: '1' }, 1), { a: '1' });
});

/** The rule, values as they are read, and those that go up. */
const bands: [string, Rule, string[], string[]][] = [
  ['an absolute deadband', { deadband: 0.5 }, ['20', '20.4', '19.6', '20.5', '20.2'], ['20', '20.5']],
  ['binary fractions', { deadband: 0.1 }, ['0.2', '0.3'], ['0.2', '0.3']],
  ['a drift in small steps', { deadband: 1 }, ['0', '0.4', '0.8', '1.2', '1.6'], ['0', '1.2']],
  [
    'a deadband in percent',
    { deadbandPercent: 10 },
    ['100', '109', '110', '120', '98'],
    ['100', '110', '98'],
  ],
  ['percent of a negative value', { deadbandPercent: 10 }, ['-100', '-95', '-90'], ['-100', '-90']],
  ['percent of nothing is nothing', { deadbandPercent: 10 }, ['0', '0.001'], ['0', '0.001']],
  [
    'both: the larger one',
    { deadband: 2, deadbandPercent: 10 },
    ['0', '1', '2', '50', '54', '55'],
    ['0', '2', '50', '55'],
  ],
  ['what is no number', { deadband: 5 }, ['1', 'NaN', 'off', 'off'], ['1', 'NaN', 'off']],
];
for (const [what, rule, read, reported] of bands) {
  test(`${what}: ${JSON.stringify(rule)}`, () => {
    const reporter = newReporter({ a: rule });
    const got = read.flatMap((value, i) => due(reporter, { a: value }, i).a ?? []);
    assert.equal(got, reported);
  });
}

test('after its heartbeat a value goes up unchanged, counted from the last report', () => {
  const reporter = newReporter({ a: { heartbeat: millis(1000), deadband: 5 } });
  due(reporter, { a: '1' }, 0);
  assert.equal(due(reporter, { a: '2' }, 999), {});
  assert.equal(due(reporter, { a: '2' }, 1000), { a: '2' }, 'the value of now, within the deadband');
  assert.equal(due(reporter, { a: '8' }, 1500), { a: '8' });
  assert.equal(due(reporter, { a: '8' }, 2499), {});
  assert.equal(due(reporter, { a: '8' }, 2500), { a: '8' });
});

test('what was reported by other ways is where the deadband starts', () => {
  const reporter = newReporter({ a: { deadband: 2 } });
  due(reporter, { a: '10' }, 0);
  reporter.said(readings({ a: '11' }), millis(1));
  assert.equal(due(reporter, { a: '12' }, 2), {});
  assert.equal(due(reporter, { a: '9' }, 3), { a: '9' });
});

test.run();
