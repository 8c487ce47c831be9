import { createHash, generateKeyPairSync } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeUpgradeBundle } from '../../build/upgrade-bundle.ts';
import { type Disk, systemDisk } from './disk.ts';
import { FaultyDisk, PowerCut } from './faulty-disk.ts';
import { installBundle } from './install.ts';
import { RaspberryFirmware, SystemdBoot, type SystemSlot } from './loader.ts';
import { FileSlots, type TrialRequest } from './slots.ts';
import { writeSystem } from './system-install.ts';
import { SystemSlots } from './system-slots.ts';

/** Two systems, with files for the partitions. What the firmware does is done here as its documentation says. */
const test = suite('two systems');

/** In memory: what a disk loses is made here, and hundreds of syncs would take minutes. */
const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const request: TrialRequest = {
  version: '2.0.0',
  from: '1.0.0',
  at: '2026-01-01T00:00:00.000Z',
  within: 60,
  needsLink: false,
  needsRuntime: false,
  pods: [],
};
const loaders = ['systemd-boot', 'raspberry'] as const;

/** A gateway in one folder: `boot`, `slots`, `root-a`, `root-b`. */
class Gateway {
  readonly dir: string;
  readonly kind: (typeof loaders)[number];
  own: SystemSlot = 'a';
  private boots = 0;

  constructor(dir: string, kind: (typeof loaders)[number]) {
    this.dir = dir;
    this.kind = kind;
  }

  get boot(): string {
    return join(this.dir, 'boot');
  }

  slots(disk: Disk = systemDisk): SystemSlots {
    const Loader = this.kind === 'raspberry' ? RaspberryFirmware : SystemdBoot;
    return new SystemSlots({
      folder: join(this.dir, 'slots'),
      boot: this.boot,
      loader: new Loader(this.boot, disk),
      own: this.own,
      state: 'state-uuid',
      bootId: `boot-${this.boots}`,
      disk,
    });
  }

  /** Switches it on, or starts it anew. */
  start(argument?: string): SystemSlot {
    this.boots++;
    this.own = this.kind === 'raspberry' ? this.firmware(argument) : this.systemdBoot();
    return this.own;
  }

  private firmware(argument: string | undefined): SystemSlot {
    const config = readFileSync(
      join(this.boot, argument === '0 tryboot' ? 'tryboot.txt' : 'config.txt'),
      'utf8',
    );
    const prefix = config.match(/^os_prefix=(.*)\/$/m)?.[1] ?? '';
    assert.match(readFileSync(join(this.boot, prefix, 'cmdline.txt'), 'utf8'), `edgecore.slot=${prefix}`);
    return prefix as SystemSlot;
  }

  private systemdBoot(): SystemSlot {
    const folder = join(this.boot, 'loader/entries');
    const entries = readdirSync(folder)
      .filter((name) => name.endsWith('.conf'))
      .map((name) => {
        const [, id, left, done] = name.match(/^(.*?)(?:\+(\d+)(?:-(\d+))?)?\.conf$/) ?? [];
        const text = readFileSync(join(folder, name), 'utf8');
        const version = Number(text.match(/^version (.*)$/m)?.[1]);
        return { name, id, left, done, version, slot: text.match(/edgecore\.slot=(.)/)?.[1] };
      })
      .sort((x, y) => Number(x.left === '0') - Number(y.left === '0') || y.version - x.version);
    const [first] = entries;
    if (!first) throw new Error('nothing starts');
    if (first.left !== undefined)
      renameSync(
        join(folder, first.name),
        join(folder, `${first.id}+${Number(first.left) - 1}-${Number(first.done ?? 0) + 1}.conf`),
      );
    return first.slot as SystemSlot;
  }

