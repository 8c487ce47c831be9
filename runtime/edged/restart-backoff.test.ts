import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ObservedContainer } from './observed.ts';
import { RestartBackoff } from './restart-backoff.ts';

const SECOND = 1000;
const exited = (attempt: number, startedAt: number, finishedAt: number, name = 'app'): ObservedContainer => ({
  id: `${name}-${attempt}`,
  name,
  attempt,
  state: 'exited',
  createdAt: startedAt,
  image: '',
  imageRef: '',
  hash: '',
  startedAt,
  finishedAt,
  exitCode: 1,
  reason: '',
  message: '',
  logPath: '',
});

/** Later than every end of a wait. */
const LATE = Number.MAX_SAFE_INTEGER;

test('a container that was never here may start', () =>
  assert.is(new RestartBackoff().notBefore('app', LATE), 0));

test('the first restart comes at once, the next after 10, 20, 40 … s and at most 5 minutes', () => {
  const backoff = new RestartBackoff();
  const waits: number[] = [];
  for (let attempt = 0; attempt < 9; attempt++) {
    const end = (attempt + 1) * 1000 * SECOND;
    backoff.exited(exited(attempt, end - SECOND, end));
    waits.push((backoff.notBefore('app', LATE) - end) / SECOND);
  }
  assert.equal(waits, [0, 10, 20, 40, 80, 160, 300, 300, 300]);
});

test('the same exit counts once, however often it is seen', () => {
  const backoff = new RestartBackoff();
  for (let i = 0; i < 5; i++) backoff.exited(exited(0, 0, SECOND));
  assert.is(backoff.notBefore('app', LATE), SECOND);
});

test('a run of more than ten minutes starts the series over', () => {
  const backoff = new RestartBackoff();
  for (let attempt = 0; attempt < 5; attempt++) backoff.exited(exited(attempt, 0, SECOND));
  backoff.exited(exited(5, 0, 601 * SECOND));
  assert.is(backoff.notBefore('app', LATE), 601 * SECOND);
  backoff.exited(exited(6, 0, SECOND));
  assert.is(backoff.notBefore('app', LATE), 11 * SECOND);
});

test('after a restart of the agent the attempts tell how long the series was', () => {
  const backoff = new RestartBackoff();
  backoff.exited(exited(3, 0, SECOND));
  assert.is(backoff.notBefore('app', LATE), 41 * SECOND);
});

test('starts that do not come about wait 10, 20, 40 s', () => {
  const backoff = new RestartBackoff();
  const waits = [0, 1, 2].map(() => {
    backoff.failed('app', 5000);
    return (backoff.notBefore('app', LATE) - 5000) / SECOND;
  });
  assert.equal(waits, [10, 20, 40]);
});

test('what held a start up may be gone: it may be tried at once, a crashing container may not', () => {
  const backoff = new RestartBackoff();
  backoff.failed('pulling', 0);
  backoff.exited(exited(2, 0, SECOND, 'crashing'));
  backoff.clear();
  assert.equal([backoff.notBefore('pulling', LATE), backoff.notBefore('crashing', LATE)], [0, 21 * SECOND]);
  backoff.failed('pulling', 0);
  backoff.failed('other', 0);
  backoff.clear('pulling');
  assert.equal([backoff.notBefore('pulling', LATE), backoff.notBefore('other', LATE)], [0, 10 * SECOND]);
});

test('containers do not wait for each other', () => {
  const backoff = new RestartBackoff();
  backoff.failed('a', 0);
  assert.is(backoff.notBefore('b', LATE), 0);
});

test('a clock that was set back does not make a wait longer than any is', () => {
  const backoff = new RestartBackoff();
  backoff.failed('app', 7200 * SECOND);
  assert.is(backoff.notBefore('app', 7200 * SECOND), 7210 * SECOND);
  assert.is(backoff.notBefore('app', 3600 * SECOND), 0);
});

test.run();
