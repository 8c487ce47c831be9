import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Kubectl, kubectlPrograms } from '../kubectl.ts';
import { busyboxPod } from '../kubernetes/busybox-pod.ts';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { configMap } from '../kubernetes/core-objects.ts';
import { plcObjects } from '../kubernetes/device-objects.ts';
import { type Program, until } from '../program.ts';
import { nodeKubectl } from './node-kubectl.ts';

type Context = { cluster: Cluster; node: Kubectl; oldest: Kubectl; shim: Program; edge: Program };
const test = suite<Context>('the API of the node');
const programs = kubectlPrograms();
const newest = programs.at(-1);

test.before(async (context) => {
  context.cluster = await startCluster(newest ?? '', { metaServer: true });
  const { stack, kubectl, node } = context.cluster;
  context.node = nodeKubectl(context.cluster, newest ?? '');
  context.oldest = nodeKubectl(context.cluster, programs[1] ?? newest ?? '');
  context.shim = stack.program('cloud-shim');
  context.edge = stack.program('edgecore');
  const { model, device } = plcObjects({ node, port: stack.options.ports.plc });
  await kubectl.apply(
    model,
    device,
    configMap('seen', { one: '1' }),
    busyboxPod('mine', {}, { nodeName: node, volumes: [] }),
  );
  await until('the pod is on the node', async () => {
    return (await context.node.value(['pod', 'mine'], '{.spec.nodeName}')) === node;
  });
});

test.after(async ({ cluster }) => {
  await cluster.close();
});

/** What kubectl remembers of the server is forgotten, as on a machine that comes anew. */
function forgetCache({ cluster }: Context): void {
  rmSync(join(cluster.stack.options.dir, 'node-kubectl', 'cache'), { recursive: true, force: true });
}

/** `EVENT NAME DATA`, without ages. */
function follow(kubectl: Kubectl, lines: string[]): ReturnType<Kubectl['follow']> {
  return kubectl.follow(['get', 'cm', '-w', '--output-watch-events'], (line) =>
    lines.push(line.split(/ +/, 3).join(' ')),
  );
}

