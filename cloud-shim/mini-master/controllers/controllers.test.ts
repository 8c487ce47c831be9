import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../../runtime/core/fake-clock.ts';
import { silentLogger } from '../../../runtime/core/log.ts';
import { deleteOptions } from '../api/delete-options.ts';
import { Objects, type Target, type WriteOptions } from '../api/objects.ts';
import { type ApiObject, type JsonObject, objectAt, objectsAt, textAt } from '../json.ts';
import { CRD_CLEANUP } from '../kinds/crd.ts';
import { CRDS, Registry } from '../kinds/registry.ts';
import { Store } from '../store/store.ts';
import { Controllers } from './controllers.ts';

type Context = {
  clock: FakeClock;
  store: Store;
  controllers: Controllers;
  create: (plural: string, object: JsonObject, namespace?: string, group?: string) => ApiObject;
  remove: (plural: string, name: string, namespace?: string, group?: string) => void;
  settle: () => Promise<void>;
};
const test = suite<Context>('controllers');

const options: WriteOptions = {
  dryRun: false,
  manager: 'tester',
  fieldValidation: 'Strict',
  subresource: '',
  warn: () => {},
};

test.before.each(async (context) => {
  const clock = new FakeClock();
  const store = new Store({ revision: 0, objects: {} }, 100);
  const registry = new Registry(store);
  const objects = new Objects({ store, registry, clock, admit: (object) => object });
  const target = (plural: string, name: string, namespace: string, group: string): Target => {
    const served = registry.find(group, 'v1', plural);
    if (!served) throw new Error(`${plural} is not served`);
    return { served, name, namespace };
  };
  context.clock = clock;
  context.store = store;
  context.create = (plural, object, namespace = '', group = '') =>
    objects.create(target(plural, '', namespace, group), object, options);
  context.remove = (plural, name, namespace = '', group = '') => {
    objects.delete(target(plural, name, namespace, group), deleteOptions({}, new URLSearchParams()));
  };
  context.controllers = new Controllers({ objects, registry, clock, log: silentLogger, caCert: 'CA' });
  context.controllers.start();
  context.settle = () => clock.advance(1);
  await context.settle();
});
test.after.each(({ controllers, clock }) => {
  controllers.stop();
  assert.is(clock.pending, 0, 'no timer is left');
});

const names = (store: Store, plural: string, namespace?: string): (string | undefined)[] =>
  store.list(plural, namespace).map(({ metadata }) => metadata.name);
const meta = (name: string, more: JsonObject = {}): JsonObject => ({ metadata: { name, ...more } });
const podNamed = (name: string, spec: JsonObject = {}): JsonObject => ({
  ...meta(name),
  spec: { containers: [{ name: 'c', image: 'i:1' }], ...spec },
});

/** A node that is ready, as its agent would report it. */
function join({ create, store, clock }: Context, name: string): void {
  const made = create('nodes', meta(name));
  const conditions = [
    { type: 'Ready', status: 'True', reason: 'KubeletReady' },
    { type: 'DiskPressure', status: 'False' },
  ];
  store.put('nodes', { ...made, status: { conditions, allocatable: { pods: '10' } } });
  renew({ store, clock }, name);
}
function renew({ store, clock }: Pick<Context, 'store' | 'clock'>, name: string): void {
  store.put('leases.coordination.k8s.io', {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name, namespace: 'kube-node-lease' },
    spec: { renewTime: new Date(clock.now()).toISOString() },
  });
}
const taints = (store: Store, name: string): unknown =>
  objectsAt(store.get('nodes', '', name), 'spec', 'taints').map((t) => `${t.key}:${t.effect}`);

test('a cluster begins with its namespaces, each with an account and the CA', async ({
  store,
  create,
  settle,
}) => {
  assert.equal(names(store, 'namespaces'), ['default', 'kube-node-lease', 'kube-public', 'kube-system']);
  create('namespaces', meta('new'));
  await settle();
  assert.equal(names(store, 'serviceaccounts', 'new'), ['default']);
  const ca = store.get('configmaps', 'new', 'kube-root-ca.crt');
  assert.equal(ca?.data, { 'ca.crt': 'CA' });
});

test('what a namespace must have comes back', async ({ store, remove, settle }) => {
  remove('configmaps', 'kube-root-ca.crt', 'default');
  await settle();
  assert.ok(store.get('configmaps', 'default', 'kube-root-ca.crt'));
});

test('a namespace goes with all that is in it, when its pods have let go', async ({
  store,
  create,
  remove,
  settle,
}) => {
  create('namespaces', meta('old'));
  create('nodes', meta('n'));
  create('secrets', meta('s'), 'old');
  create('pods', podNamed('p', { nodeName: 'n' }), 'old');
  await settle();
  remove('namespaces', 'old');
  await settle();
  assert.is(textAt(store.get('namespaces', '', 'old'), 'status', 'phase'), 'Terminating');
  assert.equal(names(store, 'secrets', 'old'), []);
  assert.equal(names(store, 'serviceaccounts', 'old'), [], 'its account is not made again');
  const pod = store.get('pods', 'old', 'p');
  assert.ok(pod?.metadata.deletionTimestamp);
  if (pod) store.remove('pods', pod);
  await settle();
  assert.is(store.get('namespaces', '', 'old'), undefined);
});

