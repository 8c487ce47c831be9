import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { DriverMapper } from '../../mappers/kit/mapper.ts';
import type { DeviceId } from '../../runtime/core/units.ts';
import { Plc } from '../plc/plc.ts';
import { requireProgram } from '../real-parts.ts';
import { newMapper, plcObjects, RecordingManager } from './fixture.ts';

const run = promisify(execFile);

type Context = { plc: Plc; port: number; manager: RecordingManager; mapper: DriverMapper };
const test = suite<Context>('modbus over TCP');
const plcId = 'default/plc' as DeviceId;

test.before.each(async (context) => {
  context.plc = new Plc();
  context.port = await context.plc.start('127.0.0.1', 0);
  context.manager = new RecordingManager();
  context.mapper = newMapper(context.manager);
});
test.after.each(async ({ plc, mapper }) => {
  await mapper.stop();
  await plc.stop();
});

const online =
  (manager: RecordingManager, id: string = plcId) =>
  () =>
    manager.states.get(id)?.state === 'online';
const offline =
  (manager: RecordingManager, id: string = plcId) =>
  () =>
    manager.states.get(id)?.state === 'offline';

if (requireProgram('mbpoll', 'mbpoll')) {
  test('mbpoll, a foreign master, reads and writes the simulated PLC', async ({ plc, port }) => {
    const mbpoll = async (...args: string[]): Promise<string> => {
      const common = ['-m', 'tcp', '-p', String(port), '-a', '1', '-0', '-1'];
      return (await run('mbpoll', [...common, ...args], { timeout: 10_000 })).stdout;
    };
    plc.memory.input.writeInt16BE(-123, 0);
    assert.match(await mbpoll('-t', '3', '-r', '0', '127.0.0.1'), /\[0\]:\s+65413 \(-123\)/);
    await mbpoll('-t', '0', '-r', '0', '127.0.0.1', '1');
    assert.is(plc.memory.coils[0], 1);
    await mbpoll('-t', '4:float', '-B', '-r', '0', '127.0.0.1', '42.5');
    assert.is(plc.memory.holding.readFloatBE(0), 42.5);
  });
}

test('every property is read, with its scale and form', async ({ plc, port, manager, mapper }) => {
  plc.memory.input.writeInt16BE(-55, 0);
  const { device, model } = plcObjects(port);
  assert.is(mapper.applyDevice(device, model), undefined);
  await manager.until('online', online(manager));
  await manager.until('the temperature', () => manager.values.get('default/plc/temperature') === '-5.5');
  await manager.until('the setpoint', () => manager.values.get('default/plc/setpoint') === '21.5');
  await manager.until('the switch', () => manager.values.get('default/plc/switch') === 'false');
});

test('a changed register is reported within a cycle, an unchanged one is not reported again', async ({
  plc,
  port,
  manager,
  mapper,
}) => {
  const { device, model } = plcObjects(port);
  mapper.applyDevice(device, model);
  await manager.until('online', online(manager));
  plc.memory.coils[0] = 1;
  const took = await manager.until('the switch', () => manager.values.get('default/plc/switch') === 'true');
  assert.ok(took < 2000, `${took} ms`);
});

test('a desired value is written once, read back and told', async ({ plc, port, manager, mapper }) => {
  const { device, model } = plcObjects(port);
  mapper.applyDevice(device, model);
  await manager.until('online', online(manager));
  const desired: Record<string, string> = { switch: 'true', setpoint: '30.25' };
  const properties = (device.spec.properties ?? []).map((p) => {
    const value = desired[p.name];
    return value === undefined ? p : { ...p, desired: { value } };
  });
  const wanted = { ...device, spec: { ...device.spec, properties } };
  mapper.applyDevice(wanted, model);
  await manager.until('both written', () =>
    ['switch', 'setpoint'].every((p) =>
      manager.writes.some((w) => w.property === p && w.desired !== 'false'),
    ),
  );
  assert.is(plc.memory.coils[0], 1);
  assert.is(plc.memory.holding.readFloatBE(0), 30.25);
  assert.is(
    manager.writes.some((w) => w.fault),
    false,
  );
  // The device changes it itself: that is reported and not fought.
  plc.memory.coils[0] = 0;
  await manager.until('the change', () => manager.values.get('default/plc/switch') === 'false');
  mapper.applyDevice(wanted, model);
  const requests = plc.requests;
  await manager.until('two more cycles', () => plc.requests > requests + 6);
  assert.is(plc.memory.coils[0], 0);
});

