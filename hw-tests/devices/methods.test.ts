import { execFile } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConsoleSnapshot } from '../../runtime/console/snapshot.ts';
import { kubectlPrograms } from '../kubectl.ts';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { plcObjects, twinPath } from '../kubernetes/device-objects.ts';
import { Plc } from '../plc/plc.ts';
import { Program, until } from '../program.ts';

type Context = { cluster: Cluster; plc: Plc; port: number };
const test = suite<Context>('methods of devices');
const [kubectlProgram] = kubectlPrograms();

/** The PLC with a setpoint, and methods on what can be written and what cannot. */
function withMethods(node: string, port: number) {
  const { model, device } = plcObjects({ node, port });
  const limits = { accessMode: 'ReadWrite', minimum: '5', maximum: '80' };
  model.spec.properties.push({ name: 'setpoint', type: 'FLOAT', ...limits });
  const visitors = {
    protocolName: 'modbus',
    configData: { register: 'holding', address: 0, type: 'float32' },
  };
  const setpoint = { name: 'setpoint', reportToCloud: true, collectCycle: 200, visitors };
  const methods = [
    { name: 'power', description: 'switches it on and off', propertyNames: ['switch'] },
    { name: 'tune', description: '', propertyNames: ['setpoint', 'temperature', 'ghost'] },
  ];
  const spec = { ...device.spec, properties: [...device.spec.properties, setpoint], methods };
  return { model, device: { ...device, spec } };
}

test.before(async (context) => {
  context.plc = new Plc({ moves: false });
  if (!kubectlProgram) return;
  context.port = await context.plc.start('127.0.0.1', 0);
  context.cluster = await startCluster(kubectlProgram, {
    modules: { console: { writes: true }, deviceApi: { enable: true } },
  });
  const { model, device } = withMethods(context.cluster.node, context.port);
  await context.cluster.kubectl.apply(model, device);
  await until('the PLC is online', async () => (await reported(context, 'setpoint')) !== '');
});

test.after(async ({ cluster, plc }) => {
  await cluster?.close();
  await plc.stop();
});

const reported = ({ cluster }: Context, property: string): Promise<string> =>
  cluster.kubectl.value(['devicestatus', 'plc'], twinPath(property));

/** GET on the port that KubeEdge's mappers have. */
async function get({ cluster }: Context, path: string, headers: Record<string, string> = {}) {
  const url = `http://127.0.0.1:${cluster.stack.options.ports.devices}/api/v1${path}`;
  const response = await fetch(url, { headers: { 'User-Agent': 'Go-http-client/1.1', ...headers } });
  return { status: response.status, headers: response.headers, body: await response.text() };
}

async function post({ cluster }: Context, path: string, value: string, headers: Record<string, string> = {}) {
  const url = `http://127.0.0.1:${cluster.stack.options.ports.console}/api/devices/${cluster.namespace}/plc/${path}`;
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ value }),
  });
  return { status: response.status, body: await response.text() };
}

/** `edgecore device …`, as an operator runs it. */
function cli({ cluster }: Context, ...args: string[]): Promise<{ code: number; said: string }> {
  const all = ['device', ...args, '--config', cluster.stack.edgeConfigFile];
  return new Promise((resolve) => {
    execFile('dist/edgecore/edgecore', all, { timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, said: stdout + stderr }),
    );
  });
}