  /** Writes a bundle to the other slot. */
  async install(bundle: string, disk: Disk): Promise<SystemSlot> {
    const slots = this.slots(disk);
    const { slot, isSystem } = await installBundle({
      source: bundle,
      keys: join(this.dir, 'keys'),
      slots: new FileSlots(join(this.dir, 'slots'), '1.0.0', disk),
      version: '1.0.0',
      force: false,
      disk,
      system: () => ({
        board: 'virt',
        write: (entries, manifest) =>
          writeSystem(entries, manifest, {
            slots,
            partition: { path: join(this.dir, `root-${slots.other}`), bytes: 1_000_000 },
            disk,
          }),
      }),
    });
    assert.is(isSystem, true);
    return slot as SystemSlot;
  }

  /** Whether a slot is what its version says. */
  isWhole(slot: SystemSlot): boolean {
    const file = join(this.boot, slot, '.version');
    if (!existsSync(file)) return false;
    const wanted = contents(readFileSync(file, 'utf8').trim());
    return (
      ['vmlinuz', 'initrd'].every(
        (name) => readFileSync(join(this.boot, slot, name), 'utf8') === wanted[name],
      ) && readFileSync(join(this.dir, `root-${slot}`), 'utf8').startsWith(wanted['root.ext4'] ?? '?')
    );
  }
}

const names = ['root.ext4', 'vmlinuz', 'initrd'] as const;

function contents(version: string): Record<string, string> {
  const text = (name: string): string =>
    Array.from({ length: 100 }, (_, i) =>
      createHash('sha256').update(`${version} ${name} ${i}`).digest('hex'),
    ).join('');
  return {
    ...Object.fromEntries(names.map((name) => [name, text(name)])),
    arguments: 'console=ttyAMA0 panic=10\n',
  };
}

function fill(folder: string, version: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(contents(version))) writeFileSync(join(folder, name), text);
}

let dir: string;
let bundle: string;

/** A gateway as its image was: 1.0.0 in slot A. */
function newGateway(kind: (typeof loaders)[number]): Gateway {
  const folder = join(dir, kind);
  rmSync(folder, { recursive: true, force: true });
  const gateway = new Gateway(folder, kind);
  const boot = join(folder, 'boot');
  fill(join(boot, 'a'), '1.0.0');
  writeFileSync(join(boot, 'a/.version'), '1.0.0\n');
  renameSync(join(boot, 'a/root.ext4'), join(folder, 'root-a'));
  writeFileSync(join(folder, 'root-b'), 'nothing');
  for (const name of ['b', 'loader/entries']) mkdirSync(join(boot, name), { recursive: true });
  mkdirSync(join(folder, 'slots'));
  if (kind === 'raspberry') {
    writeFileSync(join(boot, 'config.txt'), 'dtoverlay=rtc\nos_prefix=a/\nkernel=vmlinuz\n');
    writeFileSync(join(boot, 'a/cmdline.txt'), 'edgecore.state=state-uuid edgecore.slot=a\n');
  } else
    writeFileSync(
      join(boot, 'loader/entries/a.conf'),
      'title a\nsort-key edgecore\nversion 1\nlinux /a/vmlinuz\noptions edgecore.slot=a\n',
    );
  cpSync(join(dir, 'keys'), join(folder, 'keys'), { recursive: true });
  return gateway;
}

