import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Disk, systemDisk } from '../../runtime/upgrade/disk.ts';
import { FaultyDisk, PowerCut } from '../../runtime/upgrade/faulty-disk.ts';
import { armTrial, installBundle } from '../../runtime/upgrade/install.ts';
import { FileSlots, type TrialRequest } from '../../runtime/upgrade/slots.ts';
import { SmallGateway } from './small.ts';

/** The power goes after each of the changes that an upgrade makes to the disk, and what was not synced is kept, lost, or
 * lost in part. Whatever happens one whole version starts, and what was told to be done is done. */
const test = suite('power cuts');

/** In memory: what a disk loses is made here, and hundreds of syncs would take minutes. */
const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
/** Each of the changes with `--long`, else each where all that was not synced is lost, and some elsewhere. */
const stride = (kept: number): number => (process.env.EDGECORE_LONG === 'true' || kept === 0 ? 1 : 5);
const BASE = '1.0.0';
const request: TrialRequest = {
  version: '1.2.0',
  from: '1.1.0',
  at: '2026-01-01T00:00:00.000Z',
  // The launcher's own patience, 30 s more than this, is over with the test.
  within: -29,
  needsLink: false,
  needsRuntime: false,
  pods: [],
};

type Site = { readonly gateway: SmallGateway; readonly bundle: string; slots(disk?: Disk): FileSlots };

/** A gateway that was upgraded from its package's 1.0.0 to 1.1.0, and a bundle of 1.2.0. */
let site: Site;
let dir: string;
let saved: string;

test.before(async () => {
  dir = mkdtempSync(join(place, 'edgecore-power-'));
  saved = `${dir}-as-it-was`;
  const gateway = new SmallGateway(dir, BASE);
  const slots = (disk: Disk = systemDisk): FileSlots => new FileSlots(gateway.slots, BASE, disk);
  const first = await install(gateway, slots(), await gateway.bundle('1.1.0'), systemDisk);
  await armTrial(slots(), first, { ...request, version: '1.1.0', from: BASE, at: 'first' });
  assert.is(gateway.start(), '1.1.0');
  await slots().confirm(0);
  site = { gateway, bundle: await gateway.bundle('1.2.0'), slots };
  cpSync(gateway.slots, saved, { recursive: true, verbatimSymlinks: true });
});
test.after(() => {
  for (const folder of [dir, saved]) rmSync(folder, { recursive: true, force: true });
});

function asItWas(): void {
  rmSync(site.gateway.slots, { recursive: true });
  cpSync(saved, site.gateway.slots, { recursive: true, verbatimSymlinks: true });
}

async function install(gateway: SmallGateway, slots: FileSlots, source: string, disk: Disk): Promise<string> {
  const keys = gateway.keysFolder;
  const { slot } = await installBundle({ source, keys, slots, version: '1.1.0', force: true, disk });
  return slot;
}

/** Every version that may start is whole, and the ones after the first are the same. */
async function checkStarts({ gateway, slots }: Site, may: readonly string[]): Promise<string> {
  for (const name of readdirSync(gateway.slots))
    if (/^\d/.test(name)) assert.is(gateway.faultOf(name), undefined, `${name} is whole`);
  const first = gateway.start();
  assert.ok(may.includes(first), `${first} starts`);
  // It ends before it is confirmed; the next one is what counts from then on.
  const second = gateway.start();
  await slots().recover(0);
  assert.is((await slots().state()).trial, undefined, 'no trial is left');
  assert.is(gateway.start('--config', 'x'), second);
  return second;
}

/** Runs `work` until it ends without a power cut, which comes one change later each time.
 * @returns how many changes it makes */
