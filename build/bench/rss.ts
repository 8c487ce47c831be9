import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import {
  BUSYBOX,
  type Containerd,
  canRunContainers,
  PAUSE,
  startContainerd,
} from '../../hw-tests/containerd/containerd.ts';
import { until } from '../../hw-tests/program.ts';
import { freePorts, Stack } from '../../hw-tests/stack.ts';
import type { Pod } from '../../runtime/core/pod.ts';
import type { BenchOptions } from './bench.ts';
import { type Figure, figure } from './figure.ts';
import { LoadClient } from './load-client.ts';
import { deviceOf, modelOf } from './points.ts';
import { type Memory, memoryOf } from './process-meter.ts';

const CLIENTS = 50;
/** Messages a second, of all clients together. */
const RATE = 500;
const POINTS = 20;
const NODE = 'edge-bench';

/** Resident memory of edgecore with everything on: 50 MQTT clients at 500 messages a second together, one Modbus device
 * with 20 points each second, the cloud link, a pod on containerd where the machine has it, an open console page. */
export async function* benchRss({ seconds = 60 }: BenchOptions): AsyncGenerator<Figure> {
  const dir = mkdtempSync(join(tmpdir(), 'edgecore-bench-'));
  const containerd = canRunContainers() ? await startContainerd() : undefined;
  const stack = new Stack({
    dir,
    ports: await freePorts(),
    node: NODE,
    criEndpoint: containerd?.endpoint ?? `unix://${dir}/no-containerd.sock`,
    podSandboxImage: PAUSE,
  });
  try {
    const pid = await everythingOn(stack, containerd);
    const stopLoad = await startLoad(stack.options.ports.mqtt);
    const page = await openPage(stack.options.ports.console);
    const samples = await sample(pid, seconds);
    stopLoad();
    await page.cancel();
    const scenario = containerd ? 'all-on' : 'all-on-without-containerd';
    const place = (name: string) => ({ bench: 'rss', scenario, figure: name, unit: 'MB' });
    const most = (of: (memory: Memory) => number): number => Math.max(...samples.map(of));
    yield figure(
      place('rss_mb'),
      most((memory) => memory.rssMb),
      { most: 75 },
    );
    yield figure(
      place('pss_mb'),
      most((memory) => memory.pssMb),
    );
    yield figure(
      place('anon_mb'),
      most((memory) => memory.anonMb),
    );
  } finally {
    await stack.stop();
    await containerd?.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** @returns edgecore's process id, once its device and its pod are up */
async function everythingOn(stack: Stack, containerd: Containerd | undefined): Promise<number> {
  await stack.startMaster();
  await stack.startShim();
  await stack.startPlc();
  const edge = await stack.startEdge();
  await stack.registered();
  for (const object of [
    modelOf(POINTS),
    deviceOf({ points: POINTS, node: NODE, port: stack.options.ports.plc }),
  ]) {
    const kind = object.kind === 'Device' ? kinds.device : kinds.deviceModel;
    await stack.api.create(kind, { name: 'points', namespace: 'default' }, object);
  }
  await until('every point is in the cluster', async () => {
    const status = await stack.object<{ metadata: { name: string }; status: { twins?: unknown[] } }>(
      kinds.deviceStatus,
      'points',
    );
    return status?.status.twins?.length === POINTS;
  });
  if (containerd) {
    await stack.api.create(kinds.pod, { name: 'busybox', namespace: 'default' }, busybox);
    await until('the pod runs', async () => {
      const pod = await stack.object<Pod & { metadata: { name: string } }>(kinds.pod, 'busybox');
      return pod?.status?.phase === 'Running';
    });
  }
  return edge.pid;
}

/** Every client hears its neighbour. */
async function startLoad(port: number): Promise<() => void> {
  const clients: LoadClient[] = [];
  for (let i = 0; i < CLIENTS; i++) {
    const client = await LoadClient.connect({ port, clientId: `load-${i}`, keepalive: 0 });
    const qos = i % 2 === 0 ? 0 : 1;
    await client.subscribe(`bench/${i}`, 1);
    client.prepare(`bench/${(i + 1) % CLIENTS}`, Buffer.alloc(64, 'x'), qos);
    clients.push(client);
  }
  let next = 0;
  const timer = setInterval(() => {
    for (let i = 0; i < RATE / CLIENTS; i++) clients[next++ % CLIENTS]?.publish(1);
  }, 1000 / CLIENTS);
  return () => {
    clearInterval(timer);
    for (const client of clients) client.close();
  };
}

/** Holds a console page open, as a technician does. */
async function openPage(port: number): Promise<{ cancel(): Promise<void> }> {
  const controller = new AbortController();
  const response = await fetch(`http://127.0.0.1:${port}/api/events`, { signal: controller.signal });
  const reading = (async () => {
    for await (const _ of response.body ?? []) void _;
  })().catch(() => {}); // it is cancelled
  return {
    cancel: async () => {
      controller.abort();
      await reading;
    },
  };
}

/** Samples of the second half, when caches and heaps have grown. */
async function sample(pid: number, seconds: number): Promise<Memory[]> {
  const samples: Memory[] = [];
  for (let i = 0; i < seconds; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    if (i >= seconds / 2 - 1) samples.push(memoryOf(pid));
  }
  return samples;
}

const busybox = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'busybox', namespace: 'default' },
  spec: {
    nodeName: NODE,
    containers: [{ name: 'c0', image: BUSYBOX, imagePullPolicy: 'IfNotPresent', command: ['sleep', '1000'] }],
  },
};
