import { PAUSE, startContainerd } from '../../hw-tests/containerd/containerd.ts';
import { kubectlPrograms } from '../../hw-tests/kubectl.ts';
import { busyboxPod } from '../../hw-tests/kubernetes/busybox-pod.ts';
import { type Cluster, startCluster } from '../../hw-tests/kubernetes/cluster.ts';
import { plcObjects, switchPatch, twinPath } from '../../hw-tests/kubernetes/device-objects.ts';
import { Plc } from '../../hw-tests/plc/plc.ts';
import { until } from '../../hw-tests/program.ts';
import type { BenchOptions } from './bench.ts';
import { type Figure, figure } from './figure.ts';
import { LoadClient } from './load-client.ts';

const ROUNDS = 5;

/** How soon a change at one end of the line is seen at the other, with real kubectl and real containers:
 * a register on MQTT and in DeviceStatus, a desired value in the PLC, a pod Running. Each is the slowest of five. */
export async function* benchReaction(_: BenchOptions): AsyncGenerator<Figure> {
  const [kubectl = 'kubectl'] = kubectlPrograms();
  const containerd = await startContainerd();
  const plc = new Plc({ moves: false });
  const port = await plc.start('127.0.0.1', 0);
  const cluster = await startCluster(kubectl, {
    criEndpoint: containerd.endpoint,
    podSandboxImage: PAUSE,
  });
  const place = (scenario: string, name: string) => ({
    bench: 'reaction',
    scenario,
    figure: name,
    unit: 'ms',
  });
  try {
    const { model, device } = plcObjects({ node: cluster.node, port });
    // As often as the demonstration's.
    for (const property of device.spec.properties) property.collectCycle = 500;
    await cluster.kubectl.apply(model, device);
    await reported(cluster, 'temperature', '20');
    const values = await watchTemperature(cluster);
    const register = await slowest(async (round) => {
      plc.memory.input.writeInt16BE(1000 + round * 10, 0);
      await until('the value on MQTT', () => values.seen(String(100 + round)));
    });
    yield figure(place('register', 'to_mqtt_ms'), register, { most: 2000 });
    values.close();
    const status = await slowest(async (round) => {
      plc.memory.input.writeInt16BE(2000 + round * 10, 0);
      await reported(cluster, 'temperature', String(200 + round));
    });
    yield figure(place('register', 'to_devicestatus_ms'), status, { most: 2000 });
    const desired = await slowest(async (round) => {
      await cluster.kubectl.run(switchPatch(round % 2 === 0));
      await until('the coil', () => plc.memory.coils[0] === (round % 2 === 0 ? 1 : 0));
    });
    yield figure(place('desired', 'to_plc_ms'), desired, { most: 2000 });
    const pod = await slowest(async (round) => {
      await cluster.kubectl.apply(busyboxPod(`p${round}`, {}, { nodeName: cluster.node }));
      await phase(cluster, `p${round}`, 'Running');
    });
    yield figure(place('pod', 'apply_to_running_ms'), pod, { most: 1500 });
  } finally {
    await cluster.close();
    await containerd.stop();
    await plc.stop();
  }
}

async function slowest(work: (round: number) => Promise<void>): Promise<number> {
  let most = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    await work(round);
    most = Math.max(most, performance.now() - start);
  }
  return most;
}

async function watchTemperature(cluster: Cluster) {
  const client = await LoadClient.connect({
    port: cluster.stack.options.ports.mqtt,
    clientId: 'bench',
  });
  const payloads: string[] = [];
  client.onPublish = (packet) => payloads.push(packet.toString());
  await client.subscribe('$hw/events/device/+/+/twin/update/document', 0);
  return {
    seen: (value: string): boolean => payloads.some((text) => text.includes(`"value":"${value}"`)),
    close: () => client.close(),
  };
}

function reported(cluster: Cluster, property: string, value: string): Promise<true> {
  return until(`${property} is ${value}`, async () => {
    const got = await cluster.kubectl.value(['devicestatus', 'plc'], twinPath(property));
    return got === value ? true : undefined;
  });
}

function phase(cluster: Cluster, name: string, wanted: string): Promise<true> {
  return until(`${name} is ${wanted}`, async () => {
    return (await cluster.kubectl.value(['pod', name], '{.status.phase}')) === wanted ? true : undefined;
  });
}