if (kubectlProgram) {
  test("KubeEdge's paths read, list methods and write", async (context) => {
    const { cluster, plc } = context;
    const id = `${cluster.namespace}/plc`;
    assert.match(
      (await get(context, '/ping')).body,
      /"Message":"This is v1 API, the server is running normally."/,
    );
    const read = await get(context, `/device/${id}/setpoint`, { 'X-Correlation-ID': 'abc' });
    assert.equal([read.status, read.headers.get('x-correlation-id')], [200, 'abc']);
    const { Data, ...base } = JSON.parse(read.body);
    assert.equal([Data.DeviceName, Data.Namespace, Data.Type], ['plc', cluster.namespace, 'float']);
    assert.equal([base.apiVersion, base.statusCode], ['v1', 200]);
    const ghost = await get(context, `/devicemethod/${id}`);
    assert.equal([ghost.status, /property ghost defined in device method/.test(ghost.body)], [500, true]);
    const written = await get(context, `/devicemethod/${id}/power/switch/true`);
    assert.equal(
      [written.status, JSON.parse(written.body).Message],
      [200, `Write data true to device ${id} successfully.`],
    );
    assert.is(plc.memory.coils[0], 1);
    // A command is not a wish: the same again is written again, though somebody changed it on the device.
    plc.memory.coils[0] = 0;
    await get(context, `/devicemethod/${id}/power/switch/true`);
    assert.is(plc.memory.coils[0], 1);
    assert.match(
      (await get(context, `/meta/model/${id}`)).body,
      /"dataType":"FLOAT","accessMode":"ReadWrite"/,
    );
  });

  test('a call that breaks a rule is answered with the property and the rule, and changes nothing', async (context) => {
    const before = context.plc.memory.holding.readFloatBE(0);
    for (const [call, why] of [
      ['tune/setpoint/99', /property setpoint: "99": above the maximum 80/],
      ['tune/setpoint/warm', /property setpoint: "warm": want a number/],
      ['tune/temperature/20', /property temperature: "20": the property is ReadOnly/],
      ['tune/ghost/1', /can't find device propertyName ghost in device instance/],
      ['tune/switch/1', /deviceProperty switch to be written is not in the list/],
      ['melt/setpoint/1', /deviceMethod name melt does not exist in device instance/],
    ] as const) {
      const { status, body } = await get(context, `/devicemethod/${context.cluster.namespace}/plc/${call}`);
      assert.is(status, 500, call);
      assert.match(body, why);
    }
    assert.is(context.plc.memory.holding.readFloatBE(0), before);
  });

  test('a page of another site cannot have a browser write', async (context) => {
    const path = `/devicemethod/${context.cluster.namespace}/plc/tune/setpoint/33`;
    const browser = { 'User-Agent': 'Mozilla/5.0', 'Sec-Fetch-Site': 'cross-site' };
    // fetch() of Node sets Sec-Fetch-Mode only, so what a browser says is said as it is.
    assert.is((await get(context, path, browser)).status, 403);
    assert.is(
      (await post(context, 'properties/setpoint', '33', { Origin: 'http://evil.example' })).status,
      403,
    );
    assert.is(
      (await post(context, 'properties/setpoint', '33', { 'Content-Type': 'text/plain' })).status,
      403,
    );
    assert.is.not(context.plc.memory.holding.readFloatBE(0), 33);
  });

  test('the console sets and calls, and shows what there is', async (context) => {
    const { ports } = context.cluster.stack.options;
    const own = { Origin: `http://127.0.0.1:${ports.console}` };
    assert.equal(await post(context, 'properties/setpoint', '21.5', own), {
      status: 200,
      body: '{"outcome":"done","reason":""}',
    });
    assert.is(context.plc.memory.holding.readFloatBE(0), 21.5);
    assert.is((await post(context, 'methods/power/switch', 'false', own)).status, 200);
    assert.is(context.plc.memory.coils[0], 0);
    const tooHot = await post(context, 'properties/setpoint', '81', own);
    assert.equal([tooHot.status, /setpoint: above the maximum 80/.test(tooHot.body)], [422, true]);
    const response = await fetch(`http://127.0.0.1:${ports.console}/api/state`);
    const state = (await response.json()) as ConsoleSnapshot;
    const [shown] = state.devices;
    assert.equal(shown?.methods[0], {
      name: 'power',
      description: 'switches it on and off',
      properties: ['switch'],
    });
    assert.is(state.writes, true);
    await until('the cluster sees what is wanted here', async () => {
      const path = twinPath('setpoint', 'observedDesired');
      return (await context.cluster.kubectl.value(['devicestatus', 'plc'], path)) === '21.5';
    });
  });

  test('edgecore device lists, gets, sets, calls and watches', async (context) => {
    const { cluster, plc } = context;
    const id = `${cluster.namespace}/plc`;
    assert.is(statSync(join(cluster.stack.options.dir, 'edgecore', 'edgecore.sock')).mode & 0o777, 0o600);
    assert.match((await cli(context, 'list')).said, new RegExp(`${id} +online +modbus +plc-model +4`));
    const { said } = await cli(context, 'get', id);
    assert.match(said, /setpoint +21\.5 +21\.5 +FLOAT +5\.\.80/);
    assert.match(said, /power +switch +switches it on and off/);
    assert.is(JSON.parse((await cli(context, 'get', id, '--output', 'json')).said).id, id);
    const log = join(cluster.stack.options.dir, 'log', 'watch.log');
    const watcher = new Program({
      name: 'watch',
      command: 'dist/edgecore/edgecore',
      args: ['device', 'watch', id, '--config', cluster.stack.edgeConfigFile],
      log,
      isReady: (line) => line.includes('setpoint 21.5'),
    });
    try {
      await watcher.ready();
      assert.equal(await cli(context, 'set', id, 'setpoint=30', 'switch=true'), {
        code: 0,
        said: `${id}: setpoint=30 is done\n${id}: switch=true is done\n`,
      });
      assert.is(plc.memory.coils[0], 1);
      assert.is((await cli(context, 'call', id, 'power', 'switch=0')).code, 0);
      assert.is(plc.memory.coils[0], 0);
      await until('watch tells of it', () => readFileSync(log, 'utf8').includes(`${id} setpoint 30`));
    } finally {
      await watcher.stop();
    }
    const refused = await cli(context, 'call', id, 'tune', 'setpoint=900');
    assert.equal(
      [refused.code, /setpoint=900 is refused: .*above the maximum 80/.test(refused.said)],
      [1, true],
    );
    assert.equal((await cli(context, 'get', 'nobody')).code, 1);
    assert.match((await cli(context, 'get', 'nobody')).said, /default\/nobody on node/);
    assert.is((await cli(context, 'set', id, 'setpoint')).code, 2);
  });

  test('a device that is away: a call is refused at once, a value is kept and brought when it is back', async (context) => {
    const { plc, port, cluster } = context;
    const id = `${cluster.namespace}/plc`;
    await plc.stop();
    await until('it is noticed', async () => (await cli(context, 'get', id)).said.includes('is offline'));
    const called = await get(context, `/devicemethod/${id}/power/switch/true`);
    assert.equal([called.status, /property switch: it is offline: /.test(called.body)], [500, true]);
    assert.match(
      (await get(context, `/device/${id}/switch`)).body,
      /get device data failed: the device is offline/,
    );
    const kept = await cli(context, 'set', id, 'setpoint=44');
    assert.equal([kept.code, /setpoint=44 is kept: the device is offline/.test(kept.said)], [0, true]);
    const coil = plc.memory.coils[0];
    await plc.start('127.0.0.1', port);
    await until('it is brought', () => plc.memory.holding.readFloatBE(0) === 44);
    assert.is(plc.memory.coils[0], coil, 'the call is not made later');
  });

  test('what was set here outlives a restart, and gives way to what the cluster wants next', async (context) => {
    const { cluster, plc } = context;
    const id = `${cluster.namespace}/plc`;
    await cluster.stack.program('edgecore').kill();
    await cluster.stack.startEdge();
    await until('it is up', async () => (await cli(context, 'get', id)).said.includes('is online'));
    assert.match((await cli(context, 'get', id)).said, /setpoint +44 +44/);
    const patch = [{ op: 'add', path: '/spec/properties/3/desired', value: { value: '12' } }];
    await cluster.kubectl.run(['patch', 'device', 'plc', '--type', 'json', '-p', JSON.stringify(patch)]);
    await until('the cluster has its way', () => plc.memory.holding.readFloatBE(0) === 12);
  });
}

test.run();