if (newest) {
  test('online: discovery, get, describe, selectors and the columns of the cluster', async (context) => {
    for (const kubectl of [context.node, context.oldest]) {
      forgetCache(context);
      assert.match(await kubectl.run(['api-resources']), /^pods +po +v1 +true +Pod$/m);
      assert.match(await kubectl.run(['get', 'cm', 'seen']), /^NAME +DATA +AGE\nseen +1 +\w+\n$/);
      assert.match(await kubectl.run(['describe', 'cm', 'seen']), /^Name: +seen\n[\s\S]*one:\n----\n1\n/);
      assert.is(await kubectl.value(['cm', 'seen'], '{.data.one}'), '1');
      assert.match(
        await kubectl.run(['get', 'pods', '--field-selector', 'metadata.name=mine']),
        /^NAME +READY +STATUS +RESTARTS +AGE\nmine /,
      );
      assert.match(await kubectl.refusal(['get', 'cm', 'none']), /configmaps "none" not found/);
      assert.match(await kubectl.run(['describe', 'pod', 'mine']), /^Name: +mine\n/);
      assert.match(await kubectl.run(['get', 'devices']), /plc/);
      assert.match(await kubectl.run(['version']), /Server Version: .*v1\.32\.0-mini-master/);
    }
  });

  test('online: what is written here is in the cluster', async ({ node, oldest, cluster }) => {
    for (const [kubectl, name] of [
      [node, 'made-new'],
      [oldest, 'made-old'],
    ] as const) {
      assert.is(await kubectl.apply(configMap(name, { one: '1' })), `configmap/${name} created\n`);
      assert.is(await kubectl.apply(configMap(name, { one: '2' })), `configmap/${name} configured\n`);
      assert.is(await cluster.kubectl.value(['cm', name], '{.data.one}'), '2');
      await kubectl.run(['patch', 'cm', name, '-p', '{"data":{"three":"3"}}']);
      assert.is(await cluster.kubectl.value(['cm', name], '{.data.three}'), '3');
      await kubectl.run(['label', 'cm', name, 'colour=red']);
      await kubectl.run(['apply', '--server-side', '-f', '-'], JSON.stringify(configMap(`${name}-ssa`, {})));
      assert.match(await kubectl.run(['get', 'cm', '-l', 'colour=red', '-o', 'name']), new RegExp(name));
      assert.match(await kubectl.run(['delete', 'cm', name]), /deleted/);
      assert.match(await cluster.kubectl.refusal(['get', 'cm', name]), /NotFound/);
    }
  });

  test('online: a watch sees what changes in the cluster, and that it goes', async ({ node, cluster }) => {
    const lines: string[] = [];
    const watch = follow(node, lines);
    try {
      await until('the watch runs', () => lines.some((line) => /seen/.test(line)));
      await cluster.kubectl.create(configMap('watched', { v: '1' }));
      await until('it comes', () => lines.includes('ADDED watched 1'));
      await cluster.kubectl.run(['patch', 'cm', 'watched', '-p', '{"data":{"w":"2"}}']);
      await until('it changes', () => lines.includes('MODIFIED watched 2'));
      await cluster.kubectl.run(['delete', 'cm', 'watched']);
      await until('it goes', () => lines.includes('DELETED watched 2'));
    } finally {
      watch.kill();
    }
  });

  test('online: pods are watched in rows', async ({ node, cluster }) => {
    const lines: string[] = [];
    const watch = node.follow(['get', 'pods', '-w'], (line) => lines.push(line));
    try {
      await until('the pod that is', () => lines.some((line) => /^mine /.test(line)));
      await cluster.kubectl.apply(busyboxPod('other', {}, { nodeName: cluster.node }));
      await until('the pod that comes', () => lines.some((line) => /^other +0\/1/.test(line)));
    } finally {
      watch.kill();
    }
  });

  test('offline: it serves what it holds, in tables of its own', async (context) => {
    const { node, oldest, shim, cluster } = context;
    await shim.stop();
    for (const kubectl of [node, oldest]) {
      forgetCache(context);
      assert.match(await kubectl.run(['get', 'pods']), /^NAME +READY +STATUS +RESTARTS +AGE\nmine +0\/1 /);
      assert.match(await kubectl.run(['get', 'cm', 'seen']), /^NAME +DATA +AGE\nseen +1 /);
      assert.match(await kubectl.run(['get', 'nodes']), new RegExp(`^NAME +AGE\n${cluster.node} `));
      assert.match(await kubectl.run(['get', 'devices']), /^NAME +AGE\nplc /);
      assert.match(await kubectl.run(['describe', 'pod', 'mine']), /^Name: +mine\n/);
      assert.match(await kubectl.refusal(['get', 'cm', 'none']), /not found on this node/);
    }
  });

  test('offline: writes are refused, and say why', async ({ node }) => {
    const wanted = /ServiceUnavailable.*while the cloud is away/;
    assert.match(await node.refusal(['create', '-f', '-'], configMap('no', {})), wanted);
    assert.match(await node.refusal(['patch', 'cm', 'seen', '-p', '{"data":{"a":"b"}}']), wanted);
    assert.match(await node.refusal(['delete', 'cm', 'seen']), wanted);
  });

  test('offline, killed and started: it serves what it holds', async (context) => {
    const { node, cluster } = context;
    await context.edge.kill();
    context.edge = await cluster.stack.startEdge();
    forgetCache(context);
    assert.match(await node.run(['get', 'pods,cm,devices']), /pod\/mine[\s\S]*configmap\/seen[\s\S]*\/plc/);
  });

  test('a watch outlives the outage and tells of what happened meanwhile', async (context) => {
    const { node, cluster } = context;
    const lines: string[] = [];
    const watch = follow(node, lines);
    try {
      await until('the watch runs', () => lines.some((line) => /seen/.test(line)));
      await cluster.kubectl.create(configMap('meanwhile', { one: '1' }));
      await cluster.kubectl.run(['delete', 'cm', 'seen']);
      context.shim = await cluster.stack.startShim();
      await until('what came', () => lines.includes('ADDED meanwhile 1'));
      await until('what went', () => lines.includes('DELETED seen 1'));
    } finally {
      watch.kill();
    }
  });
}

test.run();
