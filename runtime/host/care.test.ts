import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { createLogger } from '../core/log.ts';
import { Metrics } from '../core/metrics.ts';
import { HostCare } from './care.ts';
import { Sensors } from './sensors.ts';

/** Files as the kernels of a Raspberry Pi and of a board with eMMC have them. */
type Context = {
  root: string;
  clock: FakeClock;
  lines: string[];
  put: (path: string, text: string) => void;
  care: () => { care: HostCare; metrics: Metrics };
};
const test = suite<Context>('host care');
const MINUTE = 60_000;
const THROTTLED = 'sys/devices/platform/soc/soc:firmware/get_throttled';

test.before.each((context) => {
  const root = mkdtempSync(join(tmpdir(), 'host-'));
  const clock = new FakeClock();
  const lines: string[] = [];
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  };
  const care: Context['care'] = () => {
    const metrics = new Metrics();
    const log = createLogger({ level: 'info', clock, write: (line) => lines.push(line) });
    const folders = ['/var/lib/kubeedge'];
    const sensors = new Sensors(root);
    const isSynchronised = () => sensors.timesyncd();
    const budgets = { look: async () => {}, over: { state: undefined, writes: undefined } };
    return {
      care: new HostCare({ sensors, budgets, folders, isSynchronised, clock, log, metrics }),
      metrics,
    };
  };
  Object.assign(context, { root, clock, lines, put, care });
});
test.after.each(({ root, clock }) => {
  rmSync(root, { recursive: true });
  assert.is(clock.pending, 0);
});

const told = ({ problems }: HostCare): Record<string, boolean> =>
  Object.fromEntries(problems.map(({ type, is }) => [type, is !== undefined]));

test('of a machine that measures nothing nothing is told', async ({ care }) => {
  const { care: one, metrics } = care();
  await one.start();
  assert.equal(one.problems, []);
  assert.not.match(metrics.render(), /temperature|undervoltage|life/);
  assert.match(metrics.render(), 'edgecore_host_own_written_bytes NaN');
  await one.stop();
});

test('a Raspberry Pi tells of its heat and its supply', async ({ care, put, clock, lines }) => {
  put('sys/class/thermal/thermal_zone0/type', 'cpu-thermal');
  put('sys/class/thermal/thermal_zone0/temp', '48312');
  put(THROTTLED, '0');
  const { care: one, metrics } = care();
  await one.start();
  assert.equal(told(one), { Undervoltage: false, Overheated: false });
  assert.match(metrics.render(), 'edgecore_host_temperature_celsius{zone="cpu-thermal"} 48.312');
  put(THROTTLED, '50005');
  put('sys/class/thermal/thermal_zone0/temp', '80000');
  await clock.advance(MINUTE);
  assert.equal(told(one), { Undervoltage: true, Overheated: true });
  assert.match(metrics.render(), 'edgecore_host_undervoltage 1');
  assert.match(metrics.render(), 'edgecore_host_throttled 1');
  assert.is(lines.length, 2, 'each is said once');
  await one.stop();
});

test('a problem that comes and goes is told as one, and its text stays', async ({ care, put, clock }) => {
  put(THROTTLED, '50000');
  const { care: one } = care();
  await one.start();
  assert.equal(told(one), { Undervoltage: false }, 'what was before is over');
  const texts = new Set<string | undefined>();
  for (let round = 0; round < 20; round++) {
    put(THROTTLED, round % 2 === 0 ? '50001' : '50000');
    await clock.advance(MINUTE);
    texts.add(one.problems[0]?.is);
  }
  assert.is(texts.size, 1);
  await clock.advance(10 * MINUTE);
  assert.equal(told(one), { Undervoltage: false });
  await one.stop();
});

test('the supply is also known where a sensor of the kernel tells it', async ({ care, put }) => {
  put('sys/class/hwmon/hwmon0/name', 'cpu_thermal');
  put('sys/class/hwmon/hwmon1/name', 'rpi_volt');
  put('sys/class/hwmon/hwmon1/in0_lcrit_alarm', '1');
  const { care: one } = care();
  await one.start();
  assert.equal(told(one), { Undervoltage: true });
  await one.stop();
});

const lives: [string, string, string, number, boolean][] = [
  ['a new eMMC', '0x01 0x01', '0x01', 0.1, false],
  ['one with a part in its last tenth but one', '0x02 0x08', '0x01', 0.8, false],
  ['one in its last tenth', '0x09 0x02', '0x01', 0.9, true],
  ['one past its life', '0x0b 0x0b', '0x01', 1.1, true],
  ['one whose reserve runs out', '0x03 0x03', '0x02', 0.3, true],
];
for (const [what, life, reserve, used, isWorn] of lives) {
  test(`the wear of flash is told: ${what}`, async ({ care, put }) => {
    put('sys/block/mmcblk0/stat', '1 2 3 4 5 6 2048 8 9 10 11');
    put('sys/block/mmcblk0/device/life_time', life);
    put('sys/block/mmcblk0/device/pre_eol_info', reserve);
    put('sys/block/zram0/stat', '1 2 3 4 5 6 9 8 9 10 11');
    const { care: one, metrics } = care();
    await one.start();
    assert.equal(told(one), { FlashWorn: isWorn });
    const text = metrics.render();
    assert.match(text, `edgecore_host_flash_life_used{device="mmcblk0"} ${used}`);
    assert.match(text, 'edgecore_host_disk_written_bytes{device="mmcblk0"} 1048576');
    assert.not.match(text, 'zram0');
    await one.stop();
  });
}

test('an SD card, which tells nothing of its life, has no such condition', async ({ care, put }) => {
  put('sys/block/mmcblk0/stat', '1 2 3 4 5 6 7 8 9 10 11');
  const { care: one } = care();
  await one.start();
  assert.equal(one.problems, []);
  await one.stop();
});

test('what edgecore writes, and the room that is left', async ({ care, put, root }) => {
  put('proc/self/io', 'rchar: 1\nwchar: 9\nread_bytes: 0\nwrite_bytes: 40960\ncancelled_write_bytes: 4096');
  mkdirSync(join(root, 'var/lib/kubeedge'), { recursive: true });
  const text = care().metrics.render();
  assert.match(text, 'edgecore_host_own_written_bytes 36864');
  assert.match(text, /edgecore_host_available_bytes\{folder="\/var\/lib\/kubeedge"\} [1-9]/);
});

test('a clock that no time server has set yet', async ({ care, put, clock }) => {
  put('run/systemd/timesync/clock', '');
  const { care: one, metrics } = care();
  await one.start();
  assert.equal(told(one), { ClockUnsynchronised: true });
  put('run/systemd/timesync/synchronized', '');
  await clock.advance(MINUTE);
  assert.equal(told(one), { ClockUnsynchronised: false });
  assert.match(metrics.render(), 'edgecore_host_clock_synchronised 1');
  await one.stop();
});

test.run();
