import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel } from './core/devices.ts';
import { FakeClock } from './core/fake-clock.ts';
import { deviceId } from './core/units.ts';
import { Desires } from './desires.ts';
import { DeviceControl, methodsOf } from './device-control.ts';
import { type DeviceEntry, newDeviceEntry } from './devicetwin/device.ts';

const id = deviceId('default', 'oven');
const model: DeviceModel = {
  metadata: { name: 'm', namespace: 'default' },
  spec: {
    properties: [
      { name: 'setpoint', type: 'FLOAT', maximum: '300' },
      { name: 'fan', type: 'BOOLEAN' },
      { name: 'heat', type: 'INT', accessMode: 'ReadOnly' },
    ],
  },
};
const device: Device = {
  metadata: { name: 'oven', namespace: 'default' },
  spec: {
    deviceModelRef: { name: 'm' },
    properties: ['setpoint', 'fan', 'heat', 'odd'].map((name) => ({ name })),
    methods: [
      { name: 'bake', description: 'warm', propertyNames: ['setpoint', 'ghost', 'heat', 'odd'] },
      { name: 'blow', propertyNames: ['fan'] },
    ],
  },
};

type Context = {
  clock: FakeClock;
  entry: DeviceEntry;
  control: DeviceControl;
  /** What the mapper was told to write; it answers with `fault`. */
  written: string[];
  mapper: { fault: string | undefined; isThere: boolean; never: boolean };
  /** The device has a value. */
  reports: (property: string, value: string) => void;
  changed: () => void;
  disk: { fault: Error | undefined };
};
const test = suite<Context>('device control');

