import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import { Plc } from '../plc/plc.ts';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { freePorts, Stack } from '../stack.ts';
import { plcObjectsAt } from './fixture.ts';

const run = promisify(execFile);
const NODE = 'edge-scada';

type Context = { dir: string; plc: Plc; stack: Stack; port: number };
const test = suite<Context>('a SCADA at the built edgecore');
const hasMbpoll = requireProgram('mbpoll', 'mbpoll') !== undefined;

test.before(async (context) => {
  if (!hasMbpoll) return;
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-scada-'));
  context.plc = new Plc({ moves: false });
  const [ports, { plc: port }] = [await freePorts(), await freePorts()];
  context.port = port;
  const at = { device: 'default/plc' };
  const registers = [
    { ...at, property: 'temperature', register: 'input', address: 0, type: 'int16', scale: 0.1 },
    { ...at, property: 'setpoint', register: 'holding', address: 10, writable: true },
    { ...at, property: 'switch', register: 'coil', address: 5, writable: true },
  ];
  context.stack = new Stack({
    dir: context.dir,
    ports,
    node: NODE,
    criEndpoint: `unix://${context.dir}/no-containerd.sock`,
    modules: { modbusServer: { enable: true, address: `127.0.0.1:${port}`, registers } },
  });
  const { stack } = context;
  const host = { host: '127.0.0.1', port: await context.plc.start('127.0.0.1', 0), timeout: 300 };
  await stack.startMaster();
  await stack.startShim();
  await stack.startEdge();
  await stack.registered();
  const { model, device } = plcObjectsAt(host, 'plc');
  const named = { name: 'plc', namespace: 'default' };
  await stack.api.create(kinds.deviceModel, { name: 'plc-model', namespace: 'default' }, model);
  await stack.api.create(kinds.device, named, { ...device, spec: { ...device.spec, nodeName: NODE } });
});
test.after(async ({ stack, plc, dir }) => {
  await stack?.stop();
  await plc?.stop();
  if (dir) rmSync(dir, { recursive: true, force: true });
});

if (hasMbpoll) {
  const mbpoll = async (port: number, ...args: string[]): Promise<string> => {
    const common = ['-m', 'tcp', '-p', String(port), '-a', '1', '-0', '-1'];
    const all = [...common, ...args.slice(0, -1), '127.0.0.1', ...args.slice(-1)].filter((arg) => arg !== '');
    return (await run('mbpoll', all, { timeout: 10_000 })).stdout;
  };

  test('it reads what the PLC has, and what it writes reaches the PLC', async ({ plc, port }) => {
    plc.memory.input.writeInt16BE(-123, 0);
    await until('the temperature', async () => /\(-123\)/.test(await mbpoll(port, '-t', '3', '-r', '0', '')));
    await mbpoll(port, '-t', '4:float', '-B', '-r', '10', '42.5');
    await until('the setpoint at the PLC', () => plc.memory.holding.readFloatBE(0) === 42.5);
    await mbpoll(port, '-t', '0', '-r', '5', '1');
    await until('the switch at the PLC', () => plc.memory.coils[0] === 1);
    const read = await until('the setpoint is read back', async () => {
      const text = await mbpoll(port, '-t', '4:float', '-B', '-r', '10', '');
      return /42\.5/.test(text) ? text : undefined;
    });
    assert.match(read, '[10]');
  });

  test('what the model forbids is refused, and what a PLC that is away had is not made up', async ({
    plc,
    port,
  }) => {
    const forbidden = await mbpoll(port, '-t', '4:float', '-B', '-r', '10', '99').then(() => 'taken', String);
    assert.match(forbidden, 'Illegal data value');
    assert.is(plc.memory.holding.readFloatBE(0), 42.5);
    plc.fault = 'silent';
    await until('no value', async () => {
      const answer = await mbpoll(port, '-t', '3', '-r', '0', '').then(() => '', String);
      return answer.includes('Slave device or server failure');
    });
  });
}

test.run();
