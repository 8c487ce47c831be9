import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../core/errors.ts';
import { takeOwnerLock } from './owner-lock.ts';

type Context = { dir: string; path: string };
const test = suite<Context>('owner lock');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'owner-lock-'));
  context.path = join(context.dir, 'edgecore.db.owner');
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

/** What this very process writes. */
function ownEntry(path: string): { pid: number; bootId: string; startTime: string } {
  const unlock = takeOwnerLock(path);
  const entry = JSON.parse(readFileSync(path, 'utf8'));
  unlock();
  return entry;
}

const stale: [string, (own: ReturnType<typeof ownEntry>) => string][] = [
  ['of a process with this pid before the last boot', (own) => JSON.stringify({ ...own, bootId: 'other' })],
  ['of an earlier process with this pid', (own) => JSON.stringify({ ...own, startTime: '1' })],
  ['of a process that is gone', (own) => JSON.stringify({ ...own, pid: 2 ** 22 + 1 })],
  ['that a power failure cut', (own) => JSON.stringify(own).slice(0, 20)],
  ['that is empty', () => ''],
  ['that is something else', () => '42'],
];
for (const [what, text] of stale) {
  test(`a lock ${what} is taken over`, ({ path }) => {
    const own = ownEntry(path);
    writeFileSync(path, text(own));
    const unlock = takeOwnerLock(path);
    assert.equal(JSON.parse(readFileSync(path, 'utf8')), own);
    unlock();
    assert.not.ok(existsSync(path));
  });
}

test('a lock whose owner lives is left alone', ({ path }) => {
  const unlock = takeOwnerLock(path);
  const before = readFileSync(path, 'utf8');
  try {
    takeOwnerLock(path);
    assert.unreachable();
  } catch (error) {
    assert.is(errorCode(error), 'STORE_LOCKED');
  }
  assert.is(readFileSync(path, 'utf8'), before);
  unlock();
});

test.run();
