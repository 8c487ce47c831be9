import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from './fake-clock.ts';
import { createLogger } from './log.ts';
import { type Module, stopInOrder } from './module.ts';

test('modules stop one after the other; what fails or hangs is left behind and named', async () => {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLogger({ level: 'info', clock, write: (line) => lines.push(line) });
  const stopped: string[] = [];
  const module = (name: string, stop: () => Promise<void>): Module => ({
    name,
    start: async () => {},
    stop: () => {
      stopped.push(name);
      return stop();
    },
  });
  const hangs = (): Promise<void> => new Promise(() => {});
  const modules = [
    module('bad', () => Promise.reject(new Error('no'))),
    module('slow', hangs),
    module('slower', hangs),
    module('slowest', hangs),
    module('late', hangs),
    module('last', async () => {}),
  ];
  let done = false;
  const ended = stopInOrder(modules, { clock, log }).then(() => {
    done = true;
  });
  await clock.advance(3000);
  assert.equal(stopped, ['bad', 'slow', 'slower']);
  await clock.advance(4000);
  assert.ok(done, 'all of them within seven seconds');
  await ended;
  assert.is(stopped.at(-1), 'last');
  assert.is(lines.length, 5);
});

test.run();
