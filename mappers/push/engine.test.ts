import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { Metrics } from '../../runtime/core/metrics.ts';
import { type TimeTrust, trustedTime } from '../../runtime/core/time-trust.ts';
import { type DeviceId, deviceId } from '../../runtime/core/units.ts';
import { type Channel, type Notes, PushError } from './channel.ts';
import { PushEngine } from './engine.ts';
import { MemoryPushStore } from './memory-push-store.ts';
import type { Sample } from './sample.ts';
import { addressOf, type Target } from './target.ts';

/** Targets by address: what they have, and what they say no to. */
class Fakes {
  readonly has = new Map<string, string[]>();
  readonly opened: string[] = [];
  readonly times: number[] = [];
  away = new Set<string>();
  refuses = new Set<string>();
  /** Settles each send; without it they succeed at once. */
  hold: Promise<void> | undefined;

  open = async (target: Target): Promise<Channel> => {
    const address = addressOf(target);
    if (this.away.has(address)) throw new PushError('away', 'connection refused');
    this.opened.push(address);
    return { send: (samples, notes) => this.send(address, samples, notes), close: () => {} };
  };

  values(address: string): string[] {
    return this.has.get(address) ?? [];
  }

  private async send(address: string, samples: readonly Sample[], notes: Notes): Promise<void> {
    await this.hold;
    if (this.away.has(address)) throw new PushError('away', 'connection lost');
    if (samples.some(({ value }) => this.refuses.has(value))) throw new PushError('refused', 'no such value');
    this.times.push(...samples.map(({ at }) => at));
    this.has.set(address, [...this.values(address), ...samples.map(({ value }) => value)]);
    const old = samples.filter(({ value }) => value === 'old').length;
    if (old > 0) notes.rejected(old, 'too old');
  }
}

type Context = {
  clock: FakeClock;
  store: MemoryPushStore;
  fakes: Fakes;
  metrics: Metrics;
  faults: Map<DeviceId, Record<string, string>>;
  engine: PushEngine;
  start: (maxBytes?: number, time?: TimeTrust) => PushEngine;
};
const test = suite<Context>('values on their way to targets');

const id = deviceId('default', 'd');
const model: DeviceModel = { metadata: { name: 'm' }, spec: { properties: [{ name: 't', type: 'INT' }] } };
const redis = (addr: string) => ({ dbMethod: { redis: { redisClientConfig: { addr } } } });
const device = (...pushMethods: Record<string, unknown>[]): Device => ({
  metadata: { name: 'd' },
  spec: { properties: pushMethods.map((pushMethod, i) => ({ name: i ? `t${i}` : 't', pushMethod })) },
});

test.before.each((context) => {
  context.clock = new FakeClock();
  context.store = new MemoryPushStore();
  context.fakes = new Fakes();
  context.metrics = new Metrics();
  context.faults = new Map();
  context.start = (maxBytes = 3000, time = trustedTime) =>
    new PushEngine({
      config: { maxBytes, maxAge: 600, drainRate: 100, credentials: [] },
      environment: {},
      store: context.store,
      broker: { isAt: () => false, publish: async () => {} },
      report: (device, faults) => void context.faults.set(device, Object.fromEntries(faults)),
      clock: context.clock,
      time,
      log: silentLogger,
      metrics: context.metrics,
      random: () => 0.5,
      open: context.fakes.open,
    });
  context.engine = context.start();
});
test.after.each(async ({ engine, clock }) => {
  const stopped = engine.stop();
  await clock.advance(3000);
  await stopped;
});

function push({ engine, clock }: Context, ...values: string[]): void {
  for (const value of values) engine.push(id, [{ property: 't', value, at: clock.now() }]);
}

