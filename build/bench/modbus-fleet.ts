import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import { Plc } from '../../hw-tests/plc/plc.ts';
import { until } from '../../hw-tests/program.ts';
import { freePorts, Stack } from '../../hw-tests/stack.ts';
import { type Figure, figure } from './figure.ts';
import { cpuSecondsOf, memoryOf } from './process-meter.ts';

const DEVICES = 100;
const POINTS = 100;
const NODE = 'edge-bench';
/** Points of each device that change each second. */
const MOVING = 1;
const apiVersion = 'devices.kubeedge.io/v1beta1';

/** The built edgecore with 100 devices over TCP, each with 100 points each second, of which one changes: 10,000 points read,
 * and 100 reported to MQTT and the cloud. */
export async function* benchFleet(seconds: number): AsyncGenerator<Figure> {
  const dir = mkdtempSync(join(tmpdir(), 'edgecore-bench-'));
  const plcs = Array.from({ length: DEVICES }, () => new Plc({ moves: false }));
  const stack = new Stack({
    dir,
    ports: await freePorts(),
    node: NODE,
    criEndpoint: `unix://${dir}/no-containerd.sock`,
  });
  let step = 0;
  const moving = setInterval(() => {
    step++;
    for (const plc of plcs)
      for (let i = 0; i < MOVING; i++) plc.memory.holding.writeUInt16BE(step & 0xffff, i * 2);
  }, 1000);
  try {
    const ports = await Promise.all(plcs.map((plc) => plc.start('127.0.0.1', 0)));
    await stack.startMaster();
    await stack.startShim();
    const edge = await stack.startEdge();
    await stack.registered();
    await stack.api.create(kinds.deviceModel, { name: 'points', namespace: 'default' }, model);
    for (const [i, port] of ports.entries())
      await stack.api.create(kinds.device, { name: `d${i}`, namespace: 'default' }, deviceAt(`d${i}`, port));
    await until('every device is read', () => plcs.every(({ requests }) => requests > 3), 120_000);
    await sleep(10_000); // the first values have gone up
    const before = { cpu: cpuSecondsOf(edge.pid), requests: requestsOf(plcs), at: performance.now() };
    const rss: number[] = [];
    for (let i = 0; i < seconds; i++) {
      await sleep(1000);
      rss.push(memoryOf(edge.pid).rssMb);
    }
    const elapsed = (performance.now() - before.at) / 1000;
    const place = (name: string, unit: string) => ({
      bench: 'modbus',
      scenario: '100-devices-of-100-points-tcp',
      figure: name,
      unit,
    });
    yield figure(
      place('points_per_second', '1/s'),
      ((requestsOf(plcs) - before.requests) * POINTS) / elapsed,
      { least: 9500 },
    );
    yield figure(place('cpu_cores', ''), (cpuSecondsOf(edge.pid) - before.cpu) / elapsed, { most: 0.5 });
    yield figure(place('rss_mb', 'MB'), Math.max(...rss), { most: 80 });
  } finally {
    clearInterval(moving);
    await stack.stop();
    await Promise.all(plcs.map((plc) => plc.stop()));
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Each reads all points of a device. */
function requestsOf(plcs: readonly Plc[]): number {
  return plcs.reduce((sum, { requests }) => sum + requests, 0);
}

const names = Array.from({ length: POINTS }, (_, i) => `p${i}`);

const model = {
  apiVersion,
  kind: 'DeviceModel',
  metadata: { name: 'points', namespace: 'default' },
  spec: {
    protocol: 'modbus',
    properties: names.map((name) => ({ name, type: 'INT', accessMode: 'ReadOnly' })),
  },
};

function deviceAt(name: string, port: number) {
  return {
    apiVersion,
    kind: 'Device',
    metadata: { name, namespace: 'default' },
    spec: {
      deviceModelRef: { name: 'points' },
      nodeName: NODE,
      protocol: { protocolName: 'modbus', configData: { host: '127.0.0.1', port } },
      properties: names.map((property, i) => ({
        name: property,
        reportToCloud: true,
        collectCycle: 1000,
        visitors: { protocolName: 'modbus', configData: { register: 'holding', address: i, type: 'uint16' } },
      })),
    },
  };
}
