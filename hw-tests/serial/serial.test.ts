import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { DriverMapper } from '../../mappers/kit/mapper.ts';
import type { Device, DeviceModel, DeviceProperty } from '../../runtime/core/devices.ts';
import type { DeviceId } from '../../runtime/core/units.ts';
import { newMapper, plcObjectsAt, RecordingManager } from '../modbus/fixture.ts';
import { RtuSlaves } from '../plc/rtu-slaves.ts';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { Line } from './line.ts';

const run = promisify(execFile);
const BAUD = 19_200;
const TIMEOUT = 300;

type Context = { line: Line; slaves: RtuSlaves; manager: RecordingManager; mapper: DriverMapper };
const test = suite<Context>('modbus over a serial line');
const hasSocat = requireProgram('socat', 'socat') !== undefined;
const hasMbpoll = requireProgram('mbpoll', 'mbpoll') !== undefined;

test.before.each(async (context) => {
  context.line = new Line();
  context.slaves = new RtuSlaves([1, 2]);
  context.manager = new RecordingManager();
  context.mapper = newMapper(context.manager);
  if (!hasSocat) return;
  await context.line.connect();
  await context.slaves.open(context.line.slaves, BAUD);
});
test.after.each(async ({ line, slaves, mapper }) => {
  await mapper.stop();
  await slaves.close();
  await line.remove();
});

/** The simulated PLC at a unit of the line. */
function plcOn(line: Line, unitId = 1, name = 'plc', more = {}): { device: Device; model: DeviceModel } {
  return plcObjectsAt({ serialPort: line.master, baudRate: BAUD, unitId, timeout: TIMEOUT, ...more }, name);
}

function withProperties(device: Device, edit: (property: DeviceProperty) => DeviceProperty): Device {
  return { ...device, spec: { ...device.spec, properties: (device.spec.properties ?? []).map(edit) } };
}

function withDesired(device: Device, desired: Readonly<Record<string, string>>): Device {
  return withProperties(device, (property) => {
    const value = desired[property.name];
    return value === undefined ? property : { ...property, desired: { value } };
  });
}

function isIn(manager: RecordingManager, state: string, name = 'plc'): () => boolean {
  return () => manager.states.get(`default/${name}`)?.state === state;
}

function reads(manager: RecordingManager, property: string, value: string, name = 'plc'): () => boolean {
  return () => manager.values.get(`default/${name}/${property}`) === value;
}

function reasonOf(manager: RecordingManager, name = 'plc'): string {
  return manager.states.get(`default/${name}`)?.reason ?? '';
}

