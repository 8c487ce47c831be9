import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import type { ConsoleSnapshot } from '../../runtime/console/snapshot.ts';
import type { DeviceModel } from '../../runtime/core/devices.ts';
import type { KubeObject } from '../../runtime/core/k8s.ts';
import { until } from '../program.ts';
import { freePorts, Stack, type StackOptions } from '../stack.ts';
import { CLOUD, CLOUD_NAME, canBreakNetworks, EDGE, Network } from './network.ts';

type Context = { dir: string; network: Network; stack: Stack; base: StackOptions };
const test = suite<Context>('the link over a network that breaks');
const possible = canBreakNetworks();
const RECEIVED = 'edgecore_link_received_bytes_total';
/** What the edge may take to notice that nothing comes through any more. */
const NOTICED = 45_000;
/** A try under way ends within 30 s, the longest wait is 60 s. */
const RECOVERED = 100_000;

test.before(async (context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'edgecore-link-'));
  context.network = new Network();
  if (!possible) return;
  context.network.open();
  const ports = await freePorts();
  context.base = {
    dir: context.dir,
    ports,
    node: 'edge-link',
    criEndpoint: `unix://${context.dir}/no-containerd.sock`,
    edgePrefix: context.network.edgePrefix,
    cloudHosts: [...CLOUD, CLOUD_NAME],
    modules: modules(ports, `${CLOUD_NAME}:${ports.cloudhub}`, []),
  };
  context.stack = new Stack(context.base);
  await context.stack.startMaster();
  await context.stack.startShim();
  await context.stack.startPlc();
  await context.stack.startEdge();
  await context.stack.registered();
  await context.stack.applyPlc();
  await until('values come', () => moves(context));
});

test.after(async ({ stack, network, dir }) => {
  await stack?.stop();
  if (possible) network.close();
  rmSync(dir, { recursive: true, force: true });
});

test.after.each(({ network }) => {
  if (possible) network.heal();
});

function modules(
  ports: StackOptions['ports'],
  server: string,
  servers: string[],
): NonNullable<StackOptions['modules']> {
  return {
    edgeHub: {
      httpServer: `https://${CLOUD_NAME}:${ports.enrolment}`,
      websocket: { server, servers },
    },
    edgeStream: { enable: false },
    // Nothing but the network decides when the cluster hears of a value.
    deviceTwin: { cloudReport: { interval: 1 } },
    console: { address: `${EDGE}:${ports.console}` },
  };
}

async function page({ stack }: Context, path: string): Promise<string> {
  const url = `http://${EDGE}:${stack.options.ports.console}${path}`;
  const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
  return response.text();
}

async function link(context: Context): Promise<ConsoleSnapshot['link']> {
  return (JSON.parse(await page(context, '/api/state')) as ConsoleSnapshot).link;
}

const isOnline = async (context: Context): Promise<boolean> => (await link(context)).state === 'online';

async function figure(context: Context, name: string): Promise<number> {
  const line = (await page(context, '/metrics')).match(new RegExp(`^${name} (\\d+)$`, 'm'));
  return Number(line?.[1] ?? Number.NaN);
}

/** Whether the cluster is told of a new value of the PLC, which counts. */
async function moves({ stack }: Context): Promise<boolean> {
  const before = await stack.reported('counter');
  return until('another value', async () => (await stack.reported('counter')) !== before, 60_000);
}

async function timed(what: string, work: Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work;
  const took = performance.now() - start;
  process.stdout.write(`${what}: ${(took / 1000).toFixed(1)} s\n`);
  return took;
}

