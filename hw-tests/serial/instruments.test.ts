import { readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DriverMapper } from '../../mappers/kit/mapper.ts';
import { SerialDriver } from '../../mappers/serial/serial.ts';
import { systemClock } from '../../runtime/core/clock.ts';
import type { Device, DeviceModel } from '../../runtime/core/devices.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { Metrics } from '../../runtime/core/metrics.ts';
import { seededRandom } from '../../runtime/core/test-random.ts';
import { RecordingManager } from '../modbus/fixture.ts';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { type Edit, instrumentObjects } from './instrument-objects.ts';
import { Climate, Gps, type Instrument, Scale, Thermometer } from './instruments.ts';
import { Line } from './line.ts';

const SEED = Number(process.env.EDGECORE_SEED ?? 4711);

type Context = { line: Line; instruments: Instrument[]; manager: RecordingManager; mapper: DriverMapper };
const test = suite<Context>('serial instruments');
const hasSocat = requireProgram('socat', 'socat') !== undefined;

test.before.each(async (context) => {
  context.line = new Line();
  context.instruments = [];
  context.manager = new RecordingManager();
  context.mapper = new DriverMapper({
    driver: new SerialDriver({ clock: systemClock }),
    manager: context.manager,
    clock: systemClock,
    log: silentLogger,
    metrics: new Metrics(),
    random: seededRandom(SEED),
  });
  if (hasSocat) await context.line.connect();
});
test.after.each(async ({ line, instruments, mapper }) => {
  await mapper.stop();
  for (const instrument of instruments) await instrument.close();
  await line.remove();
});

/** An example of instruments.yaml on this test's line. */
function example({ line }: Context, name: string, edit: Edit = {}): { device: Device; model: DeviceModel } {
  return instrumentObjects(name, line.master, edit);
}

async function plug<T extends Instrument>(context: Context, instrument: T): Promise<T> {
  context.instruments.push(instrument);
  await instrument.open(context.line.slaves);
  return instrument;
}

function apply({ mapper }: Context, { device, model }: { device: Device; model: DeviceModel }): void {
  assert.is(mapper.applyDevice(device, model), undefined);
}

function state({ manager }: Context, name: string, wanted: string, reason = /^/): Promise<number> {
  return manager.until(`${name} is ${wanted} with ${reason}`, () => {
    const known = manager.states.get(`default/${name}`);
    return known?.state === wanted && reason.test(known.reason ?? '');
  });
}

function value({ manager }: Context, property: string, wanted: string): Promise<number> {
  return manager.until(
    `${property} is ${wanted}`,
    () => manager.values.get(`default/${property}`) === wanted,
  );
}

