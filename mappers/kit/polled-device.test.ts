import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel, DeviceState } from '../../runtime/core/devices.ts';
import type { DeviceManager, Reading, WriteResult } from '../../runtime/core/dmi.ts';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { createLogger } from '../../runtime/core/log.ts';
import { deviceId, millis, seconds } from '../../runtime/core/units.ts';
import { Bus } from './bus.ts';
import { FakeDevice, fakePoint } from './fake-driver.ts';
import { PolledDevice } from './polled-device.ts';
import type { ReportRules } from './report-rules.ts';
import { WireError } from './wire-error.ts';

/** Takes what is reported, one line each. */
class Recorder implements DeviceManager {
  readonly lines: string[] = [];
  private state = '';

  reportDeviceStatus(_: unknown, readings: readonly Reading[]): void {
    for (const { property, value } of readings) this.lines.push(`${property}=${value}`);
  }

  reportDeviceState(_: unknown, state: DeviceState, reason?: string): void {
    const line = reason ? `${state}: ${reason}` : state;
    if (line !== this.state) this.lines.push(line);
    this.state = line;
  }

  reportWrites(_: unknown, writes: readonly WriteResult[]): void {
    for (const { property, desired, fault } of writes)
      this.lines.push(`${property}:=${desired} ${fault ?? 'ok'}`);
  }

  take(): string[] {
    return this.lines.splice(0);
  }
}

type Context = {
  clock: FakeClock;
  manager: Recorder;
  /** Messages of the log. */
  logged: string[];
  start: (device: FakeDevice, configFaults?: readonly string[], reportRules?: ReportRules) => PolledDevice;
  stop: () => void;
};
const test = suite<Context>('a polled device');

test.before.each((context) => {
  const clock = new FakeClock();
  const manager = new Recorder();
  const logged: string[] = [];
  const log = createLogger({ level: 'info', clock, write: (line) => logged.push(JSON.parse(line).message) });
  let stop = (): void => {};
  const start: Context['start'] = (device, configFaults = [], reportRules = new Map()) => {
    const bus = new Bus({ connect: () => device.connect(), clock, random: () => 0 });
    const id = deviceId('default', 'd');
    const deps = { manager, clock, log, random: () => 0 };
    const polled = new PolledDevice({ id, device, configFaults, reportRules, bus, ...deps });
    stop = () => {
      polled.stop();
      void bus.stop();
    };
    return polled;
  };
  Object.assign(context, { clock, manager, logged, start, stop: () => stop() });
});
test.after.each(({ stop, clock }) => {
  stop();
  assert.is(clock.pending, 0);
});

const model: DeviceModel = {
  metadata: { name: 'm' },
  spec: { properties: ['a', 'b'].map((name) => ({ name, type: 'INT' as const })) },
};
const wanting = (desired: Record<string, string>): Device => ({
  metadata: { name: 'd' },
  spec: { properties: Object.entries(desired).map(([name, value]) => ({ name, desired: { value } })) },
});

test('values go up when they change, and it is online', async ({ clock, manager, start }) => {
  const device = new FakeDevice([fakePoint('a'), fakePoint('b')]);
  start(device);
  await clock.advance(0);
  assert.equal(manager.take(), ['a=0', 'b=0', 'online']);
  device.values.set('b', '7');
  await clock.advance(1000);
  assert.equal(manager.take(), ['b=7']);
});

test('a desired value is written before anything is read, read back and told', async ({
  clock,
  manager,
  start,
}) => {
  const device = new FakeDevice([fakePoint('a')]);
  start(device).desire(wanting({ a: '5' }), model);
  await clock.advance(0);
  assert.equal(device.log.slice(0, 2), ['write a=5', 'read a']);
  assert.ok(manager.take().includes('a:=5 ok'));
});

test('a value that cannot be written is told at once, and nothing is sent', async ({
  clock,
  manager,
  start,
}) => {
  const device = new FakeDevice([fakePoint('a', 1000, false)]);
  start(device).desire(wanting({ a: '5', b: '1' }), model);
  assert.equal(manager.take(), [
    'a:=5 it cannot be written on the device',
    'b:=1 the property is not served: its configuration has a fault',
  ]);
  await clock.advance(0);
  assert.equal(device.log, ['read a']);
});

