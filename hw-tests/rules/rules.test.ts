import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { stringify } from 'yaml';
import type { ConsoleRule, ConsoleSnapshot } from '../../runtime/console/snapshot.ts';
import { type Cluster, startCluster } from '../kubernetes/cluster.ts';
import { plcObjects } from '../kubernetes/device-objects.ts';
import { Mosquitto, type Subscriber } from '../mqtt/mosquitto.ts';
import { Plc } from '../plc/plc.ts';
import { type Program, until } from '../program.ts';
import { requireProgram } from '../real-parts.ts';
import { Receiver } from './receiver.ts';

type Context = {
  cluster: Cluster;
  plc: Plc;
  mqtt: Mosquitto;
  heard: Subscriber;
  receiver: Receiver;
  folder: string;
  shim: Program;
  edge: Program;
};
const test = suite<Context>('local rules');
const kubectl = requireProgram('kubectl', 'kubernetes-client');
const hasClients =
  requireProgram('mosquitto_pub', 'mosquitto-clients') !== undefined &&
  requireProgram('mosquitto_sub', 'mosquitto-clients') !== undefined;

test.before(async (context) => {
  context.plc = new Plc({ moves: false });
  context.receiver = await Receiver.start();
  context.folder = mkdtempSync(join(tmpdir(), 'edgecore-rules-'));
  if (!kubectl || !hasClients) return;
  const port = await context.plc.start('127.0.0.1', 0);
  mkdirSync(context.folder, { recursive: true });
  context.cluster = await startCluster(kubectl, { modules: { rules: { path: context.folder } } });
  const { cluster } = context;
  context.shim = cluster.stack.program('cloud-shim');
  context.edge = cluster.stack.program('edgecore');
  context.mqtt = new Mosquitto(cluster.stack.options.ports.mqtt);
  await listen(context);
  const { model, device } = plcObjects({ node: cluster.node, port });
  const properties = device.spec.properties.map(({ desired: _desired, ...property }) => property);
  await cluster.kubectl.apply(model, { ...device, spec: { ...device.spec, properties } });
  await until('the device is online', async () => (await local(context)).devices[0]?.state === 'online');
});

test.after(async ({ cluster, plc, mqtt, receiver, folder }) => {
  await mqtt?.close();
  await cluster?.close();
  await plc.stop();
  await receiver.stop();
  rmSync(folder, { recursive: true });
});

async function listen(context: Context): Promise<void> {
  context.heard = await context.mqtt.subscribe(['alarm/#', '$hw/events/node/+/rules/alarm']);
}

/** What the node itself says, on its console. */
async function local({ cluster }: Context): Promise<ConsoleSnapshot> {
  const response = await fetch(`http://127.0.0.1:${cluster.stack.options.ports.console}/api/state`);
  return (await response.json()) as ConsoleSnapshot;
}

async function onNode(context: Context, name: string): Promise<ConsoleRule | undefined> {
  return (await local(context)).rules.find(({ id }) => id.endsWith(`/${name}`));
}

const isOnNode = (context: Context, name: string, state: string) =>
  until(`rule ${name} is ${state}`, async () => (await onNode(context, name))?.state === state);

function rule({ cluster }: Context, name: string, spec: object, metadata: object = {}) {
  return {
    apiVersion: 'rules.edgecore.io/v1alpha1',
    kind: 'LocalRule',
    metadata: { name, namespace: cluster.namespace, ...metadata },
    spec: { nodeName: cluster.node, ...spec },
  };
}

/** The same for a file. */
function fileRule(context: Context, name: string, spec: object): string {
  const { nodeName: _node, ...rest } = rule(context, name, spec).spec;
  return stringify({ ...rule(context, name, spec), spec: rest });
}

const write = (value: boolean) => [{ write: { device: 'plc', property: 'switch', value } }];
const cooling = {
  when: { all: [{ device: 'plc', property: 'temperature', above: 70, hysteresis: 5 }] },
  for: '3s',
  do: [...write(true), { publish: { topic: 'alarm/hot', payload: '{{property}} {{value}}', qos: 1 } }],
  otherwise: write(false),
};

const heat = ({ plc }: Context, degrees: number): number => plc.memory.input.writeInt16BE(degrees * 10, 0);
const coil = ({ plc }: Context): number => plc.memory.coils[0] ?? -1;
const coilIs = (context: Context, value: number) =>
  until(`the coil is ${value}`, () => coil(context) === value);
