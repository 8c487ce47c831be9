import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { minutes } from '../../runtime/core/units.ts';
import { StartGuard } from './start-guard.ts';

const test = suite<{ dir: string }>('the guard of starts');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-guard-'));
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true, force: true }));

test('after three starts that did not last plugins wait, each time', async ({ dir }) => {
  const held: boolean[] = [];
  for (let i = 0; i < 5; i++) held.push((await new StartGuard(dir, new FakeClock()).begin()) !== undefined);
  assert.equal(held, [false, false, false, true, true]);
});

test('a start that lasted or was ended in order does not count', async ({ dir }) => {
  for (let i = 0; i < 5; i++) {
    const clock = new FakeClock();
    const guard = new StartGuard(dir, clock);
    assert.is(await guard.begin(), undefined);
    await clock.advance(minutes(1));
    await guard.end();
  }
  assert.equal(readdirSync(dir), []);
});

test.run();