if (hasSocat) {
  test('a thermometer is asked, written by template and read back', async (context) => {
    const thermometer = await plug(context, new Thermometer());
    thermometer.temperature = -3.25;
    apply(context, example(context, 'thermometer'));
    await state(context, 'thermometer', 'online');
    await value(context, 'thermometer/temperature', '-3.25');
    apply(context, example(context, 'thermometer', { desired: { setpoint: '21.5' } }));
    await value(context, 'thermometer/setpoint', '21.5');
    assert.is(thermometer.setpoint, 21.5);
    apply(context, example(context, 'thermometer', { desired: { setpoint: '75' } }));
    await context.manager.until('the refusal is told', () => context.manager.writes.length === 2);
    assert.equal(context.manager.writes, [
      { property: 'setpoint', desired: '21.5' },
      { property: 'setpoint', desired: '75', fault: 'it answers ">ERR too hot"' },
    ]);
  });

  test('a scale that speaks unasked is heard, and its silence noticed', async (context) => {
    const scale = await plug(context, new Scale());
    apply(context, example(context, 'scale'));
    await state(context, 'scale', 'online');
    await value(context, 'scale/weight', '12.5');
    await value(context, 'scale/stable', 'true');
    scale.stable = false;
    scale.weight = 99;
    await value(context, 'scale/stable', 'false');
    assert.is(context.manager.values.get('default/scale/weight'), '12.5', 'while it moves it has no weight');
    await state(
      context,
      'scale',
      'unhealthy',
      /^weight: not heard for 2 s; the last frame was "US,GS,\+ {2}99\.00kg"$/,
    );
    scale.misbehave({ silent: true });
    await state(context, 'scale', 'offline', /master: nothing heard for 2 s$/);
    scale.misbehave({});
    scale.stable = true;
    await value(context, 'scale/weight', '99');
    await state(context, 'scale', 'online');
  });

  test('a GPS is read by sentence and field, and has no position without a fix', async (context) => {
    const gps = await plug(context, new Gps({ baudRate: 4800 }));
    apply(context, example(context, 'gps'));
    await state(context, 'gps', 'online');
    await value(context, 'gps/latitude', '48.1173');
    await value(context, 'gps/longitude', '11.5166667');
    await value(context, 'gps/satellites', '8');
    await value(context, 'gps/speed', '18.52');
    gps.latitude = '';
    await state(
      context,
      'gps',
      'unhealthy',
      /^latitude: field 2 of GGA is empty: the device does not know it$/,
    );
  });

  test('a sensor with lines of JSON is read by path, and commanded in JSON', async (context) => {
    const climate = await plug(context, new Climate({ baudRate: 115_200 }));
    apply(context, example(context, 'climate', { desired: { fan: 'true' } }));
    await value(context, 'climate/humidity', '40.5');
    await value(context, 'climate/fan', 'true');
    assert.is(climate.fan, true);
    await state(context, 'climate', 'online');
    await context.manager.until('the write is told', () => context.manager.writes.length === 1);
    assert.equal(context.manager.writes, [{ property: 'fan', desired: 'true' }]);
  });

  test(`with 5 % of the bytes damaged a value is right or there is none (seed ${SEED})`, async (context) => {
    const thermometer = await plug(context, new Thermometer({ random: seededRandom(SEED) }));
    thermometer.moves = true;
    apply(context, example(context, 'thermometer', { cycle: 50, config: { timeout: 100 } }));
    await state(context, 'thermometer', 'online');
    thermometer.misbehave({ damaged: 0.05, dropped: 0.01, cut: 0.02, garbage: 0.1 });
    await until('it has answered 400 times', () => thermometer.commands >= 400, 60_000);
    const values = context.manager.history
      .filter(({ property }) => property === 'temperature')
      .map((r) => r.value);
    process.stdout.write(`${values.length} temperatures came through, of ${thermometer.sent} answers\n`);
    assert.ok(values.length > 50);
    assert.equal(
      values.filter((v) => !thermometer.told.has(v)),
      [],
    );
    thermometer.misbehave({});
    await state(context, 'thermometer', 'online');
  });

  test(`with 5 % of the bytes damaged NMEA gives what was sent or nothing (seed ${SEED})`, async (context) => {
    const gps = await plug(context, new Gps({ baudRate: 115_200, random: seededRandom(SEED) }));
    const { device, model } = example(context, 'gps', { config: { baudRate: 115_200 } });
    const heading = { visitors: { configData: { sentence: 'HDT', field: 1 } } };
    const properties = (device.spec.properties ?? [])
      .slice(3)
      .map((p) => ({ ...p, ...heading, name: 'speed' }));
    apply(context, { device: { ...device, spec: { ...device.spec, properties } }, model });
    await state(context, 'gps', 'unhealthy', /nothing heard yet/);
    gps.misbehave({ damaged: 0.05 });
    const said = new Set<string>();
    for (let i = 0; i < 1500; i++) {
      const degrees = Math.round(((i * 7.3) % 360) * 10) / 10;
      said.add(String(degrees));
      gps.heading(degrees);
      if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const last = 77.7;
    gps.misbehave({});
    gps.heading(last);
    await value(context, 'gps/speed', String(last));
    const values = context.manager.history.map((r) => r.value).filter((v) => v !== String(last));
    process.stdout.write(`${values.length} headings came through, of ${gps.sent} sentences\n`);
    assert.ok(values.length > 200);
    assert.equal(
      values.filter((v) => !said.has(v)),
      [],
    );
  });

  test('an adapter that is pulled out lets go of its name, and is found again when it is plugged in', async (context) => {
    const scale = await plug(context, new Scale());
    apply(context, example(context, 'scale'));
    await value(context, 'scale/weight', '12.5');
    const device = realpathSync(context.line.master);
    assert.is(holds(device), 1);
    await context.line.cut();
    await state(context, 'scale', 'offline', /(the port is gone|No such file)/);
    await until('the device is let go of', () => holds(device) === 0, 3000);
    await scale.close();
    await state(context, 'scale', 'offline', /No such file or directory: is the adapter plugged in\?$/);
    await context.line.connect();
    await scale.open(context.line.slaves);
    scale.weight = 7;
    const took = await value(context, 'scale/weight', '7');
    process.stdout.write(`heard again ${Math.round(took)} ms after it was plugged in\n`);
  });

  test('a port that another program has is named with that program', async (context) => {
    await plug(context, new Scale());
    const other = new Scale();
    await other.open(context.line.master);
    apply(context, example(context, 'scale'));
    await state(
      context,
      'scale',
      'offline',
      /master: is taken by edgecore itself, by another name of the port or for another protocol$/,
    );
    await other.close();
    await state(context, 'scale', 'online');
  });

  test('a line at another speed is told as such, and no value comes of it', async (context) => {
    const thermometer = await plug(context, new Thermometer());
    thermometer.misbehave({ damaged: 1 });
    apply(context, example(context, 'thermometer'));
    await state(
      context,
      'thermometer',
      'unhealthy',
      /came damaged: (no whole frame came: do baudRate|checksum)/,
    );
    assert.is(context.manager.history.length, 0);
  });

  test('two devices on one line take turns, and one that is dead does not stop the other', async (context) => {
    const thermometer = await plug(context, new Thermometer());
    apply(context, example(context, 'thermometer'));
    const { device, model } = example(context, 'thermometer');
    const dead = (device.spec.properties ?? []).slice(0, 1).map((p) => ({
      ...p,
      visitors: { configData: { request: '#X\\r', match: '(.*)' } },
    }));
    apply(context, {
      device: { ...device, metadata: { name: 'dead' }, spec: { ...device.spec, properties: dead } },
      model,
    });
    await state(context, 'dead', 'offline', /no answer in time/);
    await state(context, 'thermometer', 'online');
    thermometer.temperature = 33;
    await value(context, 'thermometer/temperature', '33');
  });
}

/** How many files of this process are the device. */
function holds(device: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(device);
    } catch {
      return false;
    }
  }).length;
}

test.run();
