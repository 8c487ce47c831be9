import { LoadClient } from '../../build/bench/load-client.ts';
import { deviceOf, modelOf } from '../../build/bench/points.ts';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import type { DeviceStatus } from '../../runtime/core/devices.ts';
import { until } from '../program.ts';
import type { Gateway } from './gateway.ts';

/** The load of build/bench/rss.ts: clients, messages a second of all together, points of a Modbus device each second. */
const CLIENTS = 50;
const RATE = 500;
const POINTS = 20;

/** Resident memory of edgecore under load, in MB: the most of samples taken once a second.
 * @param limit ms that the device may take to be there */
export async function weigh(gateway: Gateway, seconds: number, limit: number): Promise<number> {
  const { stack, machine, mqttPort } = gateway;
  await stack.startPlc();
  // The emulated machine finds what listens on this machine's 127.0.0.1 at another address.
  const device = deviceOf({ points: POINTS, node: stack.options.node, port: stack.options.ports.plc });
  const protocol = {
    ...device.spec.protocol,
    configData: { ...device.spec.protocol.configData, host: '10.0.2.2' },
  };
  const place = { name: 'points', namespace: 'default' };
  await stack.api.create(kinds.deviceModel, place, modelOf(POINTS));
  await stack.api.create(kinds.device, place, { ...device, spec: { ...device.spec, protocol } });
  await until(
    'every point is in the cluster',
    async () =>
      (await stack.object<DeviceStatus>(kinds.deviceStatus, 'points'))?.status.twins?.length === POINTS,
    limit,
  );
  const stopLoad = await startLoad(mqttPort);
  try {
    // The samples of the second half, when caches and heaps have grown.
    const samples = await machine.shell(
      `pid=$(systemctl show -P MainPID edgecore); for i in $(seq ${seconds}); do sleep 1; grep VmRSS /proc/$pid/status; done`,
    );
    const sizes = [...samples.matchAll(/(\d+) kB/g)].map((match) => Number(match[1]) / 1024);
    return Math.max(...sizes.slice(sizes.length / 2));
  } finally {
    stopLoad();
  }
}

/** Every client hears its neighbour. */
async function startLoad(port: number): Promise<() => void> {
  const clients: LoadClient[] = [];
  for (let i = 0; i < CLIENTS; i++) {
    const client = await LoadClient.connect({ port, clientId: `load-${i}`, keepalive: 0 });
    await client.subscribe(`bench/${i}`, 1);
    client.prepare(`bench/${(i + 1) % CLIENTS}`, Buffer.alloc(64, 'x'), i % 2 === 0 ? 0 : 1);
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
