import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import type { DeviceManager } from '../../runtime/core/dmi.ts';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { Metrics } from '../../runtime/core/metrics.ts';
import type { DeviceId } from '../../runtime/core/units.ts';
import type { Configured, Connection, DriverDevice } from './driver.ts';
import { fakePoint } from './fake-driver.ts';
import { DriverMapper } from './mapper.ts';

type Context = { clock: FakeClock; events: string[]; states: string[]; mapper: DriverMapper };
const test = suite<Context>('a mapper');

const model: DeviceModel = { metadata: { name: 'm' }, spec: {} };
const device = (name: string, configData: Record<string, unknown>, desired?: string): Device => ({
  metadata: { name },
  spec: {
    protocol: { configData },
    ...(desired ? { properties: [{ name: 'a', desired: { value: desired } }] } : {}),
  },
});

/** A protocol whose configuration names its bus and how it is opened. */
function configure(events: string[], { metadata, spec }: Device): Configured<Connection> {
  const { bus, settings } = (spec.protocol?.configData ?? {}) as { bus?: string; settings?: string };
  if (!bus) return { faults: ['spec.protocol.configData.bus: missing'] };
  const configured: DriverDevice = {
    bus,
    ...(settings ? { busSettings: settings } : {}),
    shape: JSON.stringify(spec.protocol),
    points: [fakePoint('a')],
    connect: async () => {
      events.push(`open ${bus} for ${metadata.name}`);
      return { close: () => void events.push(`close ${bus}`) };
    },
    plan: (points) => [{ points, run: async () => points.map(({ property }) => ({ property, value: '1' })) }],
    write: async () => {},
  };
  return { device: configured, faults: [] };
}

test.before.each((context) => {
  context.clock = new FakeClock();
  context.events = [];
  context.states = [];
  const manager: DeviceManager = {
    reportDeviceStatus: () => {},
    reportDeviceState: (id, state) => void context.states.push(`${id} ${state}`),
    reportWrites: () => {},
  };
  context.mapper = new DriverMapper({
    driver: { name: 'fake', protocols: ['fake'], configure: (d) => configure(context.events, d) },
    manager,
    clock: context.clock,
    log: silentLogger,
    metrics: new Metrics(),
    random: () => 0,
  });
});
test.after.each(async ({ mapper, clock }) => {
  await mapper.stop();
  assert.is(clock.pending, 0);
});

test('devices that name the same bus share it; the last one closes it', async ({ clock, events, mapper }) => {
  for (const name of ['d1', 'd2'])
    assert.is(mapper.applyDevice(device(name, { bus: 'x' }), model), undefined);
  await clock.advance(1000);
  mapper.removeDevice('default/d1' as DeviceId);
  await clock.advance(1000);
  assert.equal(events, ['open x for d1']);
  mapper.removeDevice('default/d2' as DeviceId);
  assert.equal(events, ['open x for d1', 'close x']);
});

test('a desired value does not start a device anew, another configuration does', async ({
  clock,
  events,
  mapper,
}) => {
  mapper.applyDevice(device('d', { bus: 'x' }), model);
  await clock.advance(1000);
  mapper.applyDevice(device('d', { bus: 'x' }, '5'), model);
  await clock.advance(1000);
  assert.equal(events, ['open x for d']);
  mapper.applyDevice(device('d', { bus: 'y' }), model);
  await clock.advance(1000);
  assert.equal(events, ['open x for d', 'close x', 'open y for d']);
});

test('a device that wants a shared bus opened in another way is refused, and served when the others are gone', async ({
  clock,
  states,
  mapper,
}) => {
  mapper.applyDevice(device('d1', { bus: '/dev/ttyUSB0', settings: '9600 8N1' }), model);
  assert.is(
    mapper.applyDevice(device('d2', { bus: '/dev/ttyUSB0', settings: '19200 8E1' }), model),
    'spec.protocol.configData: wants /dev/ttyUSB0 as 19200 8E1, but default/d1 has it as 9600 8N1',
  );
  await clock.advance(2000);
  assert.equal(new Set(states), new Set(['default/d1 online']));
  mapper.removeDevice('default/d1' as DeviceId);
  await clock.advance(2000);
  assert.ok(states.includes('default/d2 online'));
});

test('a configuration that cannot be served says why, and stops what was', async ({
  clock,
  events,
  mapper,
}) => {
  mapper.applyDevice(device('d', { bus: 'x' }), model);
  await clock.advance(1000);
  assert.is(mapper.applyDevice(device('d', {}), model), 'spec.protocol.configData.bus: missing');
  assert.equal(events, ['open x for d', 'close x']);
});

test("a report rule is the kit's: the driver does not see it, a change of it makes the device anew", async ({
  mapper,
  clock,
  events,
}) => {
  const withReport = (report: unknown): Device => {
    const { metadata, spec } = device('d', { bus: 'one' });
    return { metadata, spec: { ...spec, properties: [{ name: 'a', visitors: { configData: { report } } }] } };
  };
  const modelled: DeviceModel = { ...model, spec: { properties: [{ name: 'a', type: 'INT' }] } };
  mapper.applyDevice(withReport({ deadband: 1 }), modelled);
  await clock.advance(10);
  mapper.applyDevice(withReport({ deadband: 1 }), modelled);
  await clock.advance(10);
  assert.equal(events, ['open one for d']);
  mapper.applyDevice(withReport({ deadband: 2 }), modelled);
  await clock.advance(10);
  assert.equal(events, ['open one for d', 'close one', 'open one for d']);
});

test('a bad report rule is told in the state; the property is served', async ({ mapper, clock, states }) => {
  const { metadata, spec } = device('d', { bus: 'one' });
  const properties = [{ name: 'a', visitors: { configData: { report: { deadband: -1 } } } }];
  const modelled: DeviceModel = { ...model, spec: { properties: [{ name: 'a', type: 'INT' }] } };
  assert.is(mapper.applyDevice({ metadata, spec: { ...spec, properties } }, modelled), undefined);
  await clock.advance(10);
  assert.ok(states.includes('default/d unhealthy'));
});

test.run();
