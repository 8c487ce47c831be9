import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ApiObject, JsonObject } from '../json.ts';
import { CRDS, Registry } from '../kinds/registry.ts';
import { Store } from '../store/store.ts';
import { orphans } from './garbage.ts';

const object = (kind: string, name: string, more: JsonObject = {}, namespace = 'default'): ApiObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, uid: `uid-${name}`, ...(namespace ? { namespace } : {}), ...more },
});
const owner = (kind: string, name: string, more: JsonObject = {}): JsonObject => ({
  apiVersion: 'v1',
  kind,
  name,
  uid: `uid-${name}`,
  ...more,
});
const ownedBy = (...ownerReferences: JsonObject[]): JsonObject => ({ ownerReferences });

function orphaned(fill: (store: Store) => void): string[] {
  const store = new Store({ revision: 0, objects: {} }, 10);
  fill(store);
  return orphans(store, new Registry(store)).map(
    ({ served, namespace, name }) => `${served.resource.plural} ${namespace}/${name}`,
  );
}

/** Owners of a configMap `m` in `default`; pod `p`, node `n` and widget `w` live. */
const owners: [string, JsonObject, boolean][] = [
  ['nobody', {}, false],
  ['a pod that lives', ownedBy(owner('Pod', 'p')), false],
  ['a pod that is gone', ownedBy(owner('Pod', 'q')), true],
  ['a pod whose name has come back', ownedBy(owner('Pod', 'p', { uid: 'uid-before' })), true],
  ['two, one of whom lives', ownedBy(owner('Pod', 'q'), owner('Pod', 'p')), false],
  ['two who are gone', ownedBy(owner('Pod', 'q'), owner('Node', 'm')), true],
  ['a node that lives', ownedBy(owner('Node', 'n')), false],
  ['a pod of another namespace', ownedBy(owner('Pod', 'elsewhere')), true],
  [
    'something of a kind that is not served',
    ownedBy(owner('Deployment', 'd', { apiVersion: 'apps/v1' })),
    false,
  ],
  [
    'something of another group with a known kind',
    ownedBy(owner('Pod', 'q', { apiVersion: 'x.io/v1' })),
    false,
  ],
  ['a custom object that lives', ownedBy(owner('Widget', 'w', { apiVersion: 'x.io/v1' })), false],
  ['a custom object in another version', ownedBy(owner('Widget', 'w', { apiVersion: 'x.io/v2' })), false],
  ['a custom object that is gone', ownedBy(owner('Widget', 'v', { apiVersion: 'x.io/v1' })), true],
];
for (const [what, metadata, goes] of owners) {
  test(`what is owned by ${what} ${goes ? 'goes' : 'stays'}`, () => {
    const found = orphaned((store) => {
      store.put(CRDS, widgets);
      store.put('pods', object('Pod', 'p'));
      store.put('pods', object('Pod', 'elsewhere', {}, 'other'));
      store.put('nodes', object('Node', 'n', {}, ''));
      store.put('widgets.x.io', object('Widget', 'w'));
      store.put('configmaps', object('ConfigMap', 'm', metadata));
    });
    assert.equal(found, goes ? ['configmaps default/m'] : []);
  });
}

const widgets: ApiObject = {
  ...object('CustomResourceDefinition', 'widgets.x.io', {}, ''),
  spec: {
    group: 'x.io',
    scope: 'Namespaced',
    names: { plural: 'widgets', kind: 'Widget' },
    versions: [
      { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } },
      { name: 'v2', served: true, storage: false, schema: { openAPIV3Schema: { type: 'object' } } },
    ],
  },
};

test('custom objects go too, in their own namespace', () => {
  const found = orphaned((store) => {
    store.put(CRDS, widgets);
    store.put('widgets.x.io', object('Widget', 'w', ownedBy(owner('Pod', 'q')), 'other'));
  });
  assert.equal(found, ['widgets other/w']);
});

test.run();