test.before.each((context) => {
  const clock = new FakeClock();
  const entry = newDeviceEntry(id, 'oven', '');
  Object.assign(entry, { device, model, state: 'online' });
  const written: string[] = [];
  const mapper: Context['mapper'] = { fault: undefined, isThere: true, never: false };
  const disk: Context['disk'] = { fault: undefined };
  const listeners = new Set<() => void>();
  const changed = (): void => {
    for (const listener of [...listeners]) listener();
  };
  const twins = {
    get: (wanted: string) => (wanted === id ? entry : undefined),
    writerOf: () =>
      mapper.isThere
        ? (property: string, value: string): Promise<string | undefined> => {
            written.push(`${property}=${value}`);
            return mapper.never ? new Promise(() => {}) : Promise.resolve(mapper.fault);
          }
        : undefined,
    onChange: (listener: () => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const keep = async ({ object }: { object: unknown }): Promise<void> => {
    if (disk.fault) throw disk.fault;
    entry.device = object as Device;
  };
  const desires = new Desires({ twins, objects: { keep } });
  const reports = (property: string, value: string): void => {
    const actual = { value, metadata: { timestamp: 1 } };
    entry.twins.set(property, { actual, optional: true, metadata: { type: 'string' } });
    changed();
  };
  const control = new DeviceControl({ twins, desires, clock });
  Object.assign(context, { clock, entry, control, written, mapper, reports, changed, disk });
});
test.after.each(({ clock }) => assert.is(clock.pending, 0, 'no timer is left'));

test('a method writes at once, and each time', async ({ control, written, entry }) => {
  for (let i = 0; i < 2; i++)
    assert.equal(await control.call(id, 'bake', 'setpoint', '200'), { kind: 'done' });
  assert.equal(written, ['setpoint=200', 'setpoint=200']);
  assert.is(entry.device, device, 'nothing is desired');
});

test('a boolean may be written as Go reads it', async ({ control, written }) => {
  for (const text of ['1', 'T', 'false']) await control.call(id, 'blow', 'fan', text);
  assert.equal(written, ['fan=true', 'fan=true', 'fan=false']);
});

const refused: [string, string, string, RegExp][] = [
  ['melt', 'setpoint', '1', /deviceMethod name melt does not exist in device instance: there is bake, blow/],
  ['bake', 'fan', '1', /deviceProperty fan to be written is not in the list defined by devicemethod/],
  ['bake', 'ghost', '1', /can't find device propertyName ghost in device instance/],
  ['bake', 'odd', '1', /property odd is not in the device's DeviceModel/],
  ['bake', 'heat', '1', /property heat: "1": the property is ReadOnly/],
  ['bake', 'setpoint', 'warm', /property setpoint: "warm": want a number/],
  ['bake', 'setpoint', '301', /property setpoint: "301": above the maximum 300/],
  ['blow', 'fan', 'maybe', /property fan: "maybe": want true or false/],
];
for (const [method, property, value, reason] of refused) {
  test(`${method} ${property}=${value} is refused by name and rule`, async ({ control, written }) => {
    const outcome = await control.call(id, method, property, value);
    assert.is(outcome.kind, 'refused');
    assert.match('reason' in outcome ? outcome.reason : '', reason);
    assert.equal(written, []);
  });
}

test('what the device says no to is the answer', async ({ control, mapper }) => {
  mapper.fault = 'exception 2';
  const outcome = await control.call(id, 'bake', 'setpoint', '1');
  assert.equal(outcome, { kind: 'refused', code: 503, reason: 'property setpoint: exception 2' });
});

test('a device that takes for ever is waited for ten seconds', async ({ control, mapper, clock }) => {
  mapper.never = true;
  const outcome = control.call(id, 'bake', 'setpoint', '1');
  await clock.advance(10_000);
  assert.match(
    String('reason' in (await outcome) && ((await outcome) as { reason: string }).reason),
    /not confirmed after 10 s/,
  );
});

test('where only desired values are known, a method waits for the report', async ({
  control,
  mapper,
  reports,
  clock,
}) => {
  mapper.isThere = false;
  const outcome = control.call(id, 'bake', 'setpoint', '200');
  await clock.advance(0);
  reports('setpoint', '200.0');
  assert.equal(await outcome, { kind: 'done' });
});

test('there a device that is away is not waited for', async ({ control, mapper, entry }) => {
  mapper.isThere = false;
  Object.assign(entry, { state: 'offline', reason: 'no power' });
  const outcome = await control.call(id, 'bake', 'setpoint', '200');
  assert.equal(outcome, {
    kind: 'refused',
    code: 503,
    reason: 'property setpoint: the device is offline: no power',
  });
  assert.is(entry.device, device, 'nothing is desired');
});

test('an application on MQTT that reports the value is enough, whatever the state', async ({
  control,
  mapper,
  entry,
  reports,
  clock,
}) => {
  mapper.isThere = false;
  Object.assign(entry, { state: 'unknown', reason: 'no mapper here' });
  const outcome = control.call(id, 'bake', 'setpoint', '200');
  await clock.advance(0);
  reports('setpoint', '200');
  assert.equal(await outcome, { kind: 'done' });
});

test('a device with another property that is wrong can still be set', async ({
  control,
  entry,
  reports,
  clock,
}) => {
  Object.assign(entry, { state: 'unhealthy', reason: 'fan: exception 2' });
  const outcome = control.set(id, 'setpoint', '20');
  await clock.advance(0);
  reports('setpoint', '20');
  assert.equal(await outcome, { kind: 'done' });
});

test('a value that is set is kept, and told when it is there', async ({ control, entry, reports, clock }) => {
  const outcome = control.set(id, 'setpoint', '20');
  await clock.advance(0);
  assert.is(entry.device?.spec.properties?.[0]?.desired?.value, '20');
  reports('setpoint', '20');
  assert.equal(await outcome, { kind: 'done' });
});

test('one that the device has refused is told', async ({ control, entry, changed, clock }) => {
  const outcome = control.set(id, 'setpoint', '20');
  await clock.advance(0);
  entry.faults.set('desired', 'setpoint', 'desired "20": exception 3');
  changed();
  const reason = 'property setpoint: desired "20": exception 3';
  assert.equal(await outcome, { kind: 'refused', code: 422, reason });
});

test('one for a device that is away is kept', async ({ control, entry }) => {
  Object.assign(entry, { state: 'offline', reason: 'no power' });
  const outcome = await control.set(id, 'setpoint', '20');
  assert.equal(outcome, { kind: 'kept', reason: 'the device is offline: no power' });
});

test('one that is set again is brought again', async ({ control, entry, written, reports }) => {
  entry.device = {
    ...device,
    spec: { ...device.spec, properties: [{ name: 'setpoint', desired: { value: '20' } }] },
  };
  reports('setpoint', '19');
  assert.equal(await control.set(id, 'setpoint', '20'), { kind: 'done' });
  assert.equal(written, ['setpoint=20']);
});

test('what cannot be kept, is unknown or not allowed is refused', async ({ control, disk }) => {
  assert.equal(await control.set(id, 'setpoint', '999'), {
    kind: 'refused',
    code: 422,
    reason: 'property setpoint: above the maximum 300',
  });
  const other = await control.set(deviceId('default', 'none'), 'x', '1');
  assert.equal(other, { kind: 'refused', code: 404, reason: 'not found device default/none' });
  disk.fault = new Error('disk full');
  assert.equal(await control.set(id, 'setpoint', '1'), {
    kind: 'refused',
    code: 503,
    reason: 'it cannot be kept: disk full',
  });
});

test('methods as the API shows them: one for each name, none without', ({ entry, control, reports }) => {
  const methods = [
    { name: 'bake', description: 'warm', propertyNames: ['setpoint'] },
    { name: '', propertyNames: ['fan'] },
    { name: 'bake', propertyNames: ['setpoint', 'fan'] },
  ];
  entry.device = { ...device, spec: { ...device.spec, methods } };
  assert.equal(methodsOf(entry), [{ name: 'bake', description: 'warm', propertyNames: ['setpoint', 'fan'] }]);
  reports('setpoint', '5');
  const shown = control.device(id);
  assert.equal(shown?.methods, [{ name: 'bake', properties: ['setpoint', 'fan'] }]);
  assert.equal(shown?.properties[0], { name: 'setpoint', type: 'float', value: '5' });
  Object.assign(entry, { state: 'offline', reason: 'no power' });
  assert.is(control.device(id)?.properties[0]?.away, 'the device is offline: no power');
});

test.run();