if (hasSocat) {
  test('every property is read over the line, with its scale and form', async ({
    line,
    slaves,
    manager,
    mapper,
  }) => {
    const { memory } = slaves.slave(1);
    memory.input.writeInt16BE(-55, 0);
    memory.input.writeUInt32BE(4_000_000_000, 4);
    memory.coils[0] = 1;
    const { device, model } = plcOn(line);
    const untouched = withProperties(device, ({ desired: _, ...property }) => property);
    assert.is(mapper.applyDevice(untouched, model), undefined);
    await manager.until('online', isIn(manager, 'online'));
    await manager.until('the temperature', reads(manager, 'temperature', '-5.5'));
    await manager.until('the counter', reads(manager, 'counter', '4000000000'));
    await manager.until('the setpoint', reads(manager, 'setpoint', '21.5'));
    await manager.until('the switch', reads(manager, 'switch', 'true'));
  });

  test('a desired value is written, read back and told', async ({ line, slaves, manager, mapper }) => {
    const { memory } = slaves.slave(1);
    const { device, model } = plcOn(line);
    mapper.applyDevice(device, model);
    await manager.until('online', isIn(manager, 'online'));
    mapper.applyDevice(withDesired(device, { switch: 'true', setpoint: '30.25' }), model);
    for (const desired of ['true', '30.25']) {
      await manager.until(`${desired} is told`, () => manager.writes.some((w) => w.desired === desired));
    }
    assert.equal(
      manager.writes.filter((w) => w.fault),
      [],
    );
    assert.is(memory.coils[0], 1);
    assert.is(memory.holding.readFloatBE(0), 30.25);
    await manager.until('the setpoint reads back', reads(manager, 'setpoint', '30.25'));
    await manager.until('the switch reads back', reads(manager, 'switch', 'true'));
  });

  test('a bit of a register is written without touching its neighbours', async ({
    line,
    slaves,
    manager,
    mapper,
  }) => {
    const { memory } = slaves.slave(1);
    memory.holding.writeUInt16BE(0b1010, 4);
    const { device, model } = plcOn(line);
    const asBit = withProperties(device, (property) =>
      property.name === 'switch'
        ? { ...property, visitors: { configData: { register: 'holding', address: 2, type: 'bool', bit: 2 } } }
        : property,
    );
    mapper.applyDevice(withDesired(asBit, { switch: 'true' }), model);
    await manager.until('it is told', () => manager.writes.some((w) => w.desired === 'true'));
    assert.is(memory.holding.readUInt16BE(4), 0b1110);
  });

  test('a wrong checksum makes the device offline with the reason, and it recovers', async ({
    line,
    slaves,
    manager,
    mapper,
  }) => {
    const slave = slaves.slave(1);
    const { device, model } = plcOn(line);
    mapper.applyDevice(device, model);
    await manager.until('online', isIn(manager, 'online'));
    slave.fault = 'crc';
    await manager.until('offline', isIn(manager, 'offline'));
    assert.is(reasonOf(manager), `${line.master}: CRC error`);
    slave.memory.coils[0] = 1;
    slave.fault = 'none';
    await manager.until('online again', isIn(manager, 'online'));
    await manager.until('the switch', reads(manager, 'switch', 'true'));
  });

  test('silence makes the device offline with the reason, and it recovers', async ({
    line,
    slaves,
    manager,
    mapper,
  }) => {
    const slave = slaves.slave(1);
    const { device, model } = plcOn(line);
    mapper.applyDevice(device, model);
    await manager.until('online', isIn(manager, 'online'));
    slave.fault = 'silent';
    await manager.until('offline', isIn(manager, 'offline'));
    assert.is(reasonOf(manager), `${line.master}: no answer in time`);
    // Long enough that the line counts as stale and is opened anew, which must not shut it for good.
    const asked = slave.requests;
    await until('it was tried twice more', () => slave.requests >= asked + 2, 10_000);
    slave.fault = 'none';
    await manager.until('online again', isIn(manager, 'online'));
  });

  test('an exception is named, and the device is not offline for it', async ({
    line,
    slaves,
    manager,
    mapper,
  }) => {
    const { device, model } = plcOn(line);
    mapper.applyDevice(device, model);
    await manager.until('online', isIn(manager, 'online'));
    slaves.slave(1).fault = 'exception';
    await manager.until('unhealthy', isIn(manager, 'unhealthy'));
    assert.match(reasonOf(manager), /exception 4, server device failure/);
    slaves.slave(1).fault = 'none';
    await manager.until('online again', isIn(manager, 'online'));
  });

  test('a late answer is not taken for the answer to the next request', async ({
    line,
    slaves,
    manager,
    mapper,
  }) => {
    const slave = slaves.slave(1);
    slave.memory.input.writeInt16BE(111, 0);
    slave.memory.input.writeInt16BE(222, 200);
    const { device, model } = plcOn(line, 1, 'plc', { retries: 0 });
    // Two requests of one form, in cycles of their own so that one waits while the other is under way.
    const [temperature, counter] = device.spec.properties ?? [];
    assert.ok(temperature && counter);
    const input = (address: number) => ({ configData: { register: 'input', address, type: 'int16' } });
    const two = [
      { ...temperature, collectCycle: 50, visitors: input(0) },
      { ...counter, collectCycle: 60, visitors: input(100) },
    ];
    mapper.applyDevice({ ...device, spec: { ...device.spec, properties: two } }, model);
    await manager.until('the first', reads(manager, 'temperature', '111'));
    await manager.until('the second', reads(manager, 'counter', '222'));
    for (let round = 1; round <= 3; round++) {
      slave.nextDelay = TIMEOUT + 100;
      await manager.until('offline', isIn(manager, 'offline'));
      await manager.until('online again', isIn(manager, 'online'));
      slave.memory.input.writeInt16BE(111 + round, 0);
      slave.memory.input.writeInt16BE(222 + round, 200);
      await manager.until('the first', reads(manager, 'temperature', String(111 + round)));
      await manager.until('the second', reads(manager, 'counter', String(222 + round)));
    }
    const seen = new Set(manager.history.map(({ property, value }) => `${property} ${value}`));
    const own = [0, 1, 2, 3].flatMap((round) => [`temperature ${111 + round}`, `counter ${222 + round}`]);
    assert.equal([...seen].sort(), own.sort());
  });

  test('two slaves share the line, and a dead one does not stop the other', async ({
    line,
    slaves,
    manager,
    mapper,
  }) => {
    slaves.slave(2).fault = 'silent';
    for (const [name, unit] of [
      ['plc', 1],
      ['dead', 2],
    ] as const) {
      const { device, model } = plcOn(line, unit, name);
      mapper.applyDevice(device, model);
    }
    await manager.until('the dead one is offline', isIn(manager, 'offline', 'dead'));
    await manager.until('the live one is online', isIn(manager, 'online'));
    slaves.slave(1).memory.coils[0] = 1;
    const took = await manager.until('it still reports', reads(manager, 'switch', 'true'));
    assert.ok(took < 2000, `${took} ms`);
    slaves.slave(2).memory.input.writeInt16BE(99, 0);
    slaves.slave(2).fault = 'none';
    await manager.until('the dead one lives', isIn(manager, 'online', 'dead'));
    await manager.until('each has values of its own', reads(manager, 'temperature', '9.9', 'dead'));
    assert.is.not(manager.values.get('default/plc/temperature'), '9.9');
  });

  test('a line that vanishes makes its devices offline, and they recover by themselves when it is back', async ({
    line,
    slaves,
    manager,
    mapper,
  }) => {
    for (const [name, unit] of [
      ['plc', 1],
      ['second', 2],
    ] as const) {
      const { device, model } = plcOn(line, unit, name);
      mapper.applyDevice(device, model);
      await manager.until(`${name} is online`, isIn(manager, 'online', name));
    }
    await slaves.close();
    await line.cut();
    for (const name of ['plc', 'second']) {
      await manager.until(`${name} is offline`, isIn(manager, 'offline', name));
      await manager.until(`${name} has the reason`, () => /No such file/.test(reasonOf(manager, name)));
      assert.match(reasonOf(manager, name), new RegExp(`^${line.master}: `));
    }
    await line.connect();
    await slaves.open(line.slaves, BAUD);
    slaves.slave(1).memory.coils[0] = 1;
    for (const name of ['plc', 'second']) {
      await manager.until(`${name} is online again`, isIn(manager, 'online', name));
    }
    await manager.until('the switch', reads(manager, 'switch', 'true'));
  });

  test('a line without its adapter is named, and the device comes when it is plugged in', async ({
    line,
    slaves,
    manager,
    mapper,
  }) => {
    await slaves.close();
    await line.cut();
    const { device, model } = plcOn(line);
    mapper.applyDevice(device, model);
    await manager.until('offline', isIn(manager, 'offline'));
    assert.match(reasonOf(manager), new RegExp(`^${line.master}: .*No such file`));
    await line.connect();
    await slaves.open(line.slaves, BAUD);
    await manager.until('online', isIn(manager, 'online'));
  });

  test('a device that is removed frees the line for another program', async ({
    line,
    slaves,
    manager,
    mapper,
  }) => {
    const { device, model } = plcOn(line);
    mapper.applyDevice(device, model);
    await manager.until('online', isIn(manager, 'online'));
    mapper.removeDevice('default/plc' as DeviceId);
    const other = new RtuSlaves([9]);
    await until('another program may open it', () => other.open(line.master, BAUD).then(() => true), 5000);
    await other.close();
    mapper.applyDevice(device, model);
    const { requests } = slaves.slave(1);
    await manager.until('online again', isIn(manager, 'online'));
    await until('it is polled', () => slaves.slave(1).requests > requests, 5000);
  });
}

