import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { countsOf } from './suites.ts';

const summary = (total: number, passed: number, skipped = 0): string =>
  `x.test.ts\n  Total:     ${total}\n  Passed:    ${passed}\n  Skipped:   ${skipped}\n`;

test('counts passed and failed tests', () => {
  assert.equal(countsOf('a', summary(5, 3), 1), { suite: 'a', passed: 3, failed: 2, skipped: [] });
});

test('a suite that dies is a failure, also when nothing had failed before', () => {
  assert.is(countsOf('a', '', 1).failed, 1);
  assert.is(countsOf('a', summary(5, 5), null).failed, 1);
});

test('says what was left out', () => {
  const { skipped, failed } = countsOf('a', `SKIPPED: no socat\n${summary(1, 1)}`, 0);
  assert.equal(skipped, ['no socat']);
  assert.is(failed, 0);
});

test.run();
