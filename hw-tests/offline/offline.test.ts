import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConsoleSnapshot } from '../../runtime/console/snapshot.ts';
import { type Containerd, canRunContainers, PAUSE, startContainerd } from '../containerd/containerd.ts';
import { kubectlPrograms } from '../kubectl.ts';
import { busyboxPod } from '../kubernetes/busybox-pod.ts';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { plcObjects, switchPatch, twinPath } from '../kubernetes/device-objects.ts';
import { Plc } from '../plc/plc.ts';
import { type Program, until } from '../program.ts';

type Context = { cluster: Cluster; containerd: Containerd; plc: Plc; shim: Program; edge: Program };
const test = suite<Context>('without the cloud');
const [kubectlProgram] = kubectlPrograms();

test.before(async (context) => {
  context.plc = new Plc({ moves: false });
  const port = await context.plc.start('127.0.0.1', 0);
  context.containerd = await startContainerd();
  context.cluster = await startCluster(kubectlProgram ?? '', {
    criEndpoint: context.containerd.endpoint,
    podSandboxImage: PAUSE,
  });
  const { kubectl, node, stack } = context.cluster;
  context.shim = stack.program('cloud-shim');
  context.edge = stack.program('edgecore');
  const { model, device } = plcObjects({ node, port });
  const script = 'echo start >> /state/starts; cat /state/starts; sleep 1000';
  const pod = busyboxPod(
    'kept',
    { command: ['sh', '-c', script], volumeMounts: [{ name: 'state', mountPath: '/state' }] },
    { nodeName: node, volumes: [{ name: 'state', emptyDir: {} }] },
  );
  await kubectl.apply(model, device, pod);
  await until('the device is online', async () => {
    return (await kubectl.value(['devicestatus', 'plc'], '{.status.state}')) === 'online';
  });
  await until('the pod runs', async () => {
    return (await kubectl.value(['pod', 'kept'], '{.status.phase}')) === 'Running';
  });
});

test.after(async ({ cluster, containerd, plc }) => {
  await cluster.close();
  await containerd.stop();
  await plc.stop();
});

/** What the node itself says, on its console. */
async function local({ cluster }: Context): Promise<ConsoleSnapshot> {
  const response = await fetch(`http://127.0.0.1:${cluster.stack.options.ports.console}/api/state`);
  return (await response.json()) as ConsoleSnapshot;
}

async function localValue(context: Context, property: string): Promise<string | undefined> {
  const { devices } = await local(context);
  return devices[0]?.properties.find(({ name }) => name === property)?.value;
}

function reported({ cluster }: Context, property: string): Promise<string> {
  return cluster.kubectl.value(['devicestatus', 'plc'], twinPath(property));
}

const containerId = ({ cluster }: Context): Promise<string> =>
  cluster.kubectl.value(['pod', 'kept'], '{.status.containerStatuses[0].containerID}');

if (canRunContainers() && kubectlProgram) {
  test('while the shim is down devices are polled, and pods run', async (context) => {
    await context.shim.stop();
    await until('the node notices', async () => (await local(context)).link.state !== 'connected');
    context.plc.memory.input.writeInt16BE(111, 0);
    await until('the value is here', async () => (await localValue(context, 'temperature')) === '11.1');
    assert.is((await local(context)).pods[0]?.phase, 'Running');
  });

  test('killed and started without the cloud, it adopts its containers and polls its devices', async (context) => {
    const before = await containerId(context);
    await context.edge.kill();
    context.plc.memory.input.writeInt16BE(222, 0);
    context.edge = await context.cluster.stack.startEdge();
    await until('the value is here', async () => (await localValue(context, 'temperature')) === '22.2');
    await until('the pod is known', async () => (await local(context)).pods[0]?.phase === 'Running');
    assert.is((await local(context)).pods[0]?.restarts, 0);
    // What the cluster last heard of is what runs: nothing else was started.
    assert.is(await containerId(context), before);
    assert.is(await reported(context, 'temperature'), '20');
  });

  test('a pod that was made and a value that was wanted meanwhile arrive with the shim', async (context) => {
    const { kubectl, stack } = context.cluster;
    await kubectl.run(switchPatch(true));
    await kubectl.apply(busyboxPod('late', {}, { nodeName: context.cluster.node }));
    context.plc.memory.input.writeInt16BE(333, 0);
    await until('the value is here', async () => (await localValue(context, 'temperature')) === '33.3');
    const before = await containerId(context);
    context.shim = await stack.startShim();
    await until('the newest value', async () => (await reported(context, 'temperature')) === '33.3');
    await until('the switch', async () => (await reported(context, 'switch')) === 'true');
    assert.is(context.plc.memory.coils[0], 1);
    await until('the late pod runs', async () => {
      return (await kubectl.value(['pod', 'late'], '{.status.phase}')) === 'Running';
    });
    assert.is(await containerId(context), before);
    const log = await until('the tunnel for logs is back', async () => {
      const { status, stdout } = await kubectl.try(['logs', 'kept']);
      return status === 0 && stdout;
    });
    assert.is(log, 'start\n');
  });

  test('a pod that is deleted while the shim is away goes when it is back', async (context) => {
    const { kubectl, stack } = context.cluster;
    await context.shim.stop();
    await kubectl.run(['delete', 'pod', 'late', '--wait=false']);
    context.shim = await stack.startShim();
    await until('the pod is gone', async () => {
      return (await kubectl.try(['get', 'pod', 'late'])).stderr.includes('NotFound');
    });
    await until('also on the node', async () => (await local(context)).pods.length === 1);
  });

  test('killed with the link up, it comes back to it with the same container', async (context) => {
    const before = await containerId(context);
    await context.edge.kill();
    context.edge = await context.cluster.stack.startEdge();
    context.plc.memory.input.writeInt16BE(444, 0);
    await until('the newest value', async () => (await reported(context, 'temperature')) === '44.4');
    assert.is(await containerId(context), before);
  });
}

if (canRunContainers()) test.run();
