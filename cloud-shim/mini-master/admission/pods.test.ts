import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ApiObject, type JsonObject, objectAt, objectsAt } from '../json.ts';
import { Registry, type Served } from '../kinds/registry.ts';
import { Refusal } from '../status.ts';
import { Store } from '../store/store.ts';
import { admitPod } from './pods.ts';

type Context = { store: Store; admit: (spec: JsonObject, operation?: 'create' | 'update') => JsonObject };
const test = suite<Context>('pod admission');

const FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
const podOf = (spec: JsonObject): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'ns' },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});
const account = (name: string, more: JsonObject = {}): ApiObject => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  ...more,
  metadata: { name, namespace: 'ns' },
});

test.before.each((context) => {
  const store = new Store({ revision: 0, objects: {} }, 10);
  context.store = store;
  store.put('serviceaccounts', account('default'));
  store.put('serviceaccounts', account('quiet', { automountServiceAccountToken: false }));
  const { resource } = new Registry(store).find('', 'v1', 'pods') as Served;
  context.admit = (spec, operation = 'create') =>
    objectAt(admitPod(store, podOf(spec), resource, operation), 'spec');
});

test('a pod gets the default account and its token, the CA and its namespace', ({ admit }) => {
  const spec = admit({});
  assert.equal([spec.serviceAccountName, spec.serviceAccount], ['default', 'default']);
  assert.equal([spec.priority, spec.preemptionPolicy], [0, 'PreemptLowerPriority']);
  const [volume] = objectsAt(spec, 'volumes');
  assert.match(String(volume?.name), /^kube-api-access-[0-9a-f]{5}$/);
  assert.equal(objectAt(volume, 'projected'), {
    defaultMode: 0o644,
    sources: [
      { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      {
        downwardAPI: {
          items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
        },
      },
    ],
  });
  assert.equal(objectsAt(spec, 'containers')[0]?.volumeMounts, [
    { name: volume?.name, mountPath: FOLDER, readOnly: true },
  ]);
});

test('a container that mounts something there itself is left alone', ({ admit }) => {
  const own = { name: 'own', image: 'i', volumeMounts: [{ name: 'v', mountPath: FOLDER }] };
  const spec = admit({ containers: [own], initContainers: [{ name: 'init', image: 'i' }] });
  assert.equal(objectsAt(spec, 'containers'), [own]);
  assert.is(objectsAt(objectsAt(spec, 'initContainers')[0], 'volumeMounts').length, 1);
  assert.not('volumes' in admit({ containers: [own] }));
});

test('no token is mounted where the account, or the pod over it, says so', ({ admit }) => {
  const mounts = (spec: JsonObject): number => objectsAt(admit(spec), 'volumes').length;
  assert.is(mounts({ automountServiceAccountToken: false }), 0);
  assert.is(mounts({ serviceAccountName: 'quiet' }), 0);
  assert.is(mounts({ serviceAccountName: 'quiet', automountServiceAccountToken: true }), 1);
});

test('an account that is not there is refused', ({ admit }) => {
  assert.throws(
    () => admit({ serviceAccountName: 'none' }),
    (error: unknown) =>
      error instanceof Refusal &&
      error.code === 403 &&
      error.message ===
        'pods "p" is forbidden: error looking up service account ns/none: serviceaccount "none" not found',
  );
});

const lost = (name: string, more: JsonObject = {}): JsonObject => ({
  key: `node.kubernetes.io/${name}`,
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds: 300,
  ...more,
});
/** @source kubernetes plugin/pkg/admission/defaulttolerationseconds */
const tolerations: [string, JsonObject[], JsonObject[]][] = [
  ['none', [], [lost('not-ready'), lost('unreachable')]],
  ['one of its own', [{ key: 'k' }], [{ key: 'k' }, lost('not-ready'), lost('unreachable')]],
  [
    'its own time for one',
    [lost('unreachable', { tolerationSeconds: 5 })],
    [lost('unreachable', { tolerationSeconds: 5 }), lost('not-ready')],
  ],
  ['one of everything', [{ operator: 'Exists' }], [{ operator: 'Exists' }]],
  [
    'one of another effect',
    [lost('not-ready', { effect: 'NoSchedule' })],
    [lost('not-ready', { effect: 'NoSchedule' }), lost('not-ready'), lost('unreachable')],
  ],
];
for (const [what, own, all] of tolerations) {
  test(`a pod with ${what} tolerates a lost node for five minutes, or as long as it says`, ({ admit }) => {
    assert.equal(admit({ tolerations: own }).tolerations, all);
  });
}

test('an update is let through as it is', ({ admit }) => {
  assert.equal(admit({ serviceAccountName: 'none' }, 'update'), podOf({ serviceAccountName: 'none' }).spec);
});

test.run();
