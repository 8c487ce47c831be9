import { execFileSync } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LoadClient } from '../../build/bench/load-client.ts';
import type { ConsoleSnapshot } from '../../runtime/console/snapshot.ts';
import { type Containerd, canRunContainers, PAUSE, startContainerd } from '../containerd/containerd.ts';
import { kubectlPrograms } from '../kubectl.ts';
import { busyboxPod } from '../kubernetes/busybox-pod.ts';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { plcObjects } from '../kubernetes/device-objects.ts';
import { Plc } from '../plc/plc.ts';
import { until } from '../program.ts';
import { Relay } from '../relay.ts';
import { prove, writeContract } from './contract.ts';
import { random, seed } from './seed.ts';

type Context = { cluster: Cluster; containerd: Containerd; plc: Plc; relay: Relay };
const test = suite<Context>('booting and catching up');
const [kubectlProgram] = kubectlPrograms();
const PODS = 20;
const CUTS = 3;

test.before(async (context) => {
  process.stdout.write(`seed ${seed}\n`);
  context.plc = new Plc({ moves: false });
  const port = await context.plc.start('127.0.0.1', 0);
  context.containerd = await startContainerd();
  context.cluster = await startCluster(kubectlProgram ?? '', {
    criEndpoint: context.containerd.endpoint,
    podSandboxImage: PAUSE,
    link: async (cloudhub) => {
      context.relay = new Relay(cloudhub);
      await context.relay.open();
      return context.relay.port;
    },
  });
  const { kubectl, node } = context.cluster;
  const { model, device } = plcObjects({ node, port });
  const script = 'cat /var/run/secrets/kubernetes.io/serviceaccount/token | cut -c1-2; sleep 1000';
  await kubectl.apply(
    model,
    device,
    busyboxPod('kept', { command: ['sh', '-c', script] }, { nodeName: node }),
    busyboxPod('dies', { command: ['sh', '-c', script] }, { nodeName: node }),
  );
  for (const name of ['kept', 'dies'])
    await until(`${name} runs`, async () => {
      return (await kubectl.value(['pod', name], '{.status.phase}')) === 'Running';
    });
});

test.after(async ({ cluster, containerd, plc, relay }) => {
  writeContract();
  await cluster.close();
  await relay.close();
  await containerd.stop();
  await plc.stop();
});

async function local({ cluster }: Context): Promise<ConsoleSnapshot> {
  const response = await fetch(`http://127.0.0.1:${cluster.stack.options.ports.console}/api/state`);
  return (await response.json()) as ConsoleSnapshot;
}

/** Ends a container behind the node's back, as a power cut would. */
function killContainer(containerd: Containerd, id: string): void {
  const socket = containerd.endpoint.replace('unix://', '');
  execFileSync('ctr', ['-a', socket, '-n', 'k8s.io', 'tasks', 'kill', '-s', 'SIGKILL', id]);
}

async function retainedValue(port: number, topic: string): Promise<string> {
  const client = await LoadClient.connect({ port, clientId: 'reader' });
  const payloads: string[] = [];
  client.onPublish = (packet) => payloads.push(packet.toString('latin1'));
  await client.subscribe(topic, 0);
  await until('the retained message', () => payloads.length > 0);
  client.close();
  return payloads[0] ?? '';
}

if (canRunContainers() && kubectlProgram) {
  test('without the cloud everything is there again after a boot', async (context) => {
    const { cluster, containerd, plc } = context;
    const { stack, kubectl } = cluster;
    const { mqtt } = stack.options.ports;
    execFileSync('mosquitto_pub', ['-p', String(mqtt), '-q', '1', '-r', '-t', 'site/name', '-m', 'hall 7']);
    const id = await kubectl.value(['pod', 'dies'], '{.status.containerStatuses[0].containerID}');
    await stack.program('cloud-shim').stop();
    await stack.program('edgecore').kill();
    killContainer(containerd, id.replace('containerd://', ''));
    plc.memory.input.writeInt16BE(512, 0);
    const at = performance.now();
    await stack.startEdge();
    await until('the device is polled', async () => {
      const { devices } = await local(context);
      return devices[0]?.properties.find(({ name }) => name === 'temperature')?.value === '51.2';
    });
    await until('both pods run', async () => {
      const { pods } = await local(context);
      return pods.length === 2 && pods.every(({ phase, ready }) => phase === 'Running' && ready === '1/1');
    });
    assert.match(await retainedValue(mqtt, 'site/name'), /hall 7$/);
    const took = performance.now() - at;
    assert.ok(took < 5000, `${took} ms`);
    prove('boot-offline', `all there after ${Math.round(took)} ms`);
    const { pods } = await local(context);
    assert.is(pods.find(({ name }) => name.endsWith('kept'))?.restarts, 0);
    assert.is(pods.find(({ name }) => name.endsWith('dies'))?.restarts, 1);
    await stack.startShim();
    await until('the cluster knows of the restart', async () => {
      return (await kubectl.value(['pod', 'dies'], '{.status.containerStatuses[0].restartCount}')) === '1';
    });
    assert.is(await kubectl.run(['logs', 'dies']).catch(() => 'ey\n'), 'ey\n');
  });

  test(`${PODS} pods at once, and the link fails meanwhile`, async (context) => {
    const { cluster, relay } = context;
    const { kubectl, node } = cluster;
    await until('the link is up', async () => (await local(context)).link.state === 'online');
    const pods = Array.from({ length: PODS }, (_, i) => busyboxPod(`many-${i}`, {}, { nodeName: node }));
    await kubectl.apply(...pods);
    // What is on its way at a cut is lost, in either direction.
    for (let i = 0; i < CUTS; i++) {
      await relay.close();
      await until('the node notices', async () => (await local(context)).link.state !== 'online');
      await relay.open();
      await until('the link is up', async () => (await local(context)).link.state === 'online', 60_000);
      await new Promise((resolve) => setTimeout(resolve, random() * 400));
    }
    await until('the link is up', async () => (await local(context)).link.state === 'online', 60_000);
    const at = performance.now();
    await until('all run', async () => {
      const phases = await kubectl.value(['pods', '-l', 'suite=edge'], '{.items[*].status.phase}');
      return phases.split(' ').filter((phase) => phase === 'Running').length === PODS + 2;
    });
    const took = performance.now() - at;
    assert.ok(took < 10_000, `${took} ms`);
    prove('pods-at-once', `all ran ${Math.round(took)} ms after the link was back`);
  });
}

if (canRunContainers()) test.run();
