import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kubectlPrograms } from '../kubectl.ts';
import { Plc } from '../plc/plc.ts';
import { until } from '../program.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { plcObjects, switchPatch, twinPath } from './device-objects.ts';

type Context = { cluster: Cluster; plc: Plc; port: number };
const test = suite<Context>('devices through Kubernetes');
const [kubectlProgram] = kubectlPrograms();

test.before(async (context) => {
  context.plc = new Plc({ moves: false });
  context.port = await context.plc.start('127.0.0.1', 0);
  context.cluster = await startCluster(kubectlProgram ?? '');
  const { model, device } = plcObjects({ node: context.cluster.node, port: context.port });
  await context.cluster.kubectl.apply(model, device);
  await status(context, '{.status.state}', 'online');
});

test.after(async ({ cluster, plc }) => {
  await cluster.close();
  await plc.stop();
});

/** Waits until a jsonpath of the DeviceStatus has a value. */
function status({ cluster }: Context, path: string, wanted: string | RegExp, name = 'plc'): Promise<string> {
  return until(`${path} of ${name} is ${wanted}`, async () => {
    const value = await cluster.kubectl.value(['devicestatus', name], path);
    return (typeof wanted === 'string' ? value === wanted : wanted.test(value)) ? value : undefined;
  });
}

/** Whether the node itself shows a device. */
async function onNode({ cluster }: Context, name: string): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${cluster.stack.options.ports.console}/api/state`);
  return response.ok && (await response.text()).includes(`/${name}"`);
}

