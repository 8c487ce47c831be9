import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Gate } from './gate.ts';
import { settled } from './test-store.ts';

const test = suite('gate');

test('it opens once, when everything has ended, with the first error', async () => {
  const gate = new Gate();
  const opened: unknown[] = [];
  const one = gate.enter();
  gate.wait(Promise.reject(new Error('disk')));
  gate.wait(Promise.reject(undefined));
  gate.onOpen({ settle: (error) => void opened.push(error) });
  await settled();
  assert.equal(opened, []);
  one.settle();
  one.settle();
  assert.equal(
    opened.map((error) => (error as Error).message),
    ['disk'],
  );
});

test('one that waits for nothing opens at once', () => {
  let opened = 0;
  new Gate().onOpen({ settle: () => void opened++ });
  assert.is(opened, 1);
});

test('what ended before anyone asked counts too', () => {
  const gate = new Gate();
  gate.enter().settle('no');
  let error: unknown;
  gate.onOpen({
    settle: (why) => {
      error = why;
    },
  });
  assert.is(error, 'no');
});

test.run();
