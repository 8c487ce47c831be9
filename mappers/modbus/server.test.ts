import { connect } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { silentLogger } from '../../runtime/core/log.ts';
import { Metrics } from '../../runtime/core/metrics.ts';
import { millis } from '../../runtime/core/units.ts';
import { WireError } from '../kit/wire-error.ts';
import { type ModbusConnection, openModbus } from './connection.ts';
import { ModbusServer } from './server.ts';
import { modbusServerConfig } from './server-config.ts';

const registers = [
  {
    device: 'default/plc',
    property: 'temperature',
    register: 'input',
    address: 0,
    type: 'int16',
    scale: 0.1,
  },
  { device: 'default/plc', property: 'setpoint', register: 'holding', address: 10, writable: true },
  { device: 'default/plc', property: 'limit', register: 'holding', address: 14, type: 'uint16' },
  { device: 'default/plc', property: 'switch', register: 'coil', address: 0, writable: true },
  { device: 'default/plc', property: 'name', register: 'holding', address: 20, type: 'string', length: 3 },
];

type Context = {
  server: ModbusServer;
  connection: ModbusConnection;
  values: Map<string, string>;
  state: { online: boolean; refusal: string | undefined; disk: Promise<void> };
  desired: string[];
};
const test = suite<Context>('the Modbus server');
const slave = { unit: 1, timeout: millis(1000), delay: millis(0) };

const connectTo = (port: number): Promise<ModbusConnection> =>
  openModbus({ wire: { kind: 'tcp', host: '127.0.0.1', port }, framing: 'mbap' });

test.before.each(async (context) => {
  const values = new Map([
    ['temperature', '21.5'],
    ['setpoint', '40.25'],
    ['limit', '7'],
    ['switch', 'true'],
    ['name', 'Hall'],
  ]);
  const state: Context['state'] = { online: true, refusal: undefined, disk: Promise.resolve() };
  const desired: string[] = [];
  const server = new ModbusServer({
    config: v.parse(modbusServerConfig, {
      enable: true,
      address: '127.0.0.1:0',
      maxConnections: 2,
      registers,
    }),
    twins: {
      reported: (device, property) => {
        const value = device === 'default/plc' ? values.get(property) : undefined;
        return value === undefined ? undefined : { value, isOnline: state.online };
      },
      desire: (device, property, value) => {
        if (state.refusal !== undefined) return state.refusal;
        desired.push(`${device}/${property}=${value}`);
        return state.disk;
      },
    },
    log: silentLogger,
    metrics: new Metrics(),
    version: '1.2.3',
  });
  await server.start();
  Object.assign(context, { server, values, state, desired, connection: await connectTo(server.port) });
});
test.after.each(async ({ server, connection }) => {
  await connection.close();
  await server.stop();
});

/** @returns the exception's code, 0 when it was none */
const codeOf = (request: Promise<unknown>): Promise<number> =>
  request.then(
    () => 0,
    (error: unknown) => (error instanceof WireError ? error.code || -1 : -1),
  );

test('twins are read as registers, each in its form; places between them are 0', async ({ connection }) => {
  const input = await connection.read(slave, { area: 'input', address: 0, count: 1 });
  assert.is(input.readInt16BE(), 215);
  const holding = await connection.read(slave, { area: 'holding', address: 8, count: 15 });
  assert.is(holding.readFloatBE(4), 40.25);
  assert.is(holding.readUInt16BE(12), 7);
  assert.is(holding.toString('latin1', 24, 30), 'Hall\0\0');
  assert.is(holding.readUInt32BE(0), 0);
  const coils = await connection.read(slave, { area: 'coil', address: 0, count: 8 });
  assert.equal([...coils], [1, 0, 0, 0, 0, 0, 0, 0]);
});

test('a part of a value may be read', async ({ connection }) => {
  const high = await connection.read(slave, { area: 'holding', address: 10, count: 1 });
  const low = await connection.read(slave, { area: 'holding', address: 11, count: 1 });
  assert.is(Buffer.concat([high, low]).readFloatBE(), 40.25);
});

test('what is not offered is an illegal address, another unit a path that is not available', async ({
  connection,
}) => {
  assert.is(await codeOf(connection.read(slave, { area: 'holding', address: 100, count: 2 })), 2);
  const error = await connection
    .read({ ...slave, unit: 2 }, { area: 'holding', address: 10, count: 2 })
    .catch(String);
  assert.match(String(error), 'exception 10');
});

test('a device that is away, or a value that is not there, is never made up', async ({
  connection,
  state,
  values,
}) => {
  state.online = false;
  assert.is(await codeOf(connection.read(slave, { area: 'holding', address: 10, count: 2 })), 4);
  state.online = true;
  values.delete('setpoint');
  assert.is(await codeOf(connection.read(slave, { area: 'holding', address: 10, count: 2 })), 4);
  values.set('limit', '70000');
  assert.is(await codeOf(connection.read(slave, { area: 'holding', address: 14, count: 1 })), 4);
});