test('a desired value that the model forbids is refused with the rule', async ({ port, manager, mapper }) => {
  const { device, model } = plcObjects(port);
  const properties = (device.spec.properties ?? []).map((p) =>
    p.name === 'setpoint' ? { ...p, desired: { value: '99' } } : p,
  );
  mapper.applyDevice({ ...device, spec: { ...device.spec, properties } }, model);
  assert.equal(manager.writes, [{ property: 'setpoint', desired: '99', fault: 'above the maximum 80' }]);
});

test('a PLC that is away makes the device offline with the reason; when it is back everything is read again', async ({
  plc,
  port,
  manager,
  mapper,
}) => {
  const { device, model } = plcObjects(port);
  mapper.applyDevice(device, model);
  await manager.until('online', online(manager));
  await plc.stop();
  await manager.until('offline', offline(manager));
  assert.match(manager.states.get(plcId)?.reason ?? '', new RegExp(`127.0.0.1:${port}`));
  const again = new Plc();
  await again.start('127.0.0.1', port);
  again.memory.coils[0] = 1;
  await manager.until('online again', online(manager));
  await manager.until('the switch', () => manager.values.get('default/plc/switch') === 'true');
  await again.stop();
});

test('exceptions, silence and garbage are told, and pass', async ({ plc, port, manager, mapper }) => {
  const { device, model } = plcObjects(port);
  mapper.applyDevice(device, model);
  await manager.until('online', online(manager));
  plc.fault = 'exception';
  await manager.until('unhealthy', () => manager.states.get(plcId)?.state === 'unhealthy');
  assert.match(manager.states.get(plcId)?.reason ?? '', /exception 4, server device failure/);
  for (const fault of ['silent', 'garbage'] as const) {
    plc.fault = fault;
    await manager.until(`offline: ${fault}`, offline(manager));
    plc.fault = 'none';
    await manager.until(`back after ${fault}`, online(manager));
  }
});

test('one address that the device does not have spoils only its own property', async ({
  port,
  manager,
  mapper,
}) => {
  const { device, model } = plcObjects(port);
  const beyond = { register: 'input', address: 256, type: 'uint16' };
  const properties = (device.spec.properties ?? []).map((p) =>
    p.name === 'counter'
      ? { ...p, collectCycle: 500, visitors: { configData: beyond } }
      : p.name === 'temperature'
        ? { ...p, visitors: { configData: { register: 'input', address: 250 } } }
        : p,
  );
  mapper.applyDevice({ ...device, spec: { ...device.spec, properties } }, model);
  await manager.until('unhealthy', () => manager.states.get(plcId)?.state === 'unhealthy');
  assert.match(manager.states.get(plcId)?.reason ?? '', /^counter: exception 2, illegal data address$/);
  await manager.until('the neighbour', () => manager.values.get('default/plc/temperature') === '0');
});

test('two units behind one address share the connection, and a dead one does not stop the other', async ({
  plc,
  port,
  manager,
  mapper,
}) => {
  plc.deadUnits.add(2);
  for (const [name, unit] of [
    ['plc', 1],
    ['dead', 2],
  ] as const) {
    const { device, model } = plcObjects(port, name, unit);
    mapper.applyDevice(device, model);
  }
  await manager.until('the dead one is offline', offline(manager, 'default/dead'));
  await manager.until('the live one is online', online(manager));
  plc.memory.coils[0] = 1;
  const took = await manager.until(
    'it still reports',
    () => manager.values.get('default/plc/switch') === 'true',
  );
  assert.ok(took < 2000, `${took} ms`);
  plc.deadUnits.clear();
  await manager.until('the dead one lives', online(manager, 'default/dead'));
});

test.run();
