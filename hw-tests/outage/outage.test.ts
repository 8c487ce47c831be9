import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConsoleSnapshot } from '../../runtime/console/snapshot.ts';
import { type Containerd, canRunContainers, PAUSE, startContainerd } from '../containerd/containerd.ts';
import { kubectlPrograms } from '../kubectl.ts';
import { busyboxPod } from '../kubernetes/busybox-pod.ts';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { CLOUD, canBreakNetworks, EDGE, Network } from '../link/network.ts';
import { until } from '../program.ts';
import { freePorts } from '../stack.ts';
import { prove, writeContract } from './contract.ts';
import { countedProperties, counterObjects } from './counters.ts';
import { random, seed } from './seed.ts';
import { TwinPublisher } from './twin-publisher.ts';
import { TwinWatch } from './twin-watch.ts';

type Context = { cluster: Cluster; containerd: Containerd; network: Network; load: Load };
type Load = { publishers: TwinPublisher[]; watch: TwinWatch };

const test = suite<Context>('outages under load');
const [kubectlProgram] = kubectlPrograms();
const possible = canRunContainers() && canBreakNetworks() && kubectlProgram !== undefined;
const isLong = process.env.EDGECORE_LONG === 'true';
const EDGE_KILLS = isLong ? 300 : 8;
const SHIM_KILLS = isLong ? 100 : 4;
const LINK_CUTS = isLong ? 100 : 4;
const DEVICE = 'counters';
/** After many connections that did not last the wait for the next is a minute, give or take 30 %. */
const LINK_BACK = 100_000;

test.before(async (context) => {
  process.stdout.write(`seed ${seed}\n`);
  context.containerd = await startContainerd();
  context.network = new Network();
  context.network.open();
  const ports = await freePorts();
  const [cloud] = CLOUD;
  context.cluster = await startCluster(kubectlProgram ?? '', {
    ports,
    criEndpoint: context.containerd.endpoint,
    podSandboxImage: PAUSE,
    edgePrefix: context.network.edgePrefix,
    cloudHosts: CLOUD,
    modules: {
      edgeHub: {
        httpServer: `https://${cloud}:${ports.enrolment}`,
        websocket: { server: `${cloud}:${ports.cloudhub}` },
      },
      edgeStream: { enable: false },
      eventBus: { mqttServerInternal: `tcp://${EDGE}:${ports.mqtt}`, allowAnonymous: true },
      console: { address: `${EDGE}:${ports.console}` },
    },
  });
  const { kubectl, node } = context.cluster;
  await kubectl.apply(...counterObjects(DEVICE, node));
  await until('the device is on the node', async () => (await local(context)).devices.length === 1);
  await until('it has a status', () => kubectl.value(['devicestatus', DEVICE], '{.metadata.name}'));
  const device = `${context.cluster.namespace}/${DEVICE}`;
  const mqtt = { host: EDGE, port: ports.mqtt, device };
  context.load = {
    publishers: countedProperties.map((property) => new TwinPublisher({ ...mqtt, property })),
    watch: new TwinWatch(kubectl, DEVICE),
  };
});

test.after(async ({ cluster, containerd, network, load }) => {
  load.watch.stop();
  writeContract();
  await cluster.close();
  network.close();
  await containerd.stop();
});

test.before.each(({ load }) => {
  for (const publisher of load.publishers) publisher.start();
});
test.after.each(({ load }) => {
  for (const publisher of load.publishers) publisher.stop();
});

/** What the node itself says, on its console. */
async function local({ cluster }: Pick<Context, 'cluster'>): Promise<ConsoleSnapshot> {
  const response = await fetch(`http://${EDGE}:${cluster.stack.options.ports.console}/api/state`);
  return (await response.json()) as ConsoleSnapshot;
}

/** What the load was, for the record. */
function acknowledged({ load }: Context): string {
  const sum = load.publishers.reduce((n, publisher) => n + publisher.acknowledged, 0);
  return `${sum} values acknowledged since the start, none lost, none after a newer one`;
}

const pause = (most: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, random() * most));

/** Waits for the load to move on, so that what follows hits work under way. */
async function progress({ load }: Context): Promise<void> {
  const before = load.publishers.map(({ acknowledged }) => acknowledged);
  await until('every publisher goes on', () =>
    load.publishers.every(({ acknowledged }, i) => acknowledged > (before[i] ?? 0)),
  );
}

/** The end of an outage: the cluster has what the node has, and saw nothing go back. */
async function settled(context: Context): Promise<void> {
  const { load } = context;
  for (const publisher of load.publishers) publisher.stop();
  const wanted = load.publishers.map(({ acknowledged }) => acknowledged);
  await until(
    'the cluster has every acknowledged value',
    async () => {
      const { devices } = await local(context);
      const here = countedProperties.map((name) =>
        Number(devices[0]?.properties.find((p) => p.name === name)?.value ?? 0),
      );
      assert.ok(
        here.every((value, i) => value >= (wanted[i] ?? 0)),
        `node ${here}, acknowledged ${wanted}`,
      );
      return here.every((value, i) => load.watch.latest.get(countedProperties[i] ?? '') === value);
    },
    LINK_BACK,
  );
  assert.equal(load.watch.regressions, []);
}

