import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import { until } from '../../hw-tests/program.ts';
import { freePorts, Stack } from '../../hw-tests/stack.ts';
import type { BenchOptions } from './bench.ts';
import { type Figure, figure } from './figure.ts';
import { LoadClient } from './load-client.ts';
import { deviceOf, modelOf } from './points.ts';
import { cpuSecondsOf, memoryOf } from './process-meter.ts';
import { SteppingPlc } from './stepping-plc.ts';

const DEVICES = 500;
const POINTS = 10;
const NODE = 'edge-bench';
/** While a device that was quiet may speak more often, and the first values go up. */
const SETTLING = 300;

/** The built edgecore with 500 devices over Modbus TCP, each with ten values that differ at every read, once a second: 5,000
 * twin updates a second. The devices are in this process, and so is the subscriber that hears every update. A change is
 * timed from the answer of the device that holds it, so the wait for the next read is not in it. */
export async function* benchTwin({ seconds = 60 }: BenchOptions): AsyncGenerator<Figure> {
  const dir = mkdtempSync(join(tmpdir(), 'edgecore-bench-'));
  const plcs = Array.from({ length: DEVICES }, () => new SteppingPlc(POINTS));
  // They come first, so that no port of the stack's is taken by one of them.
  const addresses = await Promise.all(plcs.map((plc) => plc.start('127.0.0.1', 0)));
  const stack = new Stack({
    dir,
    ports: await freePorts(),
    node: NODE,
    criEndpoint: `unix://${dir}/no-containerd.sock`,
  });
  const stop = new AbortController();
  let writes = 0;
  try {
    await stack.startMaster();
    await stack.startShim();
    const edge = await stack.startEdge();
    await stack.registered();
    await stack.api.create(kinds.deviceModel, { name: 'points', namespace: 'default' }, modelOf(POINTS));
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
    for (const [i, port] of addresses.entries()) {
      const device = deviceOf({ name: `d${i}`, points: POINTS, node: NODE, port });
      await stack.api.create(kinds.device, { name: `d${i}`, namespace: 'default' }, device);
    }
    await until('every device is read', () => plcs.every(({ requests }) => requests > 3), 1_200_000);
    await settled(() => writes);
    const heard = await hear(stack.options.ports.mqtt, plcs);
    await sleep(2000);
    heard.reset();
    const before = { cpu: cpuSecondsOf(edge.pid), writes, at: performance.now() };
    const rss: number[] = [];
    for (let i = 0; i < seconds; i++) {
      await sleep(1000);
      rss.push(memoryOf(edge.pid).rssMb);
    }
    const elapsed = (performance.now() - before.at) / 1000;
    const { updates, delays } = heard;
    const cpu = (cpuSecondsOf(edge.pid) - before.cpu) / elapsed;
    const written = writes - before.writes;
    heard.close();
    stop.abort();
    await watching;
    const place = (name: string, unit: string) => ({
      bench: 'twin',
      scenario: '500-devices-of-10-values-each-second',
      figure: name,
      unit,
    });
    // A window cuts through the second of each device: what differs by less than a hundredth is that.
    yield figure(place('kept_up_ratio', ''), updates / (DEVICES * POINTS * elapsed), { least: 0.99 });
    yield figure(place('cpu_cores', ''), cpu, { most: 1 });
    yield figure(place('rss_mb', 'MB'), Math.max(...rss), { most: 95 });
    delays.sort((a, b) => a - b);
    const at = (share: number): number => delays[Math.floor(delays.length * share)] ?? Number.NaN;
    yield figure(place('change_to_mqtt_p50_ms', 'ms'), at(0.5));
    yield figure(place('change_to_mqtt_p99_ms', 'ms'), at(0.99), { most: 20 });
    yield figure(place('api_writes_per_device_in_10s', ''), (written * 10) / (DEVICES * elapsed), {
      most: 1.02,
    });
  } finally {
    stop.abort();
    await stack.stop();
    await Promise.all(plcs.map((plc) => plc.stop()));
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Waits until the devices write as often as they do for good. */
async function settled(writes: () => number): Promise<void> {
  for (let waited = 0; waited < SETTLING; waited += 10) {
    const before = writes();
    await sleep(10_000);
    if (waited > 30 && writes() - before <= DEVICES * 1.02) return;
  }
}

/** Subscribes to every change of every twin. */
async function hear(port: number, plcs: readonly SteppingPlc[]) {
  const client = await LoadClient.connect({ port, clientId: 'bench' });
  const heard = {
    updates: 0,
    delays: [] as number[],
    reset: () => Object.assign(heard, { updates: 0, delays: [] }),
    close: () => client.close(),
  };
  client.onPublish = (packet) => {
    const now = performance.now();
    const text = packet.toString('latin1');
    const plc = plcs[Number(/\/device\/default\/d(\d+)\//.exec(text)?.[1])];
    const { twin } = JSON.parse(text.slice(text.indexOf('{'))) as { twin: Record<string, Documented> };
    heard.updates += Object.keys(twin).length;
    const answered = plc?.answeredAt(Number(twin.p0?.current?.actual?.value));
    if (answered !== undefined) heard.delays.push(now - answered);
  };
  await client.subscribe('$hw/events/device/+/+/twin/update/document', 0);
  return heard;
}

type Documented = { readonly current?: { readonly actual?: { readonly value?: string } } };
