import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { countsOf, killTree } from './suites.ts';

const summary = (total: number, passed: number, skipped = 0): string =>
  `x.test.ts\n  Total:     ${total}\n  Passed:    ${passed}\n  Skipped:   ${skipped}\n`;

test('counts passed and failed tests', () => {
  const { suite, passed, failed } = countsOf('a', summary(5, 3), 1);
  assert.equal({ suite, passed, failed }, { suite: 'a', passed: 3, failed: 2 });
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

test('keeps what failed tests said, or the last lines of a suite that died', () => {
  const reports = '   FAIL  "adds"\n    two\n\n        Actual:\n    at add.ts:1\n';
  const output = `x.test.ts\n✘ • (1 / 2)\n\n${reports}\n\n${summary(2, 1)}`;
  assert.is(countsOf('a', output, 1).failures, reports.trimEnd());
  assert.is(countsOf('a', 'begun\nkilled\n', null).failures, 'begun\nkilled');
  assert.is(countsOf('a', summary(2, 2), 0).failures, '');
});

test('a suite that is stopped takes along what it has started, also what has a session of its own', async () => {
  const script = 'setsid sleep 3600 & setsid sh -c "sleep 3600; true" & echo begun; wait';
  const parent = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(parent.stdout, 'data');
  killTree(Number(parent.pid));
  // They hold its output open as long as they live.
  await once(parent, 'close', { signal: AbortSignal.timeout(10_000) });
});

test.run();