function figure({ metrics }: Context, name: string): number {
  const line = metrics
    .render()
    .split('\n')
    .find((text) => text.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

test('what a target confirms at once never touches the disk', async (context) => {
  const { engine, clock, fakes, store } = context;
  engine.applyDevice(device(redis('a:1')), model);
  for (let i = 0; i < 10; i++) {
    push(context, String(i));
    await clock.advance(1000);
  }
  assert.equal(fakes.values('a:1'), [...'0123456789']);
  assert.is(store.writes, 0);
  assert.is(figure(context, 'edgecore_push_confirmed_total{method="redis"}'), 10);
  assert.is(figure(context, 'edgecore_push_waiting{method="redis"}'), 0);
});

test('while a target is away its values wait on disk, and go out in order when it is back', async (context) => {
  const { engine, clock, fakes, store } = context;
  fakes.away.add('a:1');
  engine.applyDevice(device(redis('a:1')), model);
  for (let i = 0; i < 20; i++) {
    push(context, String(i));
    await clock.advance(1000);
  }
  // Those of the last two seconds may be in memory only.
  const stored = [...store.rows.values()].reduce((sum, { count }) => sum + count, 0);
  assert.ok(stored >= 18, `${stored} of 20 are on disk`);
  assert.is(figure(context, 'edgecore_push_waiting{method="redis"}'), 20);
  assert.is(figure(context, 'edgecore_push_failing{method="redis"}'), 1);
  fakes.away.clear();
  await clock.advance(31_000);
  assert.equal(
    fakes.values('a:1'),
    Array.from({ length: 20 }, (_, i) => String(i)),
  );
  assert.is(store.rows.size, 0);
  assert.is(figure(context, 'edgecore_push_waiting{method="redis"}'), 0);
  assert.is(figure(context, 'edgecore_push_waiting_bytes{method="redis"}'), 0);
});

test('what was on disk when edgecore was killed goes out first when it is started again', async (context) => {
  const { clock, fakes } = context;
  fakes.away.add('a:1');
  context.engine.applyDevice(device(redis('a:1')), model);
  for (const value of '01234567') {
    push(context, value);
    await clock.advance(1000);
  }
  const durable = context.store.rows.size;
  assert.ok(durable > 0);
  const rows = [...context.store.rows.values()].map(({ body }) => JSON.parse(body).rows as unknown[][]);
  const kept = rows.flat().map(([, , , value]) => value);
  // Killed: nobody asks it to stop. Its timers must not run on beside the next life.
  const before = context.engine;
  const clone = new MemoryPushStore();
  for (const [seq, row] of context.store.rows) clone.rows.set(seq, row);
  await stopLife(before, clock);
  context.store = clone;
  fakes.away.clear();
  context.engine = context.start();
  await clock.advance(100);
  assert.equal(fakes.values('a:1'), kept);
});

async function stopLife(engine: PushEngine, clock: FakeClock): Promise<void> {
  const stopped = engine.stop();
  await clock.advance(3000);
  await stopped;
}

test('what is not confirmed when edgecore stops is on disk', async (context) => {
  const { clock, fakes, store } = context;
  fakes.away.add('a:1');
  context.engine.applyDevice(device(redis('a:1')), model);
  push(context, '1', '2', '3');
  await clock.advance(10);
  push(context, '4');
  await stopLife(context.engine, clock);
  fakes.away.clear();
  context.engine = context.start();
  await clock.advance(100);
  assert.equal(fakes.values('a:1'), ['1', '2', '3', '4']);
  await clock.advance(100);
  assert.is(store.rows.size, 0);
  assert.is(clock.pending, 0);
});

test('a value that is confirmed while it is written is not sent again', async (context) => {
  const { engine, clock, fakes, store } = context;
  let release = (): void => {};
  fakes.hold = new Promise((resolve) => {
    release = resolve;
  });
  engine.applyDevice(device(redis('a:1')), model);
  push(context, '1');
  await clock.advance(2500);
  assert.is(store.rows.size, 1);
  push(context, '2');
  release();
  await clock.advance(5000);
  assert.equal(fakes.values('a:1'), ['1', '2']);
  assert.is(store.rows.size, 0);
});

test('when the disk is full of them the oldest give way, and are counted', async (context) => {
  const { engine, clock, fakes } = context;
  fakes.away.add('a:1');
  engine.applyDevice(device(redis('a:1')), model);
  const long = (i: number): string => `${i} ${'x'.repeat(200)}`;
  for (let i = 0; i < 30; i++) {
    push(context, long(i));
    await clock.advance(3000);
  }
  const dropped = figure(context, 'edgecore_push_dropped_total{method="redis",reason="full"}');
  assert.ok(dropped > 10 && dropped < 30, `${dropped} were dropped`);
  assert.ok(figure(context, 'edgecore_push_waiting_bytes{method="redis"}') <= 3500);
  fakes.away.clear();
  await clock.advance(40_000);
  const numbers = fakes.values('a:1').map((value) => Number(value.split(' ')[0]));
  assert.is(numbers.at(-1), 29);
  // The one under way when the first gave way, then the newest without a gap.
  const rest = numbers.slice(1);
  assert.equal(
    rest,
    Array.from({ length: rest.length }, (_, i) => 30 - rest.length + i),
  );
  assert.is(numbers.length + dropped, 30);
});

test('what is too old is given up', async (context) => {
  const { engine, clock, fakes } = context;
  fakes.away.add('a:1');
  engine.applyDevice(device(redis('a:1')), model);
  push(context, 'first', 'with it');
  await clock.advance(10_000);
  push(context, 'aged');
  await clock.advance(700_000);
  push(context, 'new');
  await clock.advance(10_000);
  assert.is(figure(context, 'edgecore_push_dropped_total{method="redis",reason="age"}'), 3);
  fakes.away.clear();
  await clock.advance(40_000);
  assert.equal(fakes.values('a:1'), ['new']);
});

test('what waits for a target that nobody names any more is given up, too', async (context) => {
  const { engine, clock, fakes, store } = context;
  fakes.away.add('a:1');
  engine.applyDevice(device(redis('a:1')), model);
  for (const value of '123') {
    push(context, value);
    await clock.advance(3000);
  }
  engine.removeDevice(id);
  await clock.advance(800_000);
  assert.is(store.rows.size, 0);
  assert.is(figure(context, 'edgecore_push_dropped_total{method="redis",reason="age"}'), 3);
  assert.is(figure(context, 'edgecore_push_waiting{method="redis"}'), 0);
});

test('a disk that takes nothing costs nothing but the oldest beyond a bound of memory', async (context) => {
  const { engine, clock, fakes, store } = context;
  fakes.away.add('a:1');
  store.broken = true;
  engine.applyDevice(device(redis('a:1')), model);
  for (let i = 0; i < 40; i++) {
    push(context, `${i} ${'x'.repeat(30_000)}`);
    await clock.advance(1000);
  }
  const dropped = figure(context, 'edgecore_push_dropped_total{method="redis",reason="full"}');
  assert.ok(dropped > 10 && dropped < 30, `${dropped} were dropped`);
  fakes.away.clear();
  await clock.advance(40_000);
  assert.match(fakes.values('a:1').at(-1) ?? '', /^39 /);
});

test('one value that is refused is given up and named; those beside it arrive', async (context) => {
  const { engine, clock, fakes, faults } = context;
  fakes.refuses.add('bad');
  engine.applyDevice(device(redis('a:1')), model);
  push(context, '1', '2', 'bad', '3');
  await clock.advance(100);
  assert.equal(fakes.values('a:1'), ['1', '2', '3']);
  assert.is(figure(context, 'edgecore_push_dropped_total{method="redis",reason="refused"}'), 1);
  push(context, 'bad');
  await clock.advance(100);
  assert.match(faults.get(id)?.t ?? '', 'redis a:1 db 0 refuses a value: no such value');
  push(context, '4');
  await clock.advance(100);
  assert.equal(faults.get(id), {});
});

test('what a target rejects of a parcel is counted and named, and not sent again', async (context) => {
  const { engine, clock, fakes, faults } = context;
  engine.applyDevice(device(redis('a:1')), model);
  push(context, '1', 'old', '2');
  await clock.advance(5000);
  assert.equal(fakes.values('a:1'), ['1', 'old', '2']);
  assert.is(figure(context, 'edgecore_push_dropped_total{method="redis",reason="refused"}'), 1);
  assert.match(faults.get(id)?.t ?? '', 'refuses 1 of 3 values: too old');
  push(context, '3');
  await clock.advance(10);
  assert.equal(faults.get(id), {});
});

test('an outage is a fault of the properties that go there, until it ends', async (context) => {
  const { engine, clock, fakes, faults } = context;
  fakes.away.add('a:1');
  engine.applyDevice(device(redis('a:1'), redis('b:1')), model);
  push(context, '1');
  await clock.advance(1500);
  assert.equal(faults.get(id), {}, 'a restart of the target is no news');
  await clock.advance(5000);
  assert.equal(faults.get(id), { t: 'cannot be pushed to redis a:1 db 0: connection refused' });
  fakes.away.clear();
  await clock.advance(31_000);
  assert.equal(faults.get(id), {});
});

test('devices that name the same target share it, and it is left when nobody names it', async (context) => {
  const { engine, clock, fakes } = context;
  engine.applyDevice(device(redis('a:1')), model);
  engine.applyDevice({ ...device(redis('a:1')), metadata: { name: 'e' } }, model);
  push(context, '1');
  engine.push(deviceId('default', 'e'), [{ property: 't', value: '2', at: clock.now() }]);
  await clock.advance(10);
  assert.equal(fakes.opened, ['a:1']);
  engine.removeDevice(id);
  engine.removeDevice(deviceId('default', 'e'));
  push(context, '3');
  engine.applyDevice(device(redis('a:1')), model);
  push(context, '4');
  await clock.advance(10);
  assert.equal(fakes.opened, ['a:1', 'a:1']);
  assert.equal(fakes.values('a:1'), ['1', '2', '4']);
});

test('values read while the clock is wrong wait for the time, and go out with their true one', async (context) => {
  const { clock, fakes } = context;
  const arrivals: ((boot: string, epoch: number) => void)[] = [];
  const trust = { isTrusted: false, moment: () => ({ boot: 'b', mono: Math.round(clock.monotonic()) }) };
  const time = Object.assign(trust, {
    onArrival: (listener: (typeof arrivals)[0]) => void arrivals.push(listener),
  });
  context.engine = context.start(3000, time);
  context.engine.applyDevice(device(redis('a:1')), model);
  const began = clock.monotonic();
  push(context, '1');
  await clock.advance(5000);
  push(context, '2');
  await clock.advance(1000);
  assert.equal(fakes.values('a:1'), []);
  trust.isTrusted = true;
  for (const arrive of arrivals) arrive('b', 1_000_000);
  await clock.advance(2000);
  assert.equal(fakes.values('a:1'), ['1', '2']);
  assert.equal(fakes.times, [1_000_000 + began, 1_000_000 + began + 5000]);
});

test('a clock that stays wrong holds values up for a minute', async (context) => {
  const { clock, fakes } = context;
  const never = { isTrusted: false, moment: () => ({ boot: 'b', mono: 0 }), onArrival: () => {} };
  context.engine = context.start(3000, never);
  context.engine.applyDevice(device(redis('a:1')), model);
  push(context, '1');
  await clock.advance(59_000);
  assert.equal(fakes.values('a:1'), []);
  await clock.advance(3000);
  assert.equal(fakes.values('a:1'), ['1']);
});

test('what has waited goes out at a limited rate', async (context) => {
  const { clock, fakes } = context;
  context.engine = context.start(100_000);
  fakes.away.add('a:1');
  context.engine.applyDevice(device(redis('a:1')), model);
  for (let i = 0; i < 30; i++) {
    for (let n = 0; n < 20; n++) push(context, 'v');
    await clock.advance(200);
  }
  await clock.advance(2500);
  const stored = [...context.store.rows.values()].reduce((sum, { count }) => sum + count, 0);
  fakes.away.clear();
  const before = clock.monotonic();
  while (fakes.values('a:1').length < 600 && clock.monotonic() - before < 60_000) await clock.advance(50);
  const first = clock.monotonic() - before;
  assert.is(fakes.values('a:1').length, 600);
  // A hundred at once, then a hundred a second; the wait for the next attempt comes before.
  assert.ok(first >= ((stored - 400) / 100) * 1000, `${stored} stored values took ${first} ms`);
});

test.run();
