import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeviceManager } from '../../runtime/core/dmi.ts';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { deviceId, millis } from '../../runtime/core/units.ts';
import { Bus } from './bus.ts';
import { FakeDevice, fakePoint } from './fake-driver.ts';
import { PolledDevice } from './polled-device.ts';
import { WireError } from './wire-error.ts';

test('what is read goes where it is pushed, changed or not; what cannot be read does not', async () => {
  const clock = new FakeClock();
  const reported: string[] = [];
  const pushed: string[] = [];
  const manager: DeviceManager = {
    reportDeviceStatus: (_, readings) =>
      void reported.push(...readings.map(({ property, value }) => `${property}=${value}`)),
    reportDeviceState: () => {},
    reportWrites: () => {},
  };
  const device = new FakeDevice([fakePoint('a', 500), fakePoint('b', 500)]);
  const bus = new Bus({ connect: () => device.connect(), clock, random: () => 0 });
  const polled = new PolledDevice({
    id: deviceId('default', 'd'),
    device,
    configFaults: [],
    reportRules: new Map(),
    pushCycles: new Map([['a', millis(1000)]]),
    sink: {
      push: (id, readings) =>
        void pushed.push(...readings.map(({ property, value, at }) => `${id} ${property}=${value} at ${at}`)),
    },
    bus,
    manager,
    clock,
    log: silentLogger,
    random: () => 0,
  });
  const began = clock.now();
  await clock.advance(2400);
  assert.equal(reported, ['a=0', 'b=0']);
  assert.equal(
    pushed,
    [0, 1000, 2000].map((after) => `default/d a=0 at ${began + after}`),
  );
  device.fault = new WireError('exception', 'exception 2');
  await clock.advance(3000);
  assert.is(pushed.length, 3);
  polled.stop();
  await bus.stop();
  assert.is(clock.pending, 0);
});

test.run();