if (kubectlProgram) {
  test('a register that moves is in DeviceStatus', async (context) => {
    context.plc.memory.input.writeInt16BE(-77, 0);
    await status(context, twinPath('temperature'), '-7.7');
    context.plc.memory.input.writeInt16BE(305, 0);
    await status(context, twinPath('temperature'), '30.5');
  });

  test('a desired value is written to the device and reported', async (context) => {
    const { cluster, plc } = context;
    await cluster.kubectl.run(switchPatch(true));
    await status(context, twinPath('switch'), 'true');
    assert.is(plc.memory.coils[0], 1);
    assert.is(
      await cluster.kubectl.value(['devicestatus', 'plc'], twinPath('switch', 'observedDesired')),
      'true',
    );
    await cluster.kubectl.run(switchPatch(false));
    await status(context, twinPath('switch'), 'false');
    assert.is(plc.memory.coils[0], 0);
  });

  test('kubectl get -w follows the values', async ({ cluster, plc }) => {
    const lines: string[] = [];
    const path = `jsonpath={.status.twins[?(@.propertyName=="counter")].reported.value}{"\\n"}`;
    const watch = cluster.kubectl.follow(['get', 'devicestatus', 'plc', '-w', '-o', path], (line) =>
      lines.push(line),
    );
    try {
      plc.memory.input.writeUInt32BE(1_000_000, 4);
      await until('the first value', () => lines.includes('1000000'));
      plc.memory.input.writeUInt32BE(2_000_000, 4);
      await until('the second value', () => lines.includes('2000000'));
    } finally {
      watch.kill();
    }
  });

  test('a device that is away is offline with the reason, and comes back', async (context) => {
    const { plc, port } = context;
    await plc.stop();
    await status(context, '{.status.state}', 'offline');
    await status(context, '{.status.extensions.reason}', /refused|ECONNREFUSED|closed/i);
    await plc.start('127.0.0.1', port);
    await status(context, '{.status.state}', 'online');
    await status(context, '{.status.extensions.reason}', '');
  });

  test('a device of an unknown model is refused with an event and a status', async (context) => {
    const { cluster, port } = context;
    const { device } = plcObjects({ node: cluster.node, port, name: 'lost', model: 'no-such-model' });
    await cluster.kubectl.apply(device);
    await status(context, '{.status.extensions.reason}', /no-such-model/, 'lost');
    await until('the event', () =>
      cluster.kubectl.value(
        ['events', '--field-selector', 'involvedObject.name=lost'],
        '{.items[?(@.type=="Warning")].message}',
      ),
    );
    const { model } = plcObjects({ node: cluster.node, port, model: 'no-such-model' });
    await cluster.kubectl.apply(model);
    await status(context, '{.status.state}', 'online', 'lost');
    await cluster.kubectl.run(['delete', 'device', 'lost']);
  });

  test('a visitor that cannot be understood is named in the status', async (context) => {
    const { cluster, port } = context;
    const { device } = plcObjects({ node: cluster.node, port, name: 'wrong' });
    const [first] = device.spec.properties;
    if (first) first.visitors.configData = { register: 'telephone', address: -1 };
    await cluster.kubectl.apply(device);
    await status(context, '{.status.extensions}', /telephone/, 'wrong');
    await cluster.kubectl.run(['delete', 'device', 'wrong']);
    await until('its status is gone', async () => {
      const { status: code } = await cluster.kubectl.try(['get', 'devicestatus', 'wrong']);
      return code !== 0;
    });
  });

  test('describe and the columns of get show the device', async ({ cluster }) => {
    const { kubectl, node } = cluster;
    const row = await kubectl.run(['get', 'device', 'plc', '--no-headers']);
    assert.match(row, new RegExp(`plc +${node} +plc-model +modbus`));
    assert.match(await kubectl.run(['describe', 'device', 'plc']), /Protocol Name: +modbus/);
    assert.match(await kubectl.run(['get', 'devicestatus', 'plc', '--no-headers']), /plc +online/);
  });

  test('a deleted device is polled no more', async (context) => {
    const { cluster, port } = context;
    const { device } = plcObjects({ node: cluster.node, port, name: 'second' });
    await cluster.kubectl.apply(device);
    await status(context, '{.status.state}', 'online', 'second');
    await cluster.kubectl.run(['delete', 'device', 'second']);
    await until('the node forgets it', async () => !(await onNode(context, 'second')));
  });

  test('a model that changes reaches the node', async (context) => {
    const { cluster, port } = context;
    const { model, device } = plcObjects({ node: cluster.node, port, name: 'modelled', model: 'changing' });
    await cluster.kubectl.apply(model, device);
    await status(context, '{.status.state}', 'online', 'modelled');
    const patch = [{ op: 'replace', path: '/spec/properties/2/accessMode', value: 'ReadOnly' }];
    const json = JSON.stringify(patch);
    await cluster.kubectl.run(['patch', 'devicemodel', 'changing', '--type', 'json', '-p', json]);
    await until('the node has it', async () => {
      await cluster.kubectl.run(switchPatch(Date.now() % 2 === 0, 'modelled'));
      return /ReadOnly/.test(
        await cluster.kubectl.value(['devicestatus', 'modelled'], '{.status.extensions.faults}'),
      );
    });
    await cluster.kubectl.run(['delete', 'device', 'modelled']);
  });

  test('a device that moves to another node is let go of, and served again when it returns', async (context) => {
    const { cluster, port } = context;
    const { device } = plcObjects({ node: cluster.node, port, name: 'mover' });
    await cluster.kubectl.apply(device);
    await status(context, '{.status.state}', 'online', 'mover');
    const move = (node: string): Promise<string> =>
      cluster.kubectl.run([
        'patch',
        'device',
        'mover',
        '--type',
        'merge',
        '-p',
        JSON.stringify({ spec: { nodeName: node } }),
      ]);
    await move('somewhere-else');
    await until('the node forgets it', async () => !(await onNode(context, 'mover')));
    await move(cluster.node);
    await until('the node has it again', () => onNode(context, 'mover'));
    await cluster.kubectl.run(['delete', 'device', 'mover']);
  });

  test('a device that was deleted while the node was away is gone when it returns', async (context) => {
    const { cluster, port } = context;
    const { device } = plcObjects({ node: cluster.node, port, name: 'orphan' });
    await cluster.kubectl.apply(device);
    await status(context, '{.status.state}', 'online', 'orphan');
    await cluster.stack.program('edgecore').stop();
    await cluster.kubectl.run(['delete', 'device', 'orphan']);
    await cluster.stack.startEdge();
    await until('the node forgets it', async () => !(await onNode(context, 'orphan')));
    await until('its status is gone', async () => {
      return (await cluster.kubectl.try(['get', 'devicestatus', 'orphan'])).status !== 0;
    });
  });

  test('a DeviceStatus that somebody deletes comes back, owned by its device', async (context) => {
    const { cluster } = context;
    await status(context, twinPath('counter'), /\d/);
    const before = await cluster.kubectl.value(['devicestatus', 'plc'], '{.metadata.uid}');
    await cluster.kubectl.run(['delete', 'devicestatus', 'plc']);
    await status(context, '{.metadata.uid}', new RegExp(`^(?!${before}$).+`));
    await status(context, twinPath('counter'), /\d/);
    assert.is(
      await cluster.kubectl.value(['devicestatus', 'plc'], '{.metadata.ownerReferences[*].kind}'),
      'Device',
    );
  });

  test('a device that could never work is refused when it is applied, by property and rule', async (context) => {
    const { cluster, port } = context;
    const { device } = plcObjects({ node: cluster.node, port, name: 'double' });
    const [first] = device.spec.properties;
    if (first) device.spec.properties.push(first);
    const refused = await cluster.kubectl.apply(device).then(String, String);
    assert.match(refused, /spec\.properties\[3\]: Duplicate value/);
  });
}

test.run();