const condition = ({ cluster }: Context, name: string, type: string, field = 'status') =>
  cluster.kubectl.value(['localrule', name], `{.status.conditions[?(@.type=="${type}")].${field}}`);

if (kubectl && hasClients) {
  test('a rule that is applied reaches the node, which says that it takes it', async (context) => {
    const { cluster } = context;
    await cluster.kubectl.apply(rule(context, 'cooling', cooling));
    await isOnNode(context, 'cooling', 'waiting');
    await until('Accepted', async () => (await condition(context, 'cooling', 'Accepted')) === 'True');
    assert.match(await cluster.kubectl.run(['get', 'lrule', 'cooling', '--no-headers']), /True +True +0/);
  });

  test('what the API server lets pass and the node does not understand is refused with the reason', async (context) => {
    const { cluster } = context;
    const when = { all: [{ topic: 'a/+', above: 1 }] };
    await cluster.kubectl.apply(rule(context, 'wrong', { when, do: [{ publish: { topic: 'b' } }] }));
    await until('not Accepted', async () => (await condition(context, 'wrong', 'Accepted')) === 'False');
    const why = await condition(context, 'wrong', 'Accepted', 'message');
    assert.match(why, /spec\.when\.all\.0\.topic = "a\/\+": want one topic/);
    await cluster.kubectl.run(['delete', 'localrule', 'wrong']);
    await until('it is gone', async () => (await onNode(context, 'wrong')) === undefined);
  });

  test('without the cloud: over 70 for 3 s switches the coil on, under 65 off', async (context) => {
    await context.shim.stop();
    await until('the node notices', async () => (await local(context)).link.state !== 'online');
    heat(context, 71);
    await isOnNode(context, 'cooling', 'pending');
    const begun = performance.now();
    await coilIs(context, 1);
    const took = performance.now() - begun;
    assert.ok(took > 2000 && took < 10_000, `${took} ms`);
    const { payload } = await context.heard.message('the alarm', ({ topic }) => topic === 'alarm/hot');
    assert.is(payload, 'temperature 71');
    heat(context, 66);
    await until('66 is read', async () => {
      const [device] = (await local(context)).devices;
      return device?.properties.find(({ name }) => name === 'temperature')?.value === '66';
    });
    assert.is(coil(context), 1);
    heat(context, 64);
    await coilIs(context, 0);
    await isOnNode(context, 'cooling', 'waiting');
  });

  test('killed while the coil is on and started without the cloud, it keeps it on, and switches it off', async (context) => {
    heat(context, 80);
    await coilIs(context, 1);
    await isOnNode(context, 'cooling', 'active');
    await context.edge.kill();
    heat(context, 68);
    context.edge = await context.cluster.stack.startEdge();
    await until('68 is read', async () => {
      const [device] = (await local(context)).devices;
      return device?.properties.find(({ name }) => name === 'temperature')?.value === '68';
    });
    assert.equal([coil(context), (await onNode(context, 'cooling'))?.state], [1, 'active']);
    heat(context, 60);
    await coilIs(context, 0);
    await listen(context);
  });

  test('a coil that was switched by hand is switched again', async (context) => {
    heat(context, 75);
    await coilIs(context, 1);
    context.plc.memory.coils[0] = 0;
    heat(context, 60);
    await isOnNode(context, 'cooling', 'waiting');
    context.plc.memory.coils[0] = 1;
    heat(context, 75);
    await isOnNode(context, 'cooling', 'active');
    heat(context, 60);
    await coilIs(context, 0);
  });

  test('what was deleted and changed meanwhile is so when the cloud is back, and it hears how often a rule acted', async (context) => {
    const { cluster } = context;
    await cluster.kubectl.run(['delete', 'localrule', 'cooling']);
    const say = {
      when: { all: [{ topic: 'site/count', changes: true }] },
      do: [{ publish: { topic: 'alarm/count' } }],
    };
    await cluster.kubectl.apply(rule(context, 'count', say));
    assert.ok(await onNode(context, 'cooling'));
    context.shim = await cluster.stack.startShim();
    await until('the deleted one is gone', async () => (await onNode(context, 'cooling')) === undefined);
    await isOnNode(context, 'count', 'waiting');
    await until('Accepted', async () => (await condition(context, 'count', 'Accepted')) === 'True');
    for (const value of ['1', '2', '3']) await context.mqtt.publish('site/count', value);
    await context.heard.message(
      'the third',
      ({ topic, payload }) => topic === 'alarm/count' && payload === '3',
    );
    assert.is((await onNode(context, 'count'))?.fired, 2);
  });

  test('a pair that plays ping-pong is stopped with an alarm, and runs again when it is reset', async (context) => {
    const { cluster, heard } = context;
    const toggle = (from: boolean) => ({
      when: { all: [{ device: 'plc', property: 'switch', equals: from }] },
      do: write(!from),
    });
    await cluster.kubectl.apply(rule(context, 'ping', toggle(false)), rule(context, 'pong', toggle(true)));
    const alarm = await heard.message('the alarm', ({ topic }) => topic.endsWith('/rules/alarm'));
    const { rule: id, reason } = JSON.parse(alarm.payload) as { rule: string; reason: string };
    assert.match(reason, /^it has set itself off over .*\/p[io]ng more than 10 times in 60 s$/);
    const name = id.split('/')[1] ?? '';
    await isOnNode(context, name, 'stopped');
    await until('the cluster knows', async () => (await condition(context, name, 'Running')) === 'False');
    assert.is(await condition(context, name, 'Running', 'reason'), 'LoopDetected');
    await until('the event', async () => {
      const events = ['events', '--field-selector', `involvedObject.name=${name}`];
      return (await cluster.kubectl.value(events, '{.items[0].reason}')) === 'RuleStopped';
    });
    await cluster.kubectl.run(['delete', 'localrule', name === 'ping' ? 'pong' : 'ping']);
    await cluster.kubectl.run(['annotate', 'localrule', name, 'rules.edgecore.io/reset=1']);
    await until('it runs again', async () => (await onNode(context, name))?.state !== 'stopped');
    await until('the cluster knows', async () => (await condition(context, name, 'Running')) === 'True');
    await cluster.kubectl.run(['delete', 'localrule', name]);
  });

  test('a rule in a file is followed as it changes; one with a fault is refused, and what was goes on', async (context) => {
    const { cluster, folder, mqtt, heard } = context;
    const door = (topic: string) =>
      fileRule(context, 'door', {
        when: { all: [{ topic: 'site/door', path: 'state.open', equals: true }] },
        do: [{ publish: { topic, payload: '{"open":{{value:json}}}' } }],
      });
    const file = join(folder, 'doors.yaml');
    await mqtt.publish('site/door', '{"state":{"open":false}}', { args: ['-r'] });
    writeFileSync(file, door('alarm/door'));
    await isOnNode(context, 'door', 'waiting');
    await mqtt.publish('site/door', '{"state":{"open":true}}', { args: ['-r'] });
    const { payload } = await heard.message('the door', ({ topic }) => topic === 'alarm/door');
    assert.is(payload, '{"open":true}');
    writeFileSync(file, door('alarm/door').replace('equals: true', 'equals: [1]'));
    await until('it is refused', async () => {
      const refused = (await local(context)).rules.find(({ id }) => id === file);
      return refused?.reason?.startsWith(
        `${file}:11: rule door: spec.when.all.0.equals = [1]: want a text, a number`,
      );
    });
    await isOnNode(context, 'door', 'active');
    rmSync(file);
    await until('it is gone', async () => (await onNode(context, 'door')) === undefined);
    assert.ok(cluster.stack.program('edgecore').isRunning);
  });

  test('a durable call reaches its server, which was away, over a restart', async (context) => {
    const { cluster, receiver, mqtt } = context;
    const http = { url: `${receiver.url}/hot`, body: '{"t":{{value:json}}}', durable: true };
    const spec = { when: { all: [{ topic: 'site/heat', above: 70 }] }, do: [{ http }] };
    await cluster.kubectl.apply(rule(context, 'call', spec));
    await isOnNode(context, 'call', 'waiting');
    receiver.status = 503;
    await mqtt.publish('site/heat', '71.5');
    // The second time it is on disk for certain: what is written waits up to a quarter of a second for more.
    await until('it is tried again', () => receiver.calls.length > 1);
    await until('the error is shown', async () =>
      /answered 503/.test((await onNode(context, 'call'))?.lastError ?? ''),
    );
    await context.edge.kill();
    receiver.calls.length = 0;
    receiver.status = 200;
    context.edge = await cluster.stack.startEdge();
    await until('it arrives', () => receiver.calls.length > 0);
    assert.equal(receiver.calls, ['POST /hot {"t":71.5}']);
  });
}

test.run();
