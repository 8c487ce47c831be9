import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Disk, systemDisk } from './disk.ts';
import { FileSlots } from './slots.ts';

const test = suite<{ dir: string }>('slots, read while they change');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-slots-'));
  mkdirSync(join(context.dir, 'new'));
  writeFileSync(join(context.dir, 'base'), '1.0.0\n');
  symlinkSync('new', join(context.dir, 'trial'));
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

/** A disk on which `change` happens just before the link of that name is read. */
function changingBefore(name: string, change: () => void): Disk {
  return {
    ...systemDisk,
    readLink: (path) => {
      if (path.endsWith(`/${name}`)) change();
      return systemDisk.readLink(path);
    },
  };
}

test('the launcher takes the trial meanwhile: it runs', async ({ dir }) => {
  const disk = changingBefore('trial', () => renameSync(join(dir, 'trial'), join(dir, 'trying')));
  const { trial } = await new FileSlots(dir, '1.0.0', disk).state();
  assert.equal(trial, { slot: 'new', phase: 'running' });
});

test('the trial is confirmed meanwhile: it is in use', async ({ dir }) => {
  const disk = changingBefore('trying', () => renameSync(join(dir, 'trial'), join(dir, 'current')));
  const { trial, current } = await new FileSlots(dir, '1.0.0', disk).state();
  assert.equal({ trial, current }, { trial: undefined, current: 'new' });
});

test('what is no link points nowhere', async ({ dir }) => {
  assert.is(await systemDisk.readLink(join(dir, 'base')), undefined);
  assert.is(await systemDisk.readLink(join(dir, 'missing')), undefined);
});

test.run();
