import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { minutes, seconds } from '../../runtime/core/units.ts';
import { RestartPolicy } from './restart-policy.ts';

const test = suite('when a plugin is started again');

test('twice soon, then in quarantine after minutes, up to a quarter of an hour', () => {
  const policy = new RestartPolicy(() => 0.5);
  const waits = Array.from({ length: 8 }, () => policy.ended(seconds(2)));
  assert.equal(
    waits.map(({ wait, quarantined }) => `${wait / 1000}${quarantined ? ' q' : ''}`),
    ['1', '2', '60 q', '120 q', '240 q', '480 q', '900 q', '900 q'],
  );
});

test('one that ran for a minute, or is another version, starts afresh', () => {
  const policy = new RestartPolicy(() => 0.5);
  for (let i = 0; i < 4; i++) policy.ended(seconds(1));
  assert.equal(policy.ended(minutes(1)), { wait: seconds(1), quarantined: false });
  for (let i = 0; i < 4; i++) policy.ended(seconds(1));
  policy.reset();
  assert.equal(policy.ended(seconds(1)), { wait: seconds(1), quarantined: false });
});

test.run();
