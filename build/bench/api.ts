import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeClient } from '../../cloud-shim/kube/client.ts';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import { until } from '../../hw-tests/program.ts';
import { freePorts, Stack } from '../../hw-tests/stack.ts';
import type { BenchOptions } from './bench.ts';
import { type Figure, figure } from './figure.ts';
import { deviceOf, modelOf } from './points.ts';
import { cpuSecondsOf } from './process-meter.ts';
import { SteppingPlc } from './stepping-plc.ts';

const DEVICES = 30;
/** Three updates a second. */
const CYCLE = 333;
const NODE = 'edge-bench';
/** Devices that were quiet may tell 15 values at once; after that each has its turn. */
const SETTLING = 40_000;

/** What 30 devices with three updates a second each cost the API server, beyond what it needs with the node and no devices:
 * the load of KubeEdge's issue 3761. On mini-master, or on the cluster of `KUBECONFIG`, whose own figure is asked for. */
export async function* benchApi({ seconds = 60 }: BenchOptions): AsyncGenerator<Figure> {
  const dir = mkdtempSync(join(tmpdir(), 'edgecore-bench-'));
  const kubeconfig = process.env.KUBECONFIG || undefined;
  const plcs = Array.from({ length: DEVICES }, () => new SteppingPlc(1));
  const addresses = await Promise.all(plcs.map((plc) => plc.start('127.0.0.1', 0)));
  const stack = new Stack({
    dir,
    ports: await freePorts(),
    node: NODE,
    kubeconfig,
    criEndpoint: `unix://${dir}/no-containerd.sock`,
  });
  const stop = new AbortController();
  let writes = 0;
  try {
    const master = kubeconfig ? undefined : await stack.startMaster();
    await stack.startShim();
    await stack.startEdge();
    await stack.registered();
    const cpu = (): Promise<number> | number => (master ? cpuSecondsOf(master.pid) : cpuOf(stack.api));
    const watching = stack.api
      .watch(
        kinds.deviceStatus,
        {},
        ({ type }) => {
          if (type === 'MODIFIED') writes++;
        },
        stop.signal,
      )
      .catch(() => {});
    await sleep(5000);
    const idle = await over(seconds, cpu);
    await stack.api.create(kinds.deviceModel, { name: 'points', namespace: 'default' }, modelOf(1));
    for (const [i, port] of addresses.entries()) {
      const device = deviceOf({ name: `d${i}`, points: 1, node: NODE, port, cycle: CYCLE });
      await stack.api.create(kinds.device, { name: `d${i}`, namespace: 'default' }, device);
    }
    await until('every device is read', () => plcs.every(({ requests }) => requests > 3), 60_000);
    await sleep(SETTLING);
    const before = { writes, reads: readsOf(plcs), at: performance.now() };
    const busy = await over(seconds, cpu);
    const elapsed = (performance.now() - before.at) / 1000;
    const scenario = `30-devices-of-3-updates-a-second-${master ? 'mini-master' : 'cluster'}`;
    const place = (name: string, unit: string) => ({ bench: 'api', scenario, figure: name, unit });
    yield figure(place('updates_per_s', ''), (readsOf(plcs) - before.reads) / elapsed, { least: 85 });
    yield figure(place('api_writes_per_s', ''), (writes - before.writes) / elapsed);
    yield figure(place('api_cpu_idle_percent', '%'), idle * 100);
    yield figure(place('api_cpu_for_it_percent', '%'), (busy - idle) * 100, { most: 2 });
    stop.abort();
    await watching;
    if (kubeconfig) await cleared(stack);
  } finally {
    stop.abort();
    await stack.stop();
    await Promise.all(plcs.map((plc) => plc.stop()));
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Cores that were used on average. */
async function over(seconds: number, cpu: () => Promise<number> | number): Promise<number> {
  const before = { cpu: await cpu(), at: performance.now() };
  await sleep(seconds * 1000);
  return (((await cpu()) - before.cpu) / (performance.now() - before.at)) * 1000;
}

/** CPU seconds of an API server, as it says itself. */
async function cpuOf(api: KubeClient): Promise<number> {
  const { body } = await api.raw({ method: 'GET', path: '/metrics' });
  const value = /^process_cpu_seconds_total (\S+)$/m.exec(body.toString())?.[1];
  if (value === undefined) throw new Error('the API server does not say process_cpu_seconds_total');
  return Number(value);
}

function readsOf(plcs: readonly SteppingPlc[]): number {
  return plcs.reduce((sum, { requests }) => sum + requests, 0);
}

/** A cluster that goes on has nothing of it left. */
async function cleared({ api }: Stack): Promise<void> {
  for (let i = 0; i < DEVICES; i++) await api.delete(kinds.device, { name: `d${i}`, namespace: 'default' });
  await api.delete(kinds.deviceModel, { name: 'points', namespace: 'default' });
  await api.delete(kinds.node, { name: NODE });
}