test('what a master writes becomes the desired value, with every function that writes', async ({
  connection,
  desired,
}) => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(33.5);
  await connection.write(slave, { kind: 'registers', address: 10, bytes });
  await connection.write(slave, { kind: 'readWrite', address: 10, bytes });
  await connection.write(slave, { kind: 'coil', address: 0, on: false });
  await connection.write(slave, { kind: 'coils', address: 0, on: true });
  assert.equal(desired, [
    'default/plc/setpoint=33.5',
    'default/plc/setpoint=33.5',
    'default/plc/switch=false',
    'default/plc/switch=true',
  ]);
});

test('a write is acknowledged when it is on disk, and refused when it cannot be kept', async ({
  server,
  connection,
  state,
  desired,
}) => {
  let keep = (): void => {};
  state.disk = new Promise((resolve) => {
    keep = resolve;
  });
  let isAnswered = false;
  const write = connection.write(slave, { kind: 'coil', address: 0, on: true }).then(() => {
    isAnswered = true;
  });
  // Questions of another master tell when the write is there, and that an answer to it had the time to come.
  const other = await connectTo(server.port);
  for (let n = 0; desired.length === 0 && n < 1000; n++)
    await other.read(slave, { area: 'coil', address: 0, count: 1 });
  assert.is(desired.length, 1);
  await other.read(slave, { area: 'coil', address: 0, count: 1 });
  await other.close();
  assert.is(isAnswered, false);
  keep();
  await write;
  state.disk = Promise.reject(new Error('disk full'));
  state.disk.catch(() => {});
  assert.is(await codeOf(connection.write(slave, { kind: 'coil', address: 0, on: true })), 4);
});

test('half a value, a value that is only read, and one that the model forbids are refused', async ({
  connection,
  desired,
  state,
}) => {
  const half = connection.write(slave, { kind: 'register', address: 10, bytes: Buffer.alloc(2) });
  assert.is(await codeOf(half), 2);
  const readOnly = connection.write(slave, { kind: 'register', address: 14, bytes: Buffer.alloc(2) });
  assert.is(await codeOf(readOnly), 2);
  state.refusal = 'above the maximum 80';
  const forbidden = connection.write(slave, { kind: 'registers', address: 10, bytes: Buffer.alloc(4) });
  assert.is(await codeOf(forbidden), 3);
  assert.equal(desired, []);
});

test('a master may ask who answers', async ({ connection }) => {
  assert.equal(
    [...(await connection.identify(slave, 1))],
    [
      [0, 'edgecore'],
      [1, 'edgecore'],
      [2, '1.2.3'],
    ],
  );
});

test('what is no Modbus, and a connection too many, are closed; the others go on', async ({
  server,
  connection,
}) => {
  const closed = (port: number, send?: Buffer): Promise<true> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => send && socket.write(send));
      socket.on('error', () => {});
      socket.on('close', () => resolve(true));
    });
  assert.ok(await closed(server.port, Buffer.from('GET / HTTP/1.1\r\n\r\n')));
  const second = await connectTo(server.port);
  assert.is((await second.read(slave, { area: 'coil', address: 0, count: 1 }))[0], 1);
  assert.ok(await closed(server.port));
  assert.is((await connection.read(slave, { area: 'coil', address: 0, count: 1 }))[0], 1);
  await second.close();
});

const wrong: [string, object, string, string][] = [
  [
    'overlaps',
    { registers: [registers[1], { ...registers[2], address: 11 }] },
    'registers.1.address',
    'overlaps registers.0',
  ],
  [
    'a string without length',
    { registers: [{ ...registers[4], length: undefined }] },
    'registers.0.length',
    'want the number of registers of a string',
  ],
  [
    'an input that is written',
    { registers: [{ ...registers[0], writable: true }] },
    'registers.0.writable',
    'want false, as no master can write a input',
  ],
  [
    'the end',
    { registers: [{ ...registers[1], address: 65_535 }] },
    'registers.0.address',
    'ends beyond 65535',
  ],
  [
    'a device without namespace',
    { registers: [{ ...registers[1], device: 'plc' }] },
    'registers.0.device',
    'want NAMESPACE/NAME',
  ],
];
for (const [what, config, path, message] of wrong) {
  test(`its configuration: ${what} is named with its path`, () => {
    const parsed = v.safeParse(modbusServerConfig, config);
    const [issue] = parsed.issues ?? [];
    assert.equal([issue?.path?.map(({ key }) => key).join('.'), issue?.message], [path, message]);
  });
}

test.run();
