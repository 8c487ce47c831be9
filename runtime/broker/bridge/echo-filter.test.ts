import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EchoFilter } from './echo-filter.ts';

const text = (payload: string): Buffer => Buffer.from(payload);

test('each message that was sent stops one with the same topic and payload', () => {
  const echoes = new EchoFilter();
  echoes.sent('a', text('1'), 0);
  echoes.sent('a', text('1'), 0);
  const others = [echoes.isEcho('a', text('2'), 1), echoes.isEcho('b', text('1'), 1)];
  const mine = [1, 2, 3].map(() => echoes.isEcho('a', text('1'), 1));
  assert.equal(
    [others, mine],
    [
      [false, false],
      [true, true, false],
    ],
  );
});

test('an echo that did not come in time is not waited for', () => {
  const echoes = new EchoFilter();
  echoes.sent('a', text('1'), 0);
  echoes.sent('b', text('1'), 29_000);
  assert.equal([echoes.isEcho('a', text('1'), 30_000), echoes.isEcho('b', text('1'), 30_000)], [false, true]);
});

test('no more than a thousand are waited for, and the oldest give way', () => {
  const echoes = new EchoFilter();
  for (let i = 0; i < 1010; i++) echoes.sent('a', text(`${i}`), 0);
  assert.equal(
    [9, 10, 1009].map((i) => echoes.isEcho('a', text(`${i}`), 1)),
    [false, true, true],
  );
});

test.run();