async function atEachChange(
  kept: number,
  prepare: (site: Site) => Promise<void>,
  work: (site: Site, disk: Disk) => Promise<unknown>,
  check: (site: Site, isDone: boolean) => Promise<void>,
): Promise<number> {
  for (let n = 0; ; n += stride(kept)) {
    asItWas();
    await prepare(site);
    const disk = new FaultyDisk(n);
    let isDone = true;
    try {
      await work(site, disk);
    } catch (error) {
      if (!isPowerCut(error)) throw error;
      isDone = false;
    }
    disk.crash(kept);
    try {
      await check(site, isDone);
    } catch (error) {
      throw new Error(`after ${n} changes, ${kept} of what was not synced kept`, { cause: error });
    }
    if (isDone) return n;
  }
}

function isPowerCut(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause as Error) if (at instanceof PowerCut) return true;
  return false;
}

/** The new version is installed, and its trial has begun. */
async function onTrial({ gateway, bundle, slots }: Site): Promise<void> {
  await armTrial(slots(), await install(gateway, slots(), bundle, systemDisk), request);
  assert.is(gateway.start(), '1.2.0');
}

const nothing = async (): Promise<void> => {};

for (const kept of [0, 0.5, 1]) {
  const how = ['lost', 'lost in part', 'kept'][kept * 2];

  test(`while a bundle is installed; what was not synced is ${how}`, async () => {
    const changes = await atEachChange(
      kept,
      nothing,
      async ({ gateway, bundle, slots }, disk) => {
        const own = slots(disk);
        await armTrial(own, await install(gateway, own, bundle, disk), request);
      },
      async (site, isDone) => {
        // An armed trial is tried; nobody confirms it here, so the version before starts after it.
        assert.is(await checkStarts(site, isDone ? ['1.2.0'] : ['1.1.0', '1.2.0']), '1.1.0');
        const slot = await install(site.gateway, site.slots(), site.bundle, systemDisk);
        await armTrial(site.slots(), slot, request);
        assert.is(site.gateway.start(), '1.2.0', 'it can be installed again');
      },
    );
    assert.ok(changes > 30, `${changes} changes`);
  });

  test(`while a trial is confirmed; what was not synced is ${how}`, async () => {
    await atEachChange(
      kept,
      onTrial,
      ({ slots }, disk) => slots(disk).confirm(0),
      async (site, isDone) => {
        const runs = await checkStarts(site, isDone ? ['1.2.0'] : ['1.1.0', '1.2.0']);
        if (isDone) assert.is(runs, '1.2.0', 'what was confirmed stays');
        const { current, outcome } = await site.slots().state();
        assert.is(current.split('-')[0], runs);
        assert.is(outcome?.result, runs === '1.2.0' ? 'confirmed' : 'rolled back');
      },
    );
  });

  test(`while a trial is given up; what was not synced is ${how}`, async () => {
    await atEachChange(
      kept,
      onTrial,
      ({ slots }, disk) => slots(disk).rollback('no link', 0),
      async (site, isDone) => {
        assert.is(await checkStarts(site, ['1.1.0']), '1.1.0');
        const { outcome } = await site.slots().state();
        assert.is(outcome?.result, 'rolled back');
        if (isDone) assert.is(outcome?.reason, 'no link');
      },
    );
  });

  test(`while a kept version is left again; what was not synced is ${how}`, async () => {
    await atEachChange(
      kept,
      async (site) => {
        await onTrial(site);
        await site.slots().confirm(0);
      },
      ({ slots }, disk) => slots(disk).rollback('by hand', 0),
      async (site, isDone) => {
        const runs = await checkStarts(site, isDone ? ['1.1.0'] : ['1.1.0', '1.2.0']);
        if (isDone) assert.is(runs, '1.1.0');
      },
    );
  });

  test(`while the next start notes what became of a trial; what was not synced is ${how}`, async () => {
    await atEachChange(
      kept,
      onTrial,
      ({ slots }, disk) => slots(disk).recover(0),
      async (site) => {
        assert.is(await checkStarts(site, ['1.1.0']), '1.1.0');
        assert.is((await site.slots().state()).outcome?.version, '1.2.0');
      },
    );
  });
}

test.run();
