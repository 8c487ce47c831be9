import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { Metrics } from '../core/metrics.ts';
import { HostClock } from './host-clock.ts';

const BUILT = Date.UTC(2026, 5, 1);
const HOUR = 3_600_000;
type Context = {
  rows: Map<string, string>;
  writes: number[];
  host: { synchronised: boolean };
  clocks: HostClock[];
  /** A start of the program; the machine's clock shows `wall`. */
  boot: (wall: number, id?: string) => { system: FakeClock; clock: HostClock };
};
const test = suite<Context>('host clock');

test.before.each((context) => {
  const rows = new Map<string, string>();
  const writes: number[] = [];
  const host = { synchronised: false };
  const clocks: HostClock[] = [];
  const boot: Context['boot'] = (wall, id = 'boot-1') => {
    const system = new FakeClock(wall);
    const clock = new HostClock({
      system,
      boot: id,
      uptime: () => system.monotonic() + 40_000,
      builtAt: BUILT,
      isSynchronised: () => host.synchronised,
      store: {
        withCommit: (work) => work(),
        meta: {
          get: (key) => rows.get(key),
          put: ({ key, value }) => {
            writes.push(system.monotonic());
            rows.set(key, value);
          },
        },
      },
      log: silentLogger,
      metrics: new Metrics(),
    });
    clocks.push(clock);
    return { system, clock };
  };
  Object.assign(context, { rows, writes, host, clocks, boot });
});
test.after.each(async ({ clocks }) => {
  for (const clock of clocks) await clock.stop();
});

test('a plausible clock is believed, and its time written down every ten minutes', async ({
  boot,
  writes,
  rows,
}) => {
  const { system, clock } = boot(BUILT + HOUR);
  await clock.start();
  assert.ok(clock.isTrusted);
  assert.is(clock.now(), system.now());
  assert.equal(clock.moment(), { boot: '', mono: 0 });
  await system.advance(HOUR);
  assert.is(writes.length, 7);
  assert.ok(Number(rows.get('host/clock')) <= system.now());
});

test('1970 is not believed: time goes on from the last one known, over restarts', async ({
  boot,
  writes,
}) => {
  const first = boot(BUILT + 5 * HOUR);
  await first.clock.start();
  await first.clock.stop();
  const second = boot(0, 'boot-2');
  await second.clock.start();
  assert.not(second.clock.isTrusted);
  assert.is(second.clock.now(), BUILT + 5 * HOUR);
  await second.system.advance(HOUR);
  assert.is(second.clock.now(), BUILT + 6 * HOUR);
  assert.equal(second.clock.moment(), { boot: 'boot-2', mono: HOUR + 40_000 });
  await second.clock.stop();
  assert.is(writes.length, 2, 'a time that is not known is not written down');
});

test('when the clock is set, what was stored in this boot learns its true time', async ({ boot }) => {
  const { system, clock } = boot(0);
  await clock.start();
  const arrivals: [string, number][] = [];
  clock.onArrival((id, epoch) => arrivals.push([id, epoch]));
  await system.advance(HOUR);
  const { mono } = clock.moment();
  const now = BUILT + 1000 * HOUR;
  system.jump(now - system.now());
  await system.advance(5000);
  assert.ok(clock.isTrusted);
  assert.is(arrivals.length, 1);
  const [[id, epoch] = ['', 0]] = arrivals;
  assert.is(id, 'boot-1');
  assert.is(epoch + mono, now, 'the moment was just before the jump');
});

test('a clock that starts behind the last time known is not believed until it is set', async ({ boot }) => {
  const first = boot(BUILT + 5 * HOUR);
  await first.clock.start();
  await first.clock.stop();
  const { system, clock } = boot(BUILT + 4 * HOUR);
  await clock.start();
  assert.not(clock.isTrusted);
  await system.advance(2 * HOUR);
  assert.ok(clock.isTrusted, 'it has caught up');
});

test('a time that was far ahead when it was written down does not lock the clock out', async ({
  boot,
  host,
}) => {
  const wrong = boot(Date.UTC(2099, 0, 1));
  await wrong.clock.start();
  await wrong.clock.stop();
  const stepped = boot(0);
  await stepped.clock.start();
  stepped.system.jump(BUILT + HOUR);
  await stepped.system.advance(5000);
  assert.ok(stepped.clock.isTrusted, 'it was set before our eyes');
  const again = boot(Date.UTC(2099, 0, 1));
  await again.clock.start();
  await again.clock.stop();
  const quiet = boot(BUILT + HOUR);
  assert.not(quiet.clock.isTrusted);
  host.synchronised = true;
  await quiet.clock.start();
  assert.ok(quiet.clock.isTrusted, 'it follows a server');
});

for (const hours of [-5, -1, 1, 5]) {
  test(`a jump of ${hours} h leaves timers alone, and is believed`, async ({ boot }) => {
    const { system, clock } = boot(BUILT + 100 * HOUR);
    await clock.start();
    const fired: number[] = [];
    const every = clock.every(60_000 as never, () => fired.push(clock.monotonic()));
    await system.advance(90_000);
    system.jump(hours * HOUR);
    await system.advance(150_000);
    assert.equal(fired, [60_000, 120_000, 180_000, 240_000]);
    assert.ok(clock.isTrusted);
    assert.is(clock.now(), system.now());
    every.cancel();
  });
}

test('a clock that falls back to 1970 while it runs is left', async ({ boot }) => {
  const { system, clock } = boot(BUILT + 100 * HOUR);
  await clock.start();
  await system.advance(HOUR);
  const before = clock.now();
  system.jump(-system.now());
  await system.advance(10_000);
  assert.not(clock.isTrusted);
  assert.is(clock.now(), before + 10_000);
});

test.run();
