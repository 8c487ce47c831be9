import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { createLogger } from '../core/log.ts';
import { Metrics } from '../core/metrics.ts';
import { millis } from '../core/units.ts';
import { Budgets, type BudgetsDeps, olderThanADay } from './budgets.ts';

type Context = {
  dir: string;
  clock: FakeClock;
  lines: string[];
  disks: { device: string; written: number; lifeUsed: undefined; isNearEnd: boolean }[];
  put: (path: string, bytes?: number) => void;
  has: (path: string) => boolean;
  make: (
    config: BudgetsDeps['config'],
    more?: Partial<BudgetsDeps>,
  ) => { budgets: Budgets; metrics: Metrics };
};
const test = suite<Context>('budgets');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MB = 1e6;

test.before.each((context) => {
  const dir = mkdtempSync(join(tmpdir(), 'edgecore-budget-'));
  const clock = new FakeClock();
  const lines: string[] = [];
  const disks = [{ device: 'mmcblk0', written: 0, lifeUsed: undefined, isNearEnd: false }];
  const metrics = new Metrics();
  Object.assign(context, { dir, clock, lines, disks });
  context.put = (path, bytes = 0.9 * MB) => {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), Buffer.alloc(bytes, 'x'));
  };
  context.has = (path) => existsSync(join(dir, path));
  context.make = (config, more = {}) => {
    const budgets = new Budgets({
      config,
      sensors: { disks: () => disks, ownWrites: () => 3 * MB, room: () => ({ total: 100, available: 50 }) },
      dataSource: join(dir, 'edgecore.db'),
      unusedVersions: async () => [],
      uptime: () => 30 * DAY,
      clock,
      log: createLogger({ level: 'info', clock, write: (line) => lines.push(line) }),
      metrics,
      ...more,
    });
    return { budgets, metrics };
  };
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

test('without a budget nothing is measured, and nothing goes', async ({ make, put, has }) => {
  put('edgecore.db.corrupt-1');
  const { budgets, metrics } = make({});
  await budgets.look();
  assert.equal(budgets.over, { state: undefined, writes: undefined });
  assert.ok(has('edgecore.db.corrupt-1'));
  assert.is(metrics.render().trim(), '');
});

test('when the state is too large, what nobody needs goes, the least needed first, and no more than it takes', async (context) => {
  const { make, put, has, lines, clock, dir } = context;
  for (const path of ['edgecore.db', 'edgecore.db-wal', 'slots/1-a/x', 'slots/2-b/x', 'kubelet/volume'])
    put(path);
  for (const path of ['edgecore.db.corrupt-1', 'edgecore.db.before-restore', 'backup/edgecore-2025.tar.gz'])
    put(path);
  put('backup/edgecore-2026.tar.gz');
  const unusedVersions = async () => [join(dir, 'slots/1-a')];
  const { budgets, metrics } = make({ stateBudgetMB: 7 }, { unusedVersions });
  await budgets.look();
  assert.equal(budgets.over.state, { found: undefined });
  assert.not(has('slots/1-a'));
  assert.not(has('edgecore.db.corrupt-1'));
  assert.ok(has('edgecore.db.before-restore'), 'that was enough');
  assert.match(lines.join(''), /removed, because the room for the state is used up.*slots\/1-a/);
  assert.match(metrics.render(), /edgecore_host_state_bytes 6\d{6}/);
  put('outbox', 5 * MB);
  await budgets.look();
  assert.ok(has('edgecore.db.before-restore'), 'it is not looked at all the time');
  await clock.advance(10 * 60_000);
  await budgets.look();
  assert.not(has('edgecore.db.before-restore'));
  assert.not(has('backup/edgecore-2025.tar.gz'));
  for (const path of [
    'backup/edgecore-2026.tar.gz',
    'edgecore.db',
    'edgecore.db-wal',
    'slots/2-b/x',
    'kubelet/volume',
  ])
    assert.ok(has(path), path);
  assert.is(budgets.over.state?.found, `${dir} takes more than its budget of 7 MB`);
});

test('when the disk itself is full, the same goes', async ({ make, put, has }) => {
  put('edgecore.db.corrupt-1');
  const sensors = { disks: () => [], ownWrites: () => undefined, room: () => ({ total: 100, available: 5 }) };
  const { budgets } = make({ stateBudgetMB: 500 }, { sensors });
  await budgets.look();
  assert.not(has('edgecore.db.corrupt-1'));
  assert.equal(budgets.over.state, { found: undefined });
});

test('writes of the last 24 hours are counted, and older ones forgotten', async ({ make, clock, disks }) => {
  const [disk] = disks;
  assert.ok(disk);
  disk.written = 5000 * MB;
  const { budgets, metrics } = make({ dailyWritesMB: 100 });
  await budgets.look();
  assert.equal(budgets.over.writes, { found: undefined });
  for (let hour = 0; hour < 30; hour++) {
    disk.written += 4 * MB;
    await clock.advance(HOUR);
    await budgets.look();
    assert.equal(budgets.over.writes, { found: undefined });
  }
  assert.match(metrics.render(), 'edgecore_host_disk_written_day_bytes{device="mmcblk0"} 96000000');
  disk.written += 10 * MB;
  assert.is(
    budgets.over.writes?.found,
    'mmcblk0: more than 100 MB were written within 24 hours; edgecore has written 3 MB since its start',
  );
  await clock.advance(DAY);
  await budgets.look();
  assert.equal(budgets.over.writes, { found: undefined });
});

test('a machine that started today has its whole day in the counters; a disk that is put in anew counts anew', async (context) => {
  const { make, disks } = context;
  const [disk] = disks;
  assert.ok(disk);
  disk.written = 150 * MB;
  const { budgets } = make({ dailyWritesMB: 100 }, { uptime: () => HOUR });
  await budgets.look();
  assert.match(budgets.over.writes?.found ?? '', /more than 100 MB/);
  disk.written = MB;
  await budgets.look();
  assert.equal(budgets.over.writes, { found: undefined });
});

test('a version that was unpacked within a day may be about to be used', async ({ put, dir }) => {
  put('slots/1-a/x');
  put('slots/2-b/x');
  utimesSync(join(dir, 'slots/1-a'), 1000, 1000);
  const paths = ['slots/1-a', 'slots/2-b', 'slots/3-c'].map((path) => join(dir, path));
  assert.equal(await olderThanADay(paths, millis(Date.now())), [join(dir, 'slots/1-a')]);
});

test.run();