test('a refused read is a fault of its properties, silence takes the device offline', async ({
  clock,
  manager,
  start,
}) => {
  const device = new FakeDevice([fakePoint('a')]);
  start(device);
  device.fault = new WireError('exception', 'exception 2', 2);
  await clock.advance(0);
  assert.equal(manager.take(), ['unhealthy: a: exception 2']);
  device.fault = new WireError('timeout', 'no answer in time');
  await clock.advance(1000);
  assert.equal(manager.take(), ['offline: no answer in time']);
  device.fault = undefined;
  await clock.advance(seconds(2));
  assert.equal(manager.take(), ['a=0', 'online']);
});

test('while it is away only the cheap question is asked; a value that was wanted meanwhile is written', async ({
  clock,
  manager,
  start,
}) => {
  const device = new FakeDevice([fakePoint('a')]).probes();
  const polled = start(device);
  await clock.advance(0);
  device.fault = new WireError('timeout', 'no answer in time');
  await clock.advance(1000);
  polled.desire(wanting({ a: '5' }), model);
  device.log.length = 0;
  await clock.advance(seconds(60));
  assert.equal([...new Set(device.log)], ['probe']);
  assert.ok(device.log.length <= 8, `${device.log.length} tries in a minute`);
  device.fault = undefined;
  await clock.advance(seconds(16));
  assert.equal(
    device.log.slice(-3 - 15).filter((l) => l.startsWith('write')),
    ['write a=5'],
  );
  assert.ok(manager.take().includes('a:=5 ok'));
});

test('a device that speaks unasked is online while its bus is open, and away as soon as it is lost', async ({
  clock,
  manager,
  start,
}) => {
  const device = new FakeDevice([fakePoint('a')]).speaks();
  start(device);
  await clock.advance(0);
  assert.equal(manager.take(), ['online']);
  device.heard?.([{ property: 'a', value: '4006381333931' }]);
  assert.equal(manager.take(), ['a=4006381333931']);
  device.heard?.([{ property: 'a', fault: 'no number' }]);
  assert.equal(manager.take(), ['unhealthy: a: no number']);
  device.lose('unplugged');
  await clock.advance(0);
  assert.equal(manager.take(), ['offline: unplugged']);
  await clock.advance(seconds(2));
  device.heard?.([{ property: 'a', value: '1' }]);
  assert.ok(manager.take().includes('a=1'));
});

test('what is wrong with its configuration stands in its state', async ({ clock, manager, start }) => {
  start(new FakeDevice([fakePoint('a', millis(500))]), ['spec.properties[1].name: ghost is not in model m']);
  await clock.advance(0);
  assert.ok(manager.take().includes('unhealthy: spec.properties[1].name: ghost is not in model m'));
});

test('a value that is wanted is written at once, not with the next cycle', async ({ clock, start }) => {
  const device = new FakeDevice([fakePoint('a', 60_000)]);
  const polled = start(device);
  await clock.advance(1000);
  polled.desire(wanting({ a: '5' }), model);
  await clock.advance(0);
  assert.equal(device.log, ['read a', 'write a=5', 'read a']);
});

test('what was read before the device went away is reported', async ({ clock, manager, start }) => {
  const device = new FakeDevice([fakePoint('a'), fakePoint('b')]);
  device.splits = true;
  start(device);
  await clock.advance(0);
  manager.take();
  device.values.set('a', '1');
  device.during = async () => {
    if (device.log.at(-1) === 'read b') throw new WireError('timeout', 'no answer in time');
  };
  await clock.advance(1000);
  assert.equal(manager.take(), ['a=1', 'offline: no answer in time']);
});

test('what came damaged is a fault of its properties, and takes the device offline only when nothing else came', async ({
  clock,
  manager,
  start,
}) => {
  const device = new FakeDevice([fakePoint('a'), fakePoint('b')]);
  device.splits = true;
  let damaged = 'read b';
  device.during = async () => {
    if (device.log.at(-1)?.startsWith(damaged)) throw new WireError('noise', 'CRC error');
  };
  start(device);
  await clock.advance(0);
  assert.equal(manager.take(), ['a=0', 'unhealthy: b: CRC error']);
  damaged = 'read';
  await clock.advance(1000);
  assert.equal(manager.take(), ['offline: CRC error']);
  damaged = 'nothing';
  await clock.advance(2000);
  assert.equal(manager.take(), ['a=0', 'b=0', 'online']);
});

