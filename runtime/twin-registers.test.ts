import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel } from './core/devices.ts';
import { deviceId } from './core/units.ts';
import { Desires } from './desires.ts';
import { type DeviceEntry, newDeviceEntry } from './devicetwin/device.ts';
import type { ObjectChange } from './metamanager/metamanager.ts';
import { twinRegisters } from './twin-registers.ts';

const id = deviceId('default', 'plc');
const names = ['setpoint', 'limit'];

/** A device whose objects are kept after a turn of the event loop, as on a disk. */
function rig(fault?: Error) {
  const entry: DeviceEntry = newDeviceEntry(id, 'plc', '');
  const model: DeviceModel = {
    metadata: { name: 'm' },
    spec: { properties: names.map((name) => ({ name, type: 'FLOAT' as const, maximum: '80' })) },
  };
  entry.model = model;
  entry.device = { metadata: { name: 'plc' }, spec: { properties: names.map((name) => ({ name })) } };
  const keep = async ({ object }: ObjectChange): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    if (fault) throw fault;
    entry.device = object as Device;
  };
  const twins = { get: (wanted: string) => (wanted === id ? entry : undefined) };
  return { entry, source: twinRegisters({ twins, desires: new Desires({ twins, objects: { keep } }) }) };
}

test('values that are written one upon the other are all desired', async () => {
  const { entry, source } = rig();
  await Promise.all([
    source.desire(id, 'setpoint', '20'),
    source.desire(id, 'limit', '30'),
    source.desire(id, 'setpoint', '21'),
  ]);
  const desired = entry.device?.spec.properties?.map((p) => [p.name, p.desired?.value]);
  assert.equal(desired, [
    ['setpoint', '21'],
    ['limit', '30'],
  ]);
});

test('a write that cannot be kept fails on its own', async () => {
  const { source } = rig(new Error('disk full'));
  const outcomes = [source.desire(id, 'setpoint', '20'), source.desire(id, 'limit', '30')].map((outcome) =>
    Promise.resolve(outcome).then(() => 'kept', String),
  );
  assert.equal(await Promise.all(outcomes), ['Error: disk full', 'Error: disk full']);
});

test('what cannot be desired is told with the reason', () => {
  const { source } = rig();
  assert.is(source.desire(id, 'setpoint', '99'), 'above the maximum 80');
  assert.is(source.desire(id, 'ghost', '1'), 'it has no such property');
  assert.is(source.desire(deviceId('default', 'other'), 'setpoint', '1'), 'the device is not on this node');
});

test('a value is current while its device answers, also beside properties with faults', () => {
  const { entry, source } = rig();
  assert.is(source.reported(id, 'setpoint'), undefined);
  const actual = { value: '21.5', metadata: { timestamp: 1 } };
  for (const name of names) entry.twins.set(name, { actual, optional: true, metadata: { type: 'float' } });
  entry.state = 'online';
  assert.equal(source.reported(id, 'setpoint'), { value: '21.5', isOnline: true });
  Object.assign(entry, { state: 'unhealthy', reason: 'limit: exception 2; ghost: gone' });
  assert.equal(
    names.map((name) => source.reported(id, name)?.isOnline),
    [true, false],
  );
  entry.state = 'offline';
  assert.is(source.reported(id, 'setpoint')?.isOnline, false);
});

test.run();
