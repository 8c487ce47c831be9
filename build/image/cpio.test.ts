import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cpioOf } from './cpio.ts';

test('an archive has files, folders and links as the kernel reads them', () => {
  const dir = mkdtempSync(join(tmpdir(), 'edgecore-cpio-'));
  mkdirSync(join(dir, 'bin'));
  writeFileSync(join(dir, 'init'), '#!/bin/sh\n');
  chmodSync(join(dir, 'init'), 0o755);
  symlinkSync('busybox', join(dir, 'bin/sh'));
  const entries = read(cpioOf(dir));
  rmSync(dir, { recursive: true });
  assert.equal(entries, [
    { name: 'bin', kind: 'folder', content: '' },
    { name: 'bin/sh', kind: 'link', content: 'busybox' },
    { name: 'init', kind: 'file', content: '#!/bin/sh\n' },
    { name: 'TRAILER!!!', kind: 'end', content: '' },
  ]);
});

/** By the upper bits of the mode. */
const kinds = new Map([
  [0o04, 'folder'],
  [0o12, 'link'],
  [0o10, 'file'],
]);

/** Takes an archive apart by the rules of the kernel: fields of eight hex digits, names and contents padded to four. */
function read(archive: Buffer): { name: string; kind: string; content: string }[] {
  const entries = [];
  for (let at = 0; at < archive.length; ) {
    assert.is(archive.toString('latin1', at, at + 6), '070701');
    const field = (i: number): number =>
      Number.parseInt(archive.toString('latin1', at + 6 + i * 8, at + 14 + i * 8), 16);
    const nameEnd = at + 110 + field(11);
    const name = archive.toString('latin1', at + 110, nameEnd - 1);
    const from = (nameEnd + 3) & ~3;
    const kind = kinds.get(field(1) >> 12) ?? 'end';
    entries.push({ name, kind, content: archive.toString('latin1', from, from + field(6)) });
    at = (from + field(6) + 3) & ~3;
  }
  return entries;
}

test.run();