test('a cycle that cannot be kept is told with the one that is achieved, and logged once', async ({
  clock,
  manager,
  logged,
  start,
}) => {
  const device = new FakeDevice([fakePoint('a', 1000)]);
  device.during = () =>
    new Promise((resolve) => {
      clock.after(millis(2500), resolve);
    });
  start(device);
  await clock.advance(seconds(300));
  const told = manager.take().filter((line) => line.startsWith('online: '));
  assert.match(told.at(-1) ?? '', /^online: a cycle of 1000 ms cannot be kept: 2\d\d\d ms are achieved$/);
  assert.ok(told.length <= 5, `${told.length} different figures`);
  assert.equal(logged, ['a cycle cannot be kept']);
  device.during = () => Promise.resolve();
  await clock.advance(seconds(60));
  assert.is(manager.take().at(-1), 'online');
});

test('a command is written at once, each time, and read back', async ({ clock, manager, start }) => {
  const device = new FakeDevice([fakePoint('a', 60_000)]);
  const polled = start(device);
  await clock.advance(0);
  device.log.length = 0;
  const outcomes = [polled.write('a', '1'), polled.write('a', '1')];
  await clock.advance(0);
  assert.equal(await Promise.all(outcomes), [undefined, undefined]);
  assert.equal(device.log, ['write a=1', 'read a', 'write a=1', 'read a']);
  assert.ok(manager.take().includes('a=1'));
});

test('a command for what cannot be written is refused, and nothing is sent', async ({ clock, start }) => {
  const device = new FakeDevice([fakePoint('a', 1000, false)]);
  const polled = start(device);
  await clock.advance(0);
  assert.is(await polled.write('a', '1'), 'it cannot be written on the device');
  assert.match(String(await polled.write('b', '1')), /not served/);
  assert.equal(device.log, ['read a']);
});

test('a command is told what the device says to it', async ({ clock, start }) => {
  const device = new FakeDevice([fakePoint('a')]);
  const polled = start(device);
  await clock.advance(0);
  device.fault = new WireError('exception', 'exception 2');
  const refused = polled.write('a', '1');
  await clock.advance(0);
  assert.is(await refused, 'exception 2');
});

test('commands do not outlive the absence of their device', async ({ clock, start }) => {
  const device = new FakeDevice([fakePoint('a')]);
  const polled = start(device);
  await clock.advance(0);
  device.fault = new WireError('timeout', 'no answer');
  const outcomes = [polled.write('a', '1'), polled.write('a', '2')];
  await clock.advance(0);
  assert.equal(await Promise.all(outcomes), ['it is offline: no answer', 'it is offline: no answer']);
  assert.is(await polled.write('a', '3'), 'it is offline: no answer');
  device.fault = undefined;
  device.log.length = 0;
  await clock.advance(60_000);
  assert.not(
    device.log.some((line) => line.startsWith('write')),
    'nothing is written later',
  );
});

test('commands that wait for a device which is removed are told so, and there are only so many', async ({
  clock,
  start,
}) => {
  const device = new FakeDevice([fakePoint('a')]);
  const polled = start(device);
  const outcomes = Array.from({ length: 33 }, () => polled.write('a', '1'));
  assert.match(String(await outcomes[32]), /32 writes wait/);
  polled.stop();
  assert.is(await outcomes[0], 'it was changed or removed meanwhile');
  await clock.advance(0);
});

test('an exchange that never ends shows as a standstill, an idle device and one that is away do not', async ({
  clock,
  start,
}) => {
  const device = new FakeDevice([fakePoint('a')]);
  const polled = start(device);
  await clock.advance(60_500);
  assert.is(polled.stalledFor, 0);
  device.fault = new WireError('timeout', 'no answer');
  await clock.advance(600_000);
  assert.is(polled.stalledFor, 0);
  device.fault = undefined;
  await clock.advance(60_000);
  device.during = () => new Promise(() => {});
  await clock.advance(61_000);
  assert.ok(polled.stalledFor >= 60_000, `stalled for ${polled.stalledFor} ms`);
});

test.run();