if (hasSocat && hasMbpoll) {
  test('mbpoll, a foreign master, reads and writes the simulated slaves', async ({ line, slaves }) => {
    const mbpoll = async (unit: number, ...args: string[]): Promise<string> => {
      const common = ['-m', 'rtu', '-b', String(BAUD), '-P', 'none', '-a', String(unit), '-0', '-1'];
      return (await run('mbpoll', [...common, ...args], { timeout: 10_000 })).stdout;
    };
    const [first, second] = [slaves.slave(1).memory, slaves.slave(2).memory];
    first.input.writeInt16BE(-123, 0);
    second.input.writeInt16BE(77, 0);
    assert.match(await mbpoll(1, '-t', '3', '-r', '0', line.master), /\[0\]:\s+65413 \(-123\)/);
    assert.match(await mbpoll(2, '-t', '3', '-r', '0', line.master), /\[0\]:\s+77/);
    await mbpoll(1, '-t', '0', '-r', '0', line.master, '1');
    assert.equal([first.coils[0], second.coils[0]], [1, 0]);
    await mbpoll(2, '-t', '4:float', '-B', '-r', '0', line.master, '42.5');
    assert.equal([first.holding.readFloatBE(0), second.holding.readFloatBE(0)], [21.5, 42.5]);
    const refused = (work: Promise<string>): Promise<string> => work.then(() => 'answered', String);
    assert.match(await refused(mbpoll(1, '-t', '3', '-r', '256', line.master)), /Illegal data address/);
    assert.match(await refused(mbpoll(9, '-t', '3', '-r', '0', '-o', '0.2', line.master)), /timed out/);
  });
}

test.run();