test.before(async () => {
  dir = mkdtempSync(join(place, 'edgecore-systems-'));
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  mkdirSync(join(dir, 'keys'));
  writeFileSync(join(dir, 'keys/vendor.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
  const folder = join(dir, 'system');
  fill(folder, '2.0.0');
  bundle = join(dir, 'system.tar.gz');
  const key = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await makeUpgradeBundle({
    folder,
    out: bundle,
    key,
    platform: 'virt',
    builtAt: 0,
    system: { version: '2.0.0' },
  });
});
test.after(() => rmSync(dir, { recursive: true, force: true }));

type Step = (gateway: Gateway, disk: Disk) => Promise<unknown>;
const install: Step = (gateway, disk) => gateway.install(bundle, disk);
const arm: Step = (gateway, disk) => gateway.slots(disk).setTrial('b', request);
const restart: Step = async (gateway, disk) => gateway.start(gateway.slots(disk).parts.loader.rebootArgument);
const confirm: Step = (gateway, disk) => gateway.slots(disk).confirm(0);
const rollback: Step = (gateway, disk) => gateway.slots(disk).rollback('by hand', 0);
const recover: Step = (gateway, disk) => gateway.slots(disk).recover(0);

async function after(kind: (typeof loaders)[number], ...steps: readonly Step[]): Promise<Gateway> {
  const gateway = newGateway(kind);
  for (const step of steps) await step(gateway, systemDisk);
  return gateway;
}

/** The power goes after each change of `step`; whatever started last has not been confirmed since.
 * @param check told what runs in the end */
async function atEachChange(
  kind: (typeof loaders)[number],
  before: readonly Step[],
  step: Step,
  check: (gateway: Gateway, isDone: boolean) => Promise<void>,
): Promise<void> {
  // Each change where all that was not synced is lost, some elsewhere.
  for (const kept of [0, 0.5, 1])
    for (let n = 0, isDone = false; !isDone; n += kept === 0 ? 1 : 5) {
      const gateway = await after(kind, ...before);
      const disk = new FaultyDisk(n);
      try {
        await step(gateway, disk);
        isDone = true;
      } catch (error) {
        if (!isPowerCut(error)) throw error;
      }
      disk.crash(kept);
      try {
        assert.ok(gateway.isWhole(gateway.start()), `slot ${gateway.own} starts and is whole`);
        // It ends before anybody confirms it.
        assert.ok(gateway.isWhole(gateway.start()), `slot ${gateway.own} starts and is whole`);
        await gateway.slots().recover(0);
        const { trial, current, previous } = await gateway.slots().state();
        assert.is(trial, undefined);
        if (previous) assert.ok(gateway.isWhole(previous as SystemSlot), 'what may be gone back to is whole');
        assert.is(current, gateway.own);
        await check(gateway, isDone);
        if (n % 5 !== 0) continue;
        // The way is free for the next one.
        assert.is(gateway.start(), current);
        const next = await gateway.install(bundle, systemDisk);
        await gateway.slots().setTrial(next, request);
        await restart(gateway, systemDisk);
        await gateway.slots().confirm(0);
        assert.is(gateway.start(), next);
      } catch (error) {
        throw new Error(`${kind}, after ${n} changes, ${kept} of what was not synced kept`, { cause: error });
      }
    }
}

function isPowerCut(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause as Error) if (at instanceof PowerCut) return true;
  return false;
}

for (const kind of loaders) {
  test(`${kind}: a new system is tried once, and stays when it is confirmed`, async () => {
    const gateway = await after(kind, install, arm);
    assert.equal((await gateway.slots().state()).trial, { slot: 'b', phase: 'armed' });
    await restart(gateway, systemDisk);
    assert.is(gateway.own, 'b');
    assert.equal((await gateway.slots().state()).trial, { slot: 'b', phase: 'running' });
    const outcome = await gateway.slots().confirm(0);
    assert.is(outcome.result, 'confirmed');
    assert.is(gateway.start(), 'b');
    const { current, previous, trial } = await gateway.slots().state();
    assert.equal({ current, previous, trial }, { current: 'b', previous: 'a', trial: undefined });
  });

  test(`${kind}: the system before is gone back to, and forth`, async () => {
    const gateway = await after(kind, install, arm, restart, confirm);
    const back = await gateway.slots().rollback('no good', 0);
    assert.equal([back.version, back.from, back.reason], ['2.0.0', '1.0.0', 'no good']);
    assert.is(gateway.start(), 'a');
    await gateway.slots().rollback('it was good', 0);
    assert.is(gateway.start(), 'b');
  });

  test(`${kind}: a system that does not start is left by itself, with the reason`, async () => {
    const gateway = await after(kind, install, arm, restart);
    assert.is(gateway.start(), 'a');
    const outcome = await gateway.slots().recover(0);
    assert.equal([outcome?.version, outcome?.result], ['2.0.0', 'rolled back']);
    assert.match(outcome?.reason ?? '', 'did not start');
    const { previous } = await gateway.slots().state();
    assert.is(previous, undefined, 'nobody goes back to what did not start');
    await assertRefused(gateway.slots().rollback('', 0), 'UPGRADE_NOTHING');
    await assertRefused(gateway.slots().setTrial('b', request), 'UPGRADE_NOTHING');
  });

  test(`${kind}: how far a system came is told`, async () => {
    const gateway = await after(kind, install, arm, restart);
    await gateway.slots().reached();
    gateway.start();
    assert.match((await gateway.slots().recover(0))?.reason ?? '', 'before it was confirmed');
    const hung = await after(kind, install, arm, restart);
    writeFileSync(join(hung.dir, 'slots/hung'), '');
    hung.start();
    assert.match((await hung.slots().recover(0))?.reason ?? '', 'within 180 s');
  });

  test(`${kind}: the power goes while a slot is written`, () =>
    atEachChange(kind, [], install, async (gateway) => {
      assert.is(gateway.own, 'a');
      assert.is((await gateway.slots().state()).outcome, undefined);
    }));

  test(`${kind}: the power goes while the slot before is written over`, () =>
    atEachChange(kind, [install, arm, restart, confirm], install, async (gateway, isDone) => {
      assert.is(gateway.own, 'b');
      assert.is(gateway.isWhole('a') || !isDone, true);
    }));

  test(`${kind}: the power goes while a trial is armed`, () =>
    atEachChange(kind, [install], arm, async (gateway, isDone) => {
      assert.is(gateway.own, 'a');
      if (isDone) assert.is((await gateway.slots().state()).outcome?.result, 'rolled back');
    }));

  test(`${kind}: the power goes while a trial is confirmed`, () =>
    atEachChange(kind, [install, arm, restart], confirm, async (gateway, isDone) => {
      if (isDone) assert.is(gateway.own, 'b');
      const { outcome } = await gateway.slots().state();
      assert.is(outcome?.result, gateway.own === 'b' ? 'confirmed' : 'rolled back');
    }));

  test(`${kind}: the power goes while a trial is given up`, () =>
    atEachChange(kind, [install, arm, restart], rollback, async (gateway, isDone) => {
      assert.is(gateway.own, 'a');
      const { outcome } = await gateway.slots().state();
      assert.is(outcome?.result, 'rolled back');
      if (isDone) assert.is(outcome?.reason, 'by hand');
    }));

  test(`${kind}: the power goes while a kept system is left`, () =>
    atEachChange(kind, [install, arm, restart, confirm], rollback, async (gateway, isDone) => {
      if (isDone) assert.is(gateway.own, 'a');
    }));

  test(`${kind}: the power goes while the end of a trial is noted`, () =>
    atEachChange(
      kind,
      [install, arm, restart, async (gateway) => gateway.start()],
      recover,
      async (gateway) => {
        assert.is(gateway.own, 'a');
        assert.is((await gateway.slots().state()).outcome?.result, 'rolled back');
      },
    ));
}

test('a system for another machine is refused, and one that does not fit', async () => {
  const gateway = await after('raspberry');
  const source = {
    source: bundle,
    keys: join(gateway.dir, 'keys'),
    slots: new FileSlots(join(gateway.dir, 'slots'), '1.0.0'),
    version: '1.0.0',
    force: false,
  };
  const partition = { path: join(gateway.dir, 'root-b'), bytes: 1000 };
  const target = (board: string) => () => ({
    board,
    write: (...[entries, manifest]: Parameters<typeof writeSystem>) =>
      writeSystem(entries, manifest, { slots: gateway.slots(), partition, disk: systemDisk }),
  });
  await assertRefused(installBundle(source), 'UPGRADE_WRONG_MACHINE');
  await assertRefused(installBundle({ ...source, system: target('rpi4') as never }), 'UPGRADE_WRONG_MACHINE');
  await assertRefused(installBundle({ ...source, system: target('virt') as never }), 'UPGRADE_NO_ROOM');
});

async function assertRefused(work: Promise<unknown>, code: string): Promise<void> {
  try {
    await work;
  } catch (error) {
    assert.is((error as { code?: string }).code, code, String(error));
    return;
  }
  assert.unreachable(`want ${code}`);
}

test.run();
