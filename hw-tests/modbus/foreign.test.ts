import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import type { SerialSettings } from '../../mappers/modbus/config-endpoint.ts';
import { type ModbusConnection, openModbus } from '../../mappers/modbus/connection.ts';
import { ModbusServer } from '../../mappers/modbus/server.ts';
import { modbusServerConfig } from '../../mappers/modbus/server-config.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { Metrics } from '../../runtime/core/metrics.ts';
import { millis } from '../../runtime/core/units.ts';
import { requireCondition, requireProgram } from '../real-parts.ts';
import { Line } from '../serial/line.ts';
import { freePorts } from '../stack.ts';
import { Foreign } from './foreign.ts';

const run = promisify(execFile);
const BAUD = 19_200;
const test = suite<{ foreign: Foreign }>('modbus with foreign parties');
const hasSocat = requireProgram('socat', 'socat') !== undefined;
const hasMbpoll = requireProgram('mbpoll', 'mbpoll') !== undefined;
const hasLibmodbus =
  requireProgram('gcc', 'gcc') !== undefined &&
  requireCondition(
    existsSync('/usr/include/modbus/modbus.h'),
    'libmodbus is not installed (apt-get install libmodbus-dev)',
  );

test.before((context) => {
  if (hasLibmodbus) context.foreign = new Foreign();
});
test.after(async ({ foreign }) => {
  await foreign?.remove();
});

const slave = { unit: 1, timeout: millis(500), delay: millis(0) };
const words = (bytes: Buffer): number[] =>
  Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16BE(i * 2));
const register = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
};

/** Uses every function that libmodbus knows. */
async function useAll(connection: ModbusConnection): Promise<void> {
  const read = (
    area: 'coil' | 'discrete' | 'holding' | 'input',
    address: number,
    count: number,
  ): Promise<Buffer> => connection.read(slave, { area, address, count });
  assert.equal([...(await read('coil', 0, 11))], [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]);
  assert.equal([...(await read('discrete', 3, 4))], [1, 0, 0, 1]);
  assert.equal(
    words(await read('holding', 5, 125)),
    Array.from({ length: 125 }, (_, i) => 1005 + i),
  );
  assert.equal(words(await read('input', 0, 2)), [2000, 2001]);
  await connection.write(slave, { kind: 'coil', address: 0, on: true });
  await connection.write(slave, { kind: 'coils', address: 1, on: false });
  assert.equal([...(await read('coil', 0, 3))], [1, 0, 0]);
  await connection.write(slave, { kind: 'register', address: 0, bytes: register(7) });
  await connection.write(slave, {
    kind: 'registers',
    address: 1,
    bytes: Buffer.concat([register(8), register(9)]),
  });
  assert.equal(words(await read('holding', 0, 4)), [7, 8, 9, 1003]);
  await connection.write(slave, { kind: 'mask', address: 0, and: 0xfff0, or: 0x000a });
  await connection.write(slave, { kind: 'readWrite', address: 1, bytes: register(77) });
  assert.equal(words(await read('holding', 0, 3)), [10, 77, 9]);
  const beyond = await read('holding', 199, 2).then(() => 'answered', String);
  assert.match(beyond, 'exception 2, illegal data address');
}

if (hasLibmodbus) {
  test('our master and a libmodbus slave over TCP: every function', async ({ foreign }) => {
    const { plc: port } = await freePorts();
    const server = await foreign.serve('tcp', String(port));
    const connection = await openModbus({ wire: { kind: 'tcp', host: '127.0.0.1', port }, framing: 'mbap' });
    await useAll(connection).finally(() => connection.close());
    await server.kill();
  });

  test('a libmodbus master and our server: every function', async ({ foreign }) => {
    const { server, desired } = await startServer();
    const master = foreign.ask(server.port);
    assert.is(await master.ended, 'status 0');
    await server.stop();
    const lines = readFileSync(foreign.askLog, 'utf8').trim().split('\n');
    assert.equal(lines, [
      '6',
      '16',
      '22',
      '3 5 8',
      '23 21 22',
      '4 2000 2001',
      '5',
      '15',
      '1 1 0',
      '2 1 0',
      'beyond refused: Illegal data address',
      '43 edgecore',
    ]);
    assert.equal(desired, ['h0=500', 'h0=7', 'h1=8', 'h0=5', 'h0=21', 'h1=22', 'c0=false', 'c0=true']);
  });
}

if (hasLibmodbus && hasSocat) {
  test('our master and a libmodbus slave over a serial line: every function', async ({ foreign }) => {
    const line = new Line();
    await line.connect();
    const server = await foreign.serve('rtu', line.slaves, String(BAUD), '1');
    const wire: SerialSettings = {
      kind: 'serial',
      path: line.master,
      baudRate: BAUD,
      dataBits: 8,
      parity: 'none',
      stopBits: 1,
      rts: 'none',
    };
    const connection = await openModbus({ wire, framing: 'rtu' });
    await useAll(connection).finally(async () => {
      await connection.close();
      await server.kill();
      await line.remove();
    });
  });
}

if (hasMbpoll) {
  test('mbpoll, a foreign master, reads and writes our server', async () => {
    const { server, desired } = await startServer();
    const mbpoll = async (...args: string[]): Promise<string> => {
      const common = ['-m', 'tcp', '-p', String(server.port), '-a', '1', '-0', '-1'];
      return (await run('mbpoll', [...common, ...args], { timeout: 10_000 })).stdout;
    };
    assert.match(await mbpoll('-t', '3', '-r', '0', '-c', '2', '127.0.0.1'), /\[0\]:\s+2000\s+\[1\]:\s+2001/);
    await mbpoll('-t', '4', '-r', '0', '127.0.0.1', '77');
    assert.match(await mbpoll('-t', '4', '-r', '0', '127.0.0.1'), /\[0\]:\s+77/);
    await mbpoll('-t', '0', '-r', '0', '127.0.0.1', '1');
    const refused = await mbpoll('-t', '3', '-r', '500', '127.0.0.1').then(() => 'answered', String);
    assert.match(refused, 'Illegal data address');
    assert.equal(desired, ['h0=77', 'c0=true']);
    await server.stop();
  });
}

/** Our server with twins that take what is desired at once. */
async function startServer(): Promise<{ server: ModbusServer; desired: string[] }> {
  const values = new Map([
    ['h0', '1'],
    ['h1', '2'],
    ['i0', '2000'],
    ['i1', '2001'],
    ['c0', 'true'],
    ['d0', 'true'],
  ]);
  const desired: string[] = [];
  const areas = { h: 'holding', i: 'input', c: 'coil', d: 'discrete' } as const;
  const registers = [...values.keys()].map((property) => {
    const kind = property[0] as keyof typeof areas;
    const writable = kind === 'h' || kind === 'c';
    const address = Number(property.slice(1));
    return { device: 'default/plc', property, register: areas[kind], address, type: 'uint16', writable };
  });
  const server = new ModbusServer({
    config: v.parse(modbusServerConfig, { enable: true, address: '127.0.0.1:0', registers }),
    twins: {
      reported: (_, property) => {
        const value = values.get(property);
        return value === undefined ? undefined : { value, isOnline: true };
      },
      desire: (_, property, value) => {
        desired.push(`${property}=${value}`);
        values.set(property, value);
        return Promise.resolve();
      },
    },
    log: silentLogger,
    metrics: new Metrics(),
    version: '1.0',
  });
  await server.start();
  return { server, desired };
}

test.run();
