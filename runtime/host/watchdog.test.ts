import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { createLogger } from '../core/log.ts';
import { Metrics } from '../core/metrics.ts';
import { millis, seconds } from '../core/units.ts';
import { Watchdog } from './watchdog.ts';

type Context = {
  clock: FakeClock;
  metrics: Metrics;
  told: string[];
  lines: string[];
  stalled: { store: number; mapper: number };
  status: { text: string };
  dog: (watchdog?: number) => Watchdog;
  dogs: Watchdog[];
};
const test = suite<Context>('watchdog');

test.before.each((context) => {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const told: string[] = [];
  const lines: string[] = [];
  const stalled = { store: 0, mapper: 0 };
  const status = { text: 'cloud online' };
  const dogs: Watchdog[] = [];
  const dog = (watchdog?: number): Watchdog => {
    const made = new Watchdog({
      clock,
      metrics,
      log: createLogger({ level: 'info', clock, write: (line) => lines.push(line) }),
      manager: {
        watchdog: watchdog === undefined ? undefined : millis(watchdog),
        tell: async (...states) => void told.push(...states),
        forgive: async () => void told.push('forgive'),
      },
      pulses: [
        { name: 'store', limit: seconds(30), stalledFor: () => stalled.store },
        { name: 'mapper', limit: seconds(90), stalledFor: () => stalled.mapper },
      ],
      status: () => status.text,
    });
    dogs.push(made);
    return made;
  };
  Object.assign(context, { clock, metrics, told, lines, stalled, status, dog, dogs });
});
test.after.each(async ({ dogs, clock }) => {
  for (const dog of dogs) await dog.stop();
  assert.is(clock.pending, 0);
});

const fed = (told: readonly string[]): number => told.filter((state) => state === 'WATCHDOG=1').length;

test('while all gets on it is fed three times in its period, and told the status when that changes', async ({
  dog,
  clock,
  told,
  status,
}) => {
  await dog(60_000).start();
  assert.equal(told, ['WATCHDOG=1', 'STATUS=cloud online']);
  await clock.advance(60_000);
  assert.ok(fed(told) >= 4, `fed ${fed(told)} times in a minute`);
  assert.is(told.filter((state) => state.startsWith('STATUS=')).length, 1);
  status.text = 'cloud offline';
  await clock.advance(20_000);
  assert.is(told.at(-1), 'STATUS=cloud offline');
});

for (const part of ['store', 'mapper'] as const) {
  test(`a ${part} that hangs past its deadline ends the feeding, which is said once`, async ({
    dog,
    clock,
    told,
    lines,
    stalled,
    metrics,
  }) => {
    await dog(60_000).start();
    stalled[part] = seconds(20);
    await clock.advance(60_000);
    const before = fed(told);
    assert.ok(before >= 4, 'within the deadline it is fed');
    stalled[part] = seconds(91);
    await clock.advance(600_000);
    assert.is(fed(told), before);
    assert.is(told.at(-1), `STATUS=${part} hangs`);
    assert.is(lines.length, 1);
    assert.match(lines[0] ?? '', `"resource":"${part}"`);
    assert.match(metrics.render(), `edgecore_stalled{part="${part}"} 1`);
  });
}

test('a part that gets on again is forgiven', async ({ dog, clock, told, stalled, metrics }) => {
  await dog(60_000).start();
  stalled.store = seconds(31);
  await clock.advance(40_000);
  const before = fed(told);
  stalled.store = 0;
  await clock.advance(20_000);
  assert.ok(fed(told) > before);
  assert.match(metrics.render(), 'edgecore_stalled{part="store"} 0');
});

test('a loop that hardly gets round does not feed', async ({ dog, clock, told }) => {
  await dog(60_000).start();
  await clock.advance(60_000);
  const before = fed(told);
  // The fake clock fires what a blocked loop has missed one after the other, each as late as it is.
  const stop = clock.every(millis(5000), () => clock.stall(26_000));
  await clock.advance(200_000);
  stop.cancel();
  assert.is(fed(told), before);
});

test('without a watchdog only the status is told', async ({ dog, clock, told, status }) => {
  await dog().start();
  await clock.advance(300_000);
  assert.equal(told, ['STATUS=cloud online']);
  status.text = 'cloud offline';
  await clock.advance(60_000);
  assert.equal(told, ['STATUS=cloud online', 'STATUS=cloud offline']);
});

test('after ten minutes in which nothing hangs the restarts are forgotten, once', async ({
  dog,
  clock,
  told,
  stalled,
}) => {
  await dog(60_000).start();
  const forgiven = (): number => told.filter((state) => state === 'forgive').length;
  stalled.store = seconds(31);
  await clock.advance(601_000);
  assert.is(forgiven(), 0);
  stalled.store = 0;
  await clock.advance(590_000);
  assert.is(forgiven(), 0);
  await clock.advance(10_000);
  assert.is(forgiven(), 1);
  await clock.advance(3_600_000);
  assert.is(forgiven(), 1);
});

test.run();
