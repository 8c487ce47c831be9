import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../core/fake-clock.ts';
import { POLL, SETTLE, WatchedFile } from './watched-file.ts';

type Context = {
  dir: string;
  path: string;
  clock: FakeClock;
  file: WatchedFile;
  /** What was read after each change. */
  changes: string[];
};
const test = suite<Context>('watched file');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'watched-file-'));
  context.path = join(context.dir, 'rules');
  context.clock = new FakeClock();
  context.changes = [];
  writeFileSync(context.path, 'one');
  context.file = watched(context, context.path);
});
test.after.each(({ file, dir, clock }) => {
  file.stop();
  assert.is(clock.pending, 0);
  rmSync(dir, { recursive: true });
});

function watched({ clock, changes }: Context, path: string): WatchedFile {
  const file = new WatchedFile(path, clock);
  file.read();
  file.start(() => {
    try {
      changes.push(file.read());
    } catch {
      changes.push('(gone)');
    }
  });
  return file;
}

/** Waits for the system to tell of a change. */
async function told({ clock }: Context): Promise<void> {
  const end = performance.now() + 5000;
  while (clock.pending < 2) {
    if (performance.now() > end) throw new Error('the system tells of no change');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function settled(context: Context): Promise<void> {
  await told(context);
  await context.clock.advance(SETTLE);
}

test('a file that is written in place is read again', async (context) => {
  writeFileSync(context.path, 'two');
  await settled(context);
  assert.equal(context.changes, ['two']);
});

test('a file that an editor exchanges is read again, each time', async (context) => {
  for (const text of ['two', 'three']) {
    writeFileSync(`${context.path}.new`, text);
    renameSync(`${context.path}.new`, context.path);
    await settled(context);
  }
  assert.equal(context.changes, ['two', 'three']);
});

test('a file that is being written is not read before it is left alone', async (context) => {
  const { clock, changes, path } = context;
  writeFileSync(path, 'tw');
  await told(context);
  await clock.advance(SETTLE / 2);
  writeFileSync(path, 'two and more');
  await clock.advance(SETTLE / 2);
  assert.equal(changes, []);
  await clock.advance(SETTLE);
  assert.equal(changes, ['two and more']);
});

test('a change that nobody tells of is found by looking', async (context) => {
  const target = join(context.dir, 'elsewhere');
  const link = join(context.dir, 'links', 'rules');
  mkdirSync(target);
  mkdirSync(join(context.dir, 'links'));
  writeFileSync(join(target, 'rules'), 'one');
  symlinkSync(join(target, 'rules'), link);
  context.file.stop();
  context.file = watched(context, link);
  writeFileSync(join(target, 'rules'), 'two');
  await context.clock.advance(POLL + SETTLE);
  assert.equal(context.changes, ['two']);
});

test('a folder that does not exist yet is looked for', async (context) => {
  const { dir, clock, changes } = context;
  context.file.stop();
  context.file = new WatchedFile(join(dir, 'later', 'rules'), clock);
  context.file.start(() => changes.push(context.file.read()));
  mkdirSync(join(dir, 'later'));
  writeFileSync(join(dir, 'later', 'rules'), 'one');
  await clock.advance(POLL + SETTLE);
  assert.equal(changes, ['one']);
});

test('a file that is gone, and back, changed twice', async (context) => {
  unlinkSync(context.path);
  await context.clock.advance(POLL + SETTLE);
  assert.equal(context.changes, ['(gone)']);
  writeFileSync(context.path, 'two');
  await context.clock.advance(POLL + SETTLE);
  assert.equal(context.changes, ['(gone)', 'two']);
});

test('what else happens in its folder, and what it reads itself, are no changes', async (context) => {
  const { dir, clock, changes, file, path } = context;
  writeFileSync(join(dir, 'other'), 'x');
  writeFileSync(path, 'two');
  assert.is(file.read(), 'two');
  await clock.advance(2 * POLL);
  assert.equal(changes, []);
});

test.run();