async function nodeReady({ cluster }: Context): Promise<void> {
  const { kubectl, node } = cluster;
  await kubectl.run(['wait', '--for=condition=Ready', `node/${node}`, '--timeout=60s']);
}

if (possible) {
  test(`${EDGE_KILLS} times edgecore is killed under load`, async (context) => {
    const { cluster } = context;
    await cluster.kubectl.apply(busyboxPod('kept', {}, { nodeName: cluster.node }));
    // A container whose start was cut short is made anew, and counted as a kubelet would.
    await until('the pod runs', async () => {
      return (await cluster.kubectl.value(['pod', 'kept'], '{.status.phase}')) === 'Running';
    });
    let slowest = 0;
    for (let i = 0; i < EDGE_KILLS; i++) {
      await progress(context);
      // Another pod with every kill, and the one before goes: the kill meets both on their way.
      await cluster.kubectl.apply(busyboxPod(`turn-${i}`, {}, { nodeName: cluster.node }));
      if (i > 0) await cluster.kubectl.run(['delete', 'pod', `turn-${i - 1}`, '--wait=false']);
      await pause(300);
      await cluster.stack.program('edgecore').kill();
      const at = performance.now();
      await cluster.stack.startEdge();
      slowest = Math.max(slowest, performance.now() - at);
    }
    await settled(context);
    await nodeReady(context);
    await until('the pod runs, never started twice', async () => {
      const path = '{.status.phase} {.status.containerStatuses[0].restartCount}';
      return (await cluster.kubectl.value(['pod', 'kept'], path)) === 'Running 0';
    });
    const last = `turn-${EDGE_KILLS - 1}`;
    await until(
      'of the other pods the last one runs, and no other is left',
      async () => {
        const path = '{range .items[*]}{.metadata.name}={.status.phase} {end}';
        const pods = await cluster.kubectl.value(['pods', '-l', 'suite=edge'], path);
        const names = (await local(context)).pods.map(({ name }) => name.split('/').at(-1));
        return (
          pods.trim().split(' ').sort().join() === `kept=Running,${last}=Running` &&
          names.sort().join() === `kept,${last}`
        );
      },
      120_000,
    );
    assert.ok(slowest < 3000, `${slowest} ms`);
    prove(
      'edge-killed',
      `${EDGE_KILLS} kills, slowest boot ${Math.round(slowest)} ms, ${acknowledged(context)}`,
    );
  });

  test(`${SHIM_KILLS} times the shim is killed under load`, async (context) => {
    const { cluster } = context;
    for (let i = 0; i < SHIM_KILLS; i++) {
      await progress(context);
      await pause(300);
      await cluster.stack.program('cloud-shim').kill();
      await cluster.kubectl.apply(busyboxPod(`made-${i}`, {}, { nodeName: cluster.node }));
      await cluster.stack.startShim();
    }
    await settled(context);
    await nodeReady(context);
    for (let i = 0; i < SHIM_KILLS; i++) {
      await until(
        `pod made-${i} runs`,
        async () => {
          return (await cluster.kubectl.value(['pod', `made-${i}`], '{.status.phase}')) === 'Running';
        },
        LINK_BACK,
      );
    }
    await cluster.kubectl.run(['delete', 'pod', '-l', 'suite=edge', '--timeout=60s']);
    await until('no pod is left on the node', async () => (await local(context)).pods.length === 0);
    prove('shim-killed', `${SHIM_KILLS} kills, ${acknowledged(context)}`);
  });

  test(`${LINK_CUTS} times the link is cut, slowed or silenced under load`, async (context) => {
    const { network, cluster } = context;
    const { cloudhub } = cluster.stack.options.ports;
    const faults = [
      () => network.refuse(cloudhub),
      () => network.slow(20, 0.05),
      () => network.refuse(cloudhub),
      () => network.drop(cloudhub),
    ];
    for (let i = 0; i < LINK_CUTS; i++) {
      faults[i % faults.length]?.();
      await progress(context);
      await pause(2000);
      network.heal();
      await progress(context);
    }
    await settled(context);
    await nodeReady(context);
    prove('link-cut', `${LINK_CUTS} cuts, ${acknowledged(context)}`);
  });

  test('the cluster catches up', async (context) => {
    const { load, network, cluster } = context;
    network.refuse(cluster.stack.options.ports.cloudhub);
    await until('the node notices', async () => (await local(context)).link.state !== 'online');
    await progress(context);
    for (const publisher of load.publishers) publisher.stop();
    network.heal();
    await until('the link is up', async () => (await local(context)).link.state === 'online', LINK_BACK);
    const at = performance.now();
    await settled(context);
    const took = performance.now() - at;
    assert.ok(took < 1000, `${took} ms`);
    prove('caught-up', `the twins were equal ${Math.round(took)} ms after the link was up`);
  });

  test('a silent link is noticed within 45 s', async (context) => {
    const { network, cluster } = context;
    network.drop(cluster.stack.options.ports.cloudhub);
    const at = performance.now();
    await until('the node notices', async () => (await local(context)).link.state !== 'online', 60_000);
    const took = performance.now() - at;
    network.heal();
    await settled(context);
    assert.ok(took < 45_000, `${took} ms`);
    prove('half-open', `noticed after ${Math.round(took / 1000)} s`);
  });
}

if (possible) test.run();
