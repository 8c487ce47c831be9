import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../core/errors.ts';
import { type VolumeFile, writeAtomically } from './atomic-writer.ts';

type Context = { folder: string };
const test = suite<Context>('atomic-writer');
test.before.each((context) => {
  context.folder = join(mkdtempSync(join(tmpdir(), 'atomic-')), 'volume');
});
test.after.each(({ folder }) => rmSync(join(folder, '..'), { recursive: true }));

const file = (path: string, content: string, mode = 0o644): VolumeFile => ({
  path,
  content: Buffer.from(content),
  mode,
});
const read = (folder: string, path: string): string => readFileSync(join(folder, path), 'utf8');
const visible = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => !name.startsWith('..'))
    .sort();
const hidden = (folder: string): string[] => readdirSync(folder).filter((name) => name.startsWith('..'));

test('each file is there with its content and mode, through one link', ({ folder }) => {
  writeAtomically(folder, [file('a', '1', 0o600), file('sub/b', '2')]);
  assert.equal(visible(folder), ['a', 'sub']);
  assert.equal([read(folder, 'a'), read(folder, 'sub/b')], ['1', '2']);
  assert.is(statSync(join(folder, 'a')).mode & 0o777, 0o600);
  assert.equal(
    ['a', 'sub'].map((name) => readlinkSync(join(folder, name))),
    ['..data/a', '..data/sub'],
  );
});

test('an update changes all files in one step, and leaves nothing of the old ones', ({ folder }) => {
  writeAtomically(folder, [file('a', '1'), file('gone', 'x')]);
  const before = readlinkSync(join(folder, '..data'));
  writeAtomically(folder, [file('a', '2'), file('new', 'y')]);
  const after = readlinkSync(join(folder, '..data'));
  assert.is.not(after, before);
  assert.equal(visible(folder), ['a', 'new']);
  assert.is(read(folder, 'a'), '2');
  assert.equal(hidden(folder).sort(), ['..data', after].sort());
});

const changes: [string, VolumeFile[], boolean][] = [
  ['the same', [file('a', '1'), file('b', '2')], false],
  ['the same in another order', [file('b', '2'), file('a', '1')], false],
  ['another content', [file('a', '1'), file('b', '3')], true],
  ['another mode', [file('a', '1'), file('b', '2', 0o400)], true],
  ['one file less', [file('a', '1')], true],
  ['one file more', [file('a', '1'), file('b', '2'), file('c', '3')], true],
];
for (const [what, files, written] of changes) {
  test(`${what} is ${written ? 'written' : 'not written again'}`, ({ folder }) => {
    writeAtomically(folder, [file('a', '1'), file('b', '2')]);
    const before = readlinkSync(join(folder, '..data'));
    writeAtomically(folder, files);
    assert.is(readlinkSync(join(folder, '..data')) !== before, written);
  });
}

test('what a power cut left half-done does not stop the next update, and is cleared away', ({ folder }) => {
  writeAtomically(folder, [file('a', '1')]);
  mkdirSync(join(folder, '..vhalf'));
  symlinkSync('..vhalf', join(folder, '..data_tmp'));
  writeAtomically(folder, [file('a', '2')]);
  assert.is(read(folder, 'a'), '2');
  assert.equal(hidden(folder).sort(), ['..data', readlinkSync(join(folder, '..data'))].sort());
});

test('a volume without files is an empty folder', ({ folder }) => {
  writeAtomically(folder, []);
  assert.ok(lstatSync(folder).isDirectory());
  assert.equal(visible(folder), []);
});

for (const path of ['', '/etc/passwd', '../x', 'a/../../x', '..', '..data', '..x/y']) {
  test(`${JSON.stringify(path)} is refused before anything is written`, ({ folder }) => {
    try {
      writeAtomically(folder, [file('a', '1'), file(path, 'x')]);
      assert.unreachable();
    } catch (error) {
      assert.is(errorCode(error), 'OBJECT_INVALID');
    }
    assert.throws(() => readdirSync(folder), /ENOENT/);
  });
}

test.run();
