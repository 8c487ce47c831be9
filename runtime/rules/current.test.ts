import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../core/fake-clock.ts';
import { type DeviceId, deviceId } from '../core/units.ts';
import { currentValues } from './current.ts';

type Metadata = { timestamp: number; boot?: string; mono?: number };
type Context = {
  clock: FakeClock;
  /** What the temperature is, as a new rule is told. */
  ask: () => string | undefined;
  heard: (metadata: Metadata) => void;
  begin: (trusted: boolean) => void;
  arrive: () => void;
};
const test = suite<Context>('what a new rule begins with');
const PLC: DeviceId = deviceId('default', 'plc');

test.before.each((context) => {
  const clock = new FakeClock(Date.UTC(2026, 0, 1));
  const twins = new Map<string, { actual?: { value: string; metadata: Metadata } }>();
  let current = (_device: DeviceId, _property: string): string | undefined => undefined;
  context.clock = clock;
  context.begin = (trusted) => {
    current = currentValues({
      twins: { get: (id) => (id === PLC ? { state: 'online', twins } : undefined) },
      clock,
      time: {
        isTrusted: trusted,
        moment: () => ({ boot: trusted ? '' : 'boot-2', mono: trusted ? 0 : clock.monotonic() }),
        onArrival: (listener) => {
          context.arrive = () => listener('boot-2', clock.now() - clock.monotonic());
        },
      },
    });
  };
  context.heard = (metadata) => twins.set('temperature', { actual: { value: '71', metadata } });
  context.ask = () => current(PLC, 'temperature');
});

test('a value of this run, not one that lay on the disk', async ({ clock, begin, heard, ask }) => {
  begin(true);
  assert.is(ask(), undefined);
  heard({ timestamp: clock.now() - 1 });
  assert.is(ask(), undefined);
  await clock.advance(1000);
  heard({ timestamp: clock.now() });
  assert.is(ask(), '71');
});

test('without a clock: a value of this boot since the start', async ({ clock, begin, heard, ask }) => {
  await clock.advance(5000);
  begin(false);
  heard({ timestamp: clock.now(), boot: 'boot-1', mono: 9000 });
  assert.is(ask(), undefined);
  heard({ timestamp: clock.now(), boot: 'boot-2', mono: 4000 });
  assert.is(ask(), undefined);
  heard({ timestamp: clock.now(), boot: 'boot-2', mono: 6000 });
  assert.is(ask(), '71');
  heard({ timestamp: clock.now() + 1e12 });
  assert.is(ask(), undefined, 'its true time is no proof while ours is not true');
});

test('when the time has arrived, true times count again', async (context) => {
  const { clock, begin, heard, ask } = context;
  begin(false);
  await clock.advance(1000);
  clock.jump(1e9);
  context.arrive();
  heard({ timestamp: clock.now() - 1001 });
  assert.is(ask(), undefined, 'before the start');
  heard({ timestamp: clock.now() - 999 });
  assert.is(ask(), '71');
});

test('the state of a device, whatever it is', ({ clock, begin }) => {
  begin(true);
  const current = currentValues({
    twins: { get: () => ({ state: 'offline', twins: new Map() }) },
    clock,
    time: { isTrusted: true, moment: () => ({ boot: '', mono: 0 }), onArrival: () => {} },
  });
  assert.is(current(PLC, '$state'), 'offline');
});

test.run();
