import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeviceManager } from '../../runtime/core/dmi.ts';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { deviceId, millis, seconds } from '../../runtime/core/units.ts';
import { Bus } from './bus.ts';
import { FakeDevice, fakePoint } from './fake-driver.ts';
import { PolledDevice } from './polled-device.ts';
import { WireError } from './wire-error.ts';

const ANSWER = 20;
const TIMEOUT = 1000;
const test = suite('devices of one line');

type Line = { clock: FakeClock; devices: FakeDevice[]; stop: () => void };

/** Devices on one bus where each answer takes 20 ms and silence a second. */
function line(count: number, cycle: number, silent: readonly number[]): Line {
  const clock = new FakeClock();
  const manager: DeviceManager = {
    reportDeviceStatus: () => {},
    reportDeviceState: () => {},
    reportWrites: () => {},
  };
  const devices = Array.from({ length: count }, (_, i) => {
    const device = new FakeDevice([fakePoint('a', cycle)]).probes();
    const isSilent = silent.includes(i);
    device.during = () =>
      new Promise((resolve, reject) => {
        const end = isSilent ? () => reject(new WireError('timeout', 'no answer in time')) : resolve;
        clock.after(millis(isSilent ? TIMEOUT : ANSWER), end);
      });
    return device;
  });
  const bus = new Bus({ connect: async () => ({ close: () => {} }), clock, random: () => 0.5 });
  let draws = 0;
  const polled = devices.map((device, i) => {
    const random = (): number => (draws++ * 0.37) % 1;
    const id = deviceId('default', `d${i}`);
    const deps = { bus, manager, clock, log: silentLogger, random };
    return new PolledDevice({ id, device, configFaults: [], reportRules: new Map(), ...deps });
  });
  const stop = (): void => {
    for (const one of polled) one.stop();
    void bus.stop();
  };
  return { clock, devices, stop };
}

const reads = (device: FakeDevice): number => device.log.filter((l) => l.startsWith('read')).length;

test('on a line that cannot keep the cycle every device gets the same share', async () => {
  const { clock, devices, stop } = line(32, 100, []);
  await clock.advance(seconds(60));
  const counts = devices.map(reads);
  // 60 s of answers of 20 ms, shared by 32.
  assert.ok(Math.min(...counts) >= 92, `${counts}`);
  assert.ok(Math.max(...counts) - Math.min(...counts) <= 2, `${counts}`);
  stop();
});

test('one dead device among 32 costs the others less than 5 % of their turns', async () => {
  const counts: number[] = [];
  for (const silent of [[], [7]]) {
    const { clock, devices, stop } = line(32, 100, silent);
    await clock.advance(seconds(600));
    const others = devices.filter((_, i) => i !== 7);
    counts.push(others.reduce((sum, device) => sum + reads(device), 0) / 31);
    stop();
  }
  const [whole = 0, withDead = 0] = counts;
  assert.ok(withDead >= whole * 0.95, `${withDead} turns of ${whole}`);
});

test('many dead devices together cost no more', async () => {
  const silent = [1, 2, 3, 4, 5, 6, 7, 8];
  const { clock, devices, stop } = line(32, 1000, silent);
  await clock.advance(seconds(60));
  for (const device of devices) device.log.length = 0;
  await clock.advance(seconds(600));
  const live = devices.filter((_, i) => !silent.includes(i));
  assert.ok(Math.min(...live.map(reads)) >= 600 * 0.87, `${live.map(reads)}`);
  stop();
});

test.run();
