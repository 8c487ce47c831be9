import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import type { Device, DeviceModel, DeviceStatus } from '../../runtime/core/devices.ts';
import { FakeClock } from '../../runtime/core/fake-clock.ts';
import type { KubeObject } from '../../runtime/core/k8s.ts';
import { silentLogger } from '../../runtime/core/log.ts';
import { type MessageDraft, newMessage } from '../../runtime/core/message.ts';
import { FakeApi } from '../kube/fake-api.ts';
import { Informer } from '../kube/informer.ts';
import { kinds } from '../kube/resource-kind.ts';
import { deviceControllerConfig } from './config.ts';
import { DeviceController } from './devicecontroller.ts';

type Context = {
  api: FakeApi;
  clock: FakeClock;
  controller: DeviceController;
  /** `node operation resource`, of objects and memberships. */
  sent: string[];
  away: Set<string>;
  /** An object of the cluster changes, appears or goes. */
  put: (object: Device | DeviceModel) => Promise<void>;
  remove: (object: Device | DeviceModel) => Promise<void>;
  stop: () => Promise<void>;
};
const test = suite<Context>('device controller');

test.before.each(async (context) => {
  const api = new FakeApi();
  const clock = new FakeClock();
  const abort = new AbortController();
  const sent: string[] = [];
  const away = new Set<string>();
  const of = <T extends KubeObject>(kind: typeof kinds.device): Informer<T> =>
    new Informer<T>({ api, kind, clock, log: silentLogger, random: () => 0 });
  const informers = {
    devices: of<Device>(kinds.device),
    models: of<DeviceModel>(kinds.deviceModel),
    statuses: of<DeviceStatus>(kinds.deviceStatus),
  };
  await Promise.all(Object.values(informers).map((informer) => informer.start(abort.signal)));
  const note = (node: string, { operation, resource, content }: MessageDraft): void => {
    const { added_devices: added, removed_devices: removed } = content as Record<
      string,
      { id: string }[] | null
    >;
    const ids = [...(added ?? []).map(({ id }) => ` +${id}`), ...(removed ?? []).map(({ id }) => ` -${id}`)];
    sent.push(`${node} ${operation} ${resource}${ids.join('')}`);
  };
  const controller = new DeviceController({
    ...informers,
    config: v.parse(deviceControllerConfig, {}),
    api,
    link: { isConnected: (node) => !away.has(node), send: note, deliver: note },
    clock,
    log: silentLogger,
  });
  let version = 1000;
  const tell = async (type: 'MODIFIED' | 'DELETED', object: Device | DeviceModel): Promise<void> => {
    const plural = 'type' in object || !('deviceModelRef' in object.spec) ? 'devicemodels' : 'devices';
    const metadata = { ...object.metadata, resourceVersion: String(++version) };
    api.watches.find((open) => open.plural === plural)?.send({ type, object: { ...object, metadata } });
    await clock.advance(0);
  };
  Object.assign(context, { api, clock, controller, sent, away });
  context.put = (object) => tell('MODIFIED', object);
  context.remove = (object) => tell('DELETED', object);
  context.stop = async () => {
    abort.abort();
    await controller.stop();
    await Promise.all(Object.values(informers).map((informer) => informer.stop()));
  };
});
test.after.each(async ({ stop, clock }) => {
  await stop();
  assert.is(clock.pending, 0);
});

const model = (name: string, unit = ''): DeviceModel => ({
  metadata: { namespace: 'default', name, uid: `uid-${name}` },
  spec: { properties: [{ name: 't', type: 'INT', unit }] },
});
const device = (name: string, nodeName: string, spec: Partial<Device['spec']> = {}): Device => ({
  metadata: { namespace: 'default', name, uid: `uid-${name}` },
  spec: { deviceModelRef: { name: 'press' }, nodeName, properties: [{ name: 't' }], ...spec },
});
const report = (resource: string, content: unknown) =>
  newMessage({ source: 'twin', group: 'resource', operation: 'update', resource, content }, 0);
const status = async ({ api }: Context, name: string): Promise<DeviceStatus['status'] | undefined> => {
  const answer = await api.get<DeviceStatus>(kinds.deviceStatus, { namespace: 'default', name });
  return 'object' in answer ? answer.object.status : undefined;
};

test('a device that appears reaches its node behind its model, and gets a status', async (context) => {
  const { put, sent } = context;
  await put(model('press'));
  await put(device('plc', 'edge-1'));
  assert.equal(sent, [
    'edge-1 update membership +default/plc',
    'edge-1 insert default/devicemodel/press',
    'edge-1 insert default/device/plc',
  ]);
  assert.equal(await status(context, 'plc'), { twins: [] });
});

