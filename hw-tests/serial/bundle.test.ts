import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { plcObjects, switchPatch, twinPath } from '../kubernetes/device-objects.ts';
import { RtuSlaves } from '../plc/rtu-slaves.ts';
import { until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { Line } from './line.ts';

const BAUD = 19_200;

type Context = { cluster: Cluster; line: Line; slaves: RtuSlaves };
const test = suite<Context>('a serial device of the built edgecore');
const hasSocat = requireProgram('socat', 'socat') !== undefined;
const kubectl = requireProgram('kubectl', 'kubernetes-client');

test.before(async (context) => {
  context.line = new Line();
  context.slaves = new RtuSlaves([1]);
  if (!hasSocat || !kubectl) return;
  const { line, slaves } = context;
  await line.connect();
  await slaves.open(line.slaves, BAUD);
  context.cluster = await startCluster(kubectl);
  const { model, device } = plcObjects({ node: context.cluster.node, port: 0 });
  const configData = { serialPort: line.master, baudRate: BAUD, unitId: 1, timeout: 300 };
  const protocol = { ...device.spec.protocol, configData };
  await context.cluster.kubectl.apply(model, { ...device, spec: { ...device.spec, protocol } });
});
test.after(async ({ cluster, slaves, line }) => {
  await cluster?.close();
  await slaves.close();
  await line.remove();
});

/** Waits until a jsonpath of the DeviceStatus matches. */
function status({ cluster }: Context, path: string, wanted: RegExp): Promise<true> {
  return until(`${path} is ${wanted}`, async () =>
    wanted.test(await cluster.kubectl.value(['devicestatus', 'plc'], path)) ? true : undefined,
  );
}

if (hasSocat && kubectl) {
  test('its values are in DeviceStatus, and a desired value reaches it', async (context) => {
    const { cluster, slaves } = context;
    const { memory } = slaves.slave(1);
    memory.input.writeInt16BE(-77, 0);
    await status(context, '{.status.state}', /^online$/);
    await status(context, twinPath('temperature'), /^-7\.7$/);
    await cluster.kubectl.run(switchPatch(true));
    await status(context, twinPath('switch'), /^true$/);
    assert.is(memory.coils[0], 1);
  });

  test('an adapter that is pulled out and put back is offline with the reason in between', async (context) => {
    const { line, slaves } = context;
    await slaves.close();
    await line.cut();
    await status(context, '{.status.state}', /^offline$/);
    await status(context, '{.status.extensions.reason}', /No such file/);
    await line.connect();
    await slaves.open(line.slaves, BAUD);
    slaves.slave(1).memory.input.writeInt16BE(42, 0);
    await status(context, '{.status.state}', /^online$/);
    await status(context, twinPath('temperature'), /^4\.2$/);
  });
}

test.run();
