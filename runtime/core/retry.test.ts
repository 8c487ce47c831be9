import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { backoffDelays } from './retry.ts';
import { seconds } from './units.ts';

const schedule = { first: seconds(1), factor: 2, cap: seconds(10), jitter: 0.2 };
const take = (random: () => number, count = 6): number[] => {
  const delays = backoffDelays(schedule, random);
  return Array.from({ length: count }, () => delays.next().value);
};

const rows: [number, number[]][] = [
  [0.5, [1000, 2000, 4000, 8000, 10_000, 10_000]],
  [0, [800, 1600, 3200, 6400, 8000, 8000]],
  [0.999_999, [1200, 2400, 4800, 9600, 10_000, 10_000]],
];
for (const [random, wanted] of rows) {
  test(`with chance at ${random} the waits are ${wanted}`, () =>
    assert.equal(
      take(() => random),
      wanted,
    ));
}

test('a fleet does not come back in step: each wait is drawn anew', () => {
  let turn = 0;
  assert.equal(
    take(() => (turn++ % 2 ? 0 : 0.5), 4),
    [1000, 1600, 4000, 6400],
  );
});

test.run();