test('a device that moves leaves the old node with its model, and the new one gets both', async ({
  put,
  sent,
}) => {
  await put(model('press'));
  await put(device('plc', 'edge-1'));
  sent.length = 0;
  await put(device('plc', 'edge-2'));
  assert.equal(sent, [
    'edge-1 update membership -default/plc',
    'edge-1 delete default/devicemodel/press',
    'edge-1 delete default/device/plc',
    'edge-2 update membership +default/plc',
    'edge-2 insert default/devicemodel/press',
    'edge-2 insert default/device/plc',
  ]);
});

test('a model that others on the node use stays there', async ({ put, remove, sent }) => {
  await put(model('press'));
  await put(device('plc', 'edge-1'));
  await put(device('other', 'edge-1'));
  sent.length = 0;
  await remove(device('plc', 'edge-1'));
  assert.equal(sent, ['edge-1 update membership -default/plc', 'edge-1 delete default/device/plc']);
});

test('a desired value goes without the model, which the node has', async ({ put, sent }) => {
  await put(model('press'));
  await put(device('plc', 'edge-1'));
  sent.length = 0;
  await put(device('plc', 'edge-1', { properties: [{ name: 't', desired: { value: '1' } }] }));
  await put(device('second', 'edge-1'));
  assert.equal(sent, [
    'edge-1 update default/device/plc',
    'edge-1 update membership +default/second',
    'edge-1 insert default/device/second',
  ]);
});

test('another model comes before the device changes, and the old one goes', async ({ put, sent }) => {
  await put(model('press'));
  await put(model('oven'));
  await put(device('plc', 'edge-1'));
  sent.length = 0;
  await put(device('plc', 'edge-1', { deviceModelRef: { name: 'oven' } }));
  assert.equal(sent, [
    'edge-1 insert default/devicemodel/oven',
    'edge-1 update default/device/plc',
    'edge-1 delete default/devicemodel/press',
  ]);
});

test('a model that changes, or comes after its devices, is sent to every node that has one', async ({
  put,
  sent,
}) => {
  await put(device('plc', 'edge-1'));
  await put(device('other', 'edge-2'));
  sent.length = 0;
  await put(model('press'));
  await put(model('press', 'bar'));
  assert.equal(sent, [
    'edge-1 insert default/devicemodel/press',
    'edge-2 insert default/devicemodel/press',
    'edge-1 update default/devicemodel/press',
    'edge-2 update default/devicemodel/press',
  ]);
});

test('while a node is away its objects wait for its return: what it has then is what is wanted', async (context) => {
  const { put, remove, away, sent, controller } = context;
  await put(model('press'));
  await put(device('gone', 'edge-1'));
  await put(device('moved', 'edge-1'));
  away.add('edge-1');
  sent.length = 0;
  await remove(device('gone', 'edge-1'));
  await put(device('moved', 'edge-2'));
  assert.not(sent.some((line) => /^edge-1 .*\/device/.test(line)));
  assert.equal(controller.wanted('edge-1'), []);
  assert.equal(
    controller.wanted('edge-2').map(({ type, object }) => `${type} ${object.metadata.name}`),
    ['devicemodel press', 'device moved'],
  );
});

test('a report is confirmed when the cluster has it', async (context) => {
  const { put, controller } = context;
  await put(device('plc', 'edge-1'));
  const twin = { t: { actual: { value: '7', metadata: { timestamp: 5 } }, metadata: { type: 'int' } } };
  const reply = await controller.handle('edge-1', report('device/default/plc/twin/edge_updated', { twin }));
  assert.is(reply?.content, 'OK');
  assert.is((await status(context, 'plc'))?.twins?.[0]?.reported?.value, '7');
});

test('what a node says of a device that it does not have any more is confirmed and dropped', async (context) => {
  const { put, controller } = context;
  await put(device('plc', 'edge-2'));
  const content = { device: { state: 'online' } };
  const reply = await controller.handle('edge-1', report('device/default/plc/state/update', content));
  assert.is(reply?.content, 'OK');
  assert.is((await status(context, 'plc'))?.state, undefined);
});

test('a property that goes takes its twin along', async (context) => {
  const { put, controller } = context;
  await put(device('plc', 'edge-1'));
  const twin = { t: { actual: { value: '7' } } };
  await controller.handle('edge-1', report('device/default/plc/twin/edge_updated', { twin }));
  await put(device('plc', 'edge-1', { properties: [{ name: 'other' }] }));
  assert.equal((await status(context, 'plc'))?.twins, []);
});

test('a change that is none for a device sends and writes nothing', async (context) => {
  const { put, sent, api } = context;
  await put(device('plc', 'edge-1'));
  sent.length = 0;
  const before = api.calls.length;
  await put(device('plc', 'edge-1'));
  assert.equal(sent, []);
  assert.is(api.calls.length, before);
});

test.run();