if (possible) {
  test('packets that are silently dropped are noticed within 45 s; when they pass again, so does everything', async (context) => {
    const { network, stack } = context;
    network.drop(stack.options.ports.cloudhub);
    const noticed = until('it is noticed', async () => !(await isOnline(context)), NOTICED);
    await timed('half-open connection noticed after', noticed);
    assert.is((await link(context)).reason, 'the cloud has fallen silent');
    network.heal();
    const back = until('the link is back', () => isOnline(context), RECOVERED);
    await timed('link back after the filter went', back);
    assert.ok(await moves(context));
  });

  test('the cloud restarts: the link comes back with what was missed', async (context) => {
    const { stack } = context;
    await stack.program('cloud-shim').kill();
    await until('it is noticed', async () => !(await isOnline(context)), 5000);
    await stack.startShim();
    await timed(
      'link back after the restart',
      until('it is back', () => isOnline(context), RECOVERED),
    );
    assert.ok(await moves(context));
  });

  test('over 20 kbit/s with 5 % of the packets lost the link stays, and large objects come through', async (context) => {
    const { network, stack } = context;
    const { since } = await link(context);
    network.slow(20, 0.05);
    const name = 'large-model';
    const properties = Array.from({ length: 600 }, (_, i) => ({
      name: `property-${i}`,
      description: `what property ${i} is about, at some length, because models in the field are as large as this`,
      type: 'INT',
      accessMode: 'ReadOnly',
    }));
    const { apiVersion, kind } = kinds.deviceModel;
    const model = { apiVersion, kind, metadata: { name }, spec: { protocol: 'none', properties } };
    await create(stack, model as unknown as DeviceModel);
    const device = { metadata: { name: 'large' }, apiVersion: kinds.device.apiVersion, kind: 'Device' };
    const spec = {
      deviceModelRef: { name },
      nodeName: stack.options.node,
      protocol: { protocolName: 'none' },
    };
    await create(stack, { ...device, spec } as unknown as KubeObject);
    const size = JSON.stringify(model).length;
    const before = await figure(context, RECEIVED);
    const acknowledged = until(
      'the model is there',
      async () => {
        const last = (await figure(context, RECEIVED)) - before;
        return last > size && last;
      },
      300_000,
    );
    await timed('a new value up meanwhile', moves(context));
    // The answer to it is stuck behind the model: the next value does not wait for that.
    const second = await timed('the next value', moves(context));
    assert.ok(second < 10_000, `${second} ms`);
    await timed(`${size} bytes down over 20 kbit/s, 5 % lost`, acknowledged);
    const received = await acknowledged;
    assert.ok(received < 1.5 * size, `it was sent once: ${received} bytes came`);
    assert.ok(await moves(context));
    assert.is((await link(context)).since, since, 'it is still the same connection');
  });

  test('the name of the cloud gets another address: the link goes there', async (context) => {
    const { network, stack } = context;
    network.rename([CLOUD[1]]);
    network.drop(stack.options.ports.cloudhub, [CLOUD[0]]);
    await until('the old connection is given up', async () => !(await isOnline(context)), NOTICED);
    await timed(
      'link to the new address',
      until('it is there', () => isOnline(context), RECOVERED),
    );
    assert.ok(await moves(context));
    network.rename([CLOUD[0]]);
  });

  test('of several addresses the one that answers is used, and kept to', async (context) => {
    const { network, base } = context;
    const { cloudhub } = base.ports;
    const [first, second] = CLOUD.map((address) => `${address}:${cloudhub}`);
    await context.stack.program('edgecore').stop();
    const several = { ...base, modules: modules(base.ports, first ?? '', [second ?? '']) };
    Object.assign(context.stack.options, several);
    await context.stack.startEdge();
    await until('the first is used', async () => (await link(context)).server === first);
    await until('it works', () => isOnline(context));
    network.drop(cloudhub, [CLOUD[0]]);
    const there = until(
      'the second is used',
      async () => {
        const { state, server } = await link(context);
        return state === 'online' && server === second;
      },
      RECOVERED,
    );
    await timed('link by the second address', there);
    network.heal();
    network.refuse(cloudhub);
    await until('it is cut', async () => !(await isOnline(context)), NOTICED);
    network.heal();
    await until('it is back', () => isOnline(context), RECOVERED);
    assert.is((await link(context)).server, second, 'it is kept to');
  });
}

async function create(stack: Stack, object: KubeObject): Promise<void> {
  const kind = Object.values(kinds).find((known) => known.kind === object.kind) ?? kinds.device;
  const { name } = object.metadata;
  const answer = await stack.api.create(kind, { name, namespace: 'default' }, object);
  if ('status' in answer) throw new Error(answer.status.message);
}

test.run();