test('a new node is not ready; one that is loses the taint and gets pods', async (context) => {
  const { store, create, settle } = context;
  create('nodes', meta('n'));
  create('pods', podNamed('p'), 'default');
  await settle();
  assert.equal(taints(store, 'n'), ['node.kubernetes.io/not-ready:NoSchedule']);
  const waiting = store.get('pods', 'default', 'p');
  assert.is(textAt(waiting, 'spec', 'nodeName'), '');
  const [unscheduled] = objectsAt(waiting, 'status', 'conditions');
  assert.equal(
    [unscheduled?.type, unscheduled?.status, unscheduled?.reason, unscheduled?.message],
    ['PodScheduled', 'False', 'Unschedulable', '0/1 nodes are available: 1 node(s) were not ready.'],
  );
  join(context, 'm');
  await settle();
  assert.equal(taints(store, 'm'), []);
  const bound = store.get('pods', 'default', 'p');
  assert.is(textAt(bound, 'spec', 'nodeName'), 'm');
  const [scheduled, ...others] = objectsAt(bound, 'status', 'conditions');
  assert.equal([scheduled?.type, scheduled?.status, others.length], ['PodScheduled', 'True', 0]);
  const events = store.list('events', 'default').map((e) => `${e.type} ${e.reason} ${e.message}`);
  assert.equal(events.sort(), [
    'Normal Scheduled Successfully assigned default/p to m',
    'Warning FailedScheduling 0/1 nodes are available: 1 node(s) were not ready.',
  ]);
});

test('a pod of another scheduler is left alone', async (context) => {
  join(context, 'n');
  context.create('pods', podNamed('p', { schedulerName: 'mine' }), 'default');
  await context.settle();
  assert.is(textAt(context.store.get('pods', 'default', 'p'), 'spec', 'nodeName'), '');
});

test('a node that has not renewed its lease for 40 s is lost, and found again when it does', async (context) => {
  const { store, clock } = context;
  join(context, 'n');
  await clock.advance(39_000);
  assert.equal(taints(store, 'n'), []);
  await clock.advance(6000);
  assert.equal(taints(store, 'n'), ['node.kubernetes.io/unreachable:NoSchedule']);
  const conditions = objectsAt(store.get('nodes', '', 'n'), 'status', 'conditions');
  assert.equal(
    conditions.map((c) => [c.type, c.status, c.reason, c.message]),
    [
      ['Ready', 'Unknown', 'NodeStatusUnknown', 'Kubelet stopped posting node status.'],
      ['DiskPressure', 'Unknown', 'NodeStatusUnknown', 'Kubelet stopped posting node status.'],
    ],
  );
  renew(context, 'n');
  const node = store.get('nodes', '', 'n') as ApiObject;
  store.put('nodes', { ...node, status: { conditions: [{ type: 'Ready', status: 'True' }] } });
  await clock.advance(5000);
  assert.equal(taints(store, 'n'), []);
});

test('the taints of an operator stay', async (context) => {
  const { store, clock } = context;
  join(context, 'n');
  const node = store.get('nodes', '', 'n') as ApiObject;
  store.put('nodes', { ...node, spec: { taints: [{ key: 'mine', effect: 'NoExecute' }] } });
  await clock.advance(50_000);
  assert.equal(taints(store, 'n'), ['mine:NoExecute', 'node.kubernetes.io/unreachable:NoSchedule']);
});

test('a pod that is to go, goes when its node is gone', async (context) => {
  const { store, create, remove, settle } = context;
  join(context, 'n');
  create('pods', podNamed('p'), 'default');
  await settle();
  remove('pods', 'p', 'default');
  await settle();
  assert.ok(store.get('pods', 'default', 'p'), 'the node has to let go');
  remove('nodes', 'n');
  await settle();
  assert.is(store.get('pods', 'default', 'p'), undefined);
});

test('what belonged to something that is gone, goes, and what belonged to that', async ({
  store,
  create,
  remove,
  settle,
}) => {
  const ownerOf = (kind: string, owner: ApiObject): JsonObject => {
    const { name = '', uid = '' } = owner.metadata;
    return { ownerReferences: [{ apiVersion: 'v1', kind, name, uid }] };
  };
  const first = create('configmaps', meta('first'), 'default');
  const second = create('secrets', meta('second', ownerOf('ConfigMap', first)), 'default');
  create('configmaps', meta('third', ownerOf('Secret', second)), 'default');
  await settle();
  assert.ok(store.get('configmaps', 'default', 'third'));
  remove('configmaps', 'first', 'default');
  await settle();
  assert.equal(names(store, 'secrets', 'default'), []);
  assert.equal(names(store, 'configmaps', 'default'), ['kube-root-ca.crt']);
});

test('a definition that goes takes its objects with it', async ({ store, create, remove, settle }) => {
  const group = 'apiextensions.k8s.io';
  const schema = { openAPIV3Schema: { type: 'object' } };
  const definition = {
    ...meta('widgets.x.io'),
    spec: {
      group: 'x.io',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget' },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  };
  create('customresourcedefinitions', definition, '', group);
  create('widgets', meta('w'), 'default', 'x.io');
  await settle();
  assert.equal(objectAt(store.get(CRDS, '', 'widgets.x.io'), 'metadata').finalizers, [CRD_CLEANUP]);
  remove('customresourcedefinitions', 'widgets.x.io', '', group);
  await settle();
  assert.equal(names(store, 'widgets.x.io'), []);
  assert.is(store.get(CRDS, '', 'widgets.x.io'), undefined);
});

test.run();
