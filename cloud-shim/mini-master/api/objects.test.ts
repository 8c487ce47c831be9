import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FakeClock } from '../../../runtime/core/fake-clock.ts';
import { type ApiObject, type JsonObject, objectAt } from '../json.ts';
import { CRDS, Registry } from '../kinds/registry.ts';
import { Refusal } from '../status.ts';
import { Store } from '../store/store.ts';
import { deleteOptions } from './delete-options.ts';
import { Objects, type Target, type WriteOptions } from './objects.ts';
import { type PatchRequest, patchObject } from './patching.ts';

type Context = {
  clock: FakeClock;
  store: Store;
  objects: Objects;
  at: (plural: string, name: string, group?: string) => Target;
  patch: (
    target: Target,
    kind: string,
    body: unknown,
    more?: Partial<WriteOptions & PatchRequest>,
  ) => ApiObject;
};
const test = suite<Context>('objects');

const options: WriteOptions = {
  dryRun: false,
  manager: 'tester',
  fieldValidation: 'Strict',
  subresource: '',
  warn: () => {},
};
const content = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const widgets: ApiObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.x.io' },
  spec: {
    group: 'x.io',
    scope: 'Namespaced',
    names: { plural: 'widgets', kind: 'Widget' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: 'object', properties: { spec: content, status: content } } },
      },
    ],
  },
};

test.before.each((context) => {
  const { clock, store } = Object.assign(context, {
    clock: new FakeClock(),
    store: new Store({ revision: 0, objects: {} }, 100),
  });
  const registry = new Registry(store);
  context.objects = new Objects({ store, registry, clock, admit: (object) => object });
  store.put('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } });
  store.put(CRDS, widgets);
  context.at = (plural, name, group = '') => {
    const served = registry.find(group, 'v1', plural);
    if (!served) throw new Error(`${plural} is not served`);
    return { served, namespace: served.resource.namespaced ? 'default' : '', name };
  };
  context.patch = (target, kind, body, more = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const request = {
      contentType: `application/${kind}`,
      body: text,
      force: false,
      now: clock.now(),
      ...more,
    };
    return patchObject(context.objects, target, request, { ...options, ...more }).object;
  };
});

function refusal(work: () => unknown): Refusal {
  try {
    work();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
const said = ({ code, reason }: Refusal): [number, string] => [code, reason];
const configMap = (data: JsonObject, more: JsonObject = {}): JsonObject => ({
  metadata: { name: 'm' },
  data,
  ...more,
});
const pod: JsonObject = {
  metadata: { name: 'p' },
  spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i:1' }] },
};
const now = deleteOptions({}, new URLSearchParams());

test('a new object gets its identity from the server, whatever it says of itself', ({ objects, at }) => {
  const metadata = {
    name: 'm',
    uid: 'mine',
    resourceVersion: '99',
    creationTimestamp: '2000-01-01T00:00:00Z',
    labels: { a: '1' },
  };
  const made = objects.create(at('configmaps', ''), { metadata, data: { k: 'v' } }, options);
  const { uid, managedFields, ...rest } = made.metadata;
  assert.match(String(uid), /^[0-9a-f-]{36}$/);
  assert.is((managedFields as JsonObject[])[0]?.manager, 'tester');
  assert.equal(rest, {
    name: 'm',
    namespace: 'default',
    labels: { a: '1' },
    creationTimestamp: '2026-01-01T00:00:00Z',
    resourceVersion: '3',
  });
  assert.equal([made.apiVersion, made.kind, made.data], ['v1', 'ConfigMap', { k: 'v' }]);
});

test('a name is completed where only its beginning is given', ({ objects, at }) => {
  const names = [1, 2].map(
    () =>
      objects.create(at('configmaps', ''), { metadata: { generateName: 'm-' } }, options).metadata.name ?? '',
  );
  for (const name of names) assert.match(name, /^m-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  assert.is.not(names[0], names[1]);
});

const refused: [string, string, JsonObject, number, string][] = [
  ['that is there', 'configmaps', { metadata: { name: 'there' } }, 409, 'AlreadyExists'],
  ['without a name', 'configmaps', { metadata: {} }, 422, 'Invalid'],
  ['with a wrong name', 'configmaps', { metadata: { name: 'A_' } }, 422, 'Invalid'],
  ['of another kind', 'configmaps', { kind: 'Secret', metadata: { name: 'm' } }, 400, 'BadRequest'],
  ['with a field that is unknown', 'configmaps', { metadata: { name: 'm' }, odd: 1 }, 400, 'BadRequest'],
  ['of a wrong type', 'configmaps', { metadata: { name: 'm' }, data: { k: 1 } }, 422, 'Invalid'],
  ['that is no pod', 'pods', { metadata: { name: 'p' }, spec: { containers: [] } }, 422, 'Invalid'],
  ['of another namespace', 'configmaps', { metadata: { name: 'm', namespace: 'other' } }, 400, 'BadRequest'],
  ['whose metadata are none', 'configmaps', { metadata: 'm' }, 400, 'BadRequest'],
];
for (const [what, plural, body, code, reason] of refused) {
  test(`an object ${what} is refused with ${code}`, ({ objects, at, store }) => {
    objects.create(at('configmaps', ''), { metadata: { name: 'there' } }, options);
    const { revision } = store;
    assert.equal(said(refusal(() => objects.create(at(plural, ''), body, options))), [code, reason]);
    assert.is(store.revision, revision);
  });
}

test('a namespace must be there, and must not be on its way out', ({ objects, at, store }) => {
  const target = { ...at('configmaps', ''), namespace: 'other' };
  assert.equal(said(refusal(() => objects.create(target, configMap({}), options))), [404, 'NotFound']);
  store.put('namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'other', deletionTimestamp: '2026-01-01T00:00:00Z' },
  });
  assert.equal(said(refusal(() => objects.create(target, configMap({}), options))), [403, 'Forbidden']);
});

test('an unknown field is dropped with a warning, or without a word, as the client wishes', ({
  objects,
  at,
}) => {
  const warnings: string[] = [];
  const warn = (text: string): void => void warnings.push(text);
  for (const fieldValidation of ['Warn', 'Ignore'] as const) {
    const body = { metadata: { name: fieldValidation.toLowerCase() }, odd: 1 };
    const made = objects.create(at('configmaps', ''), body, { ...options, fieldValidation, warn });
    assert.not('odd' in made);
  }
  assert.equal(warnings, ['unknown field "odd"']);
});

test('a dry run answers and changes nothing', ({ objects, at, store }) => {
  const dry = { ...options, dryRun: true };
  assert.is(objects.create(at('configmaps', ''), configMap({ k: 'v' }), dry).metadata.name, 'm');
  assert.is(store.get('configmaps', 'default', 'm'), undefined);
  objects.create(at('configmaps', ''), configMap({ k: 'v' }), options);
  assert.equal(objects.update(at('configmaps', 'm'), configMap({ k: 'w' }), dry).data, { k: 'w' });
  objects.delete(at('configmaps', 'm'), { ...now, dryRun: true });
  assert.equal(store.get('configmaps', 'default', 'm')?.data, { k: 'v' });
});

test('an update replaces, keeps the identity, and counts up', ({ objects, at }) => {
  const made = objects.create(at('configmaps', ''), configMap({ a: '1' }), options);
  const updated = objects.update(at('configmaps', 'm'), configMap({ b: '2' }), options);
  assert.equal(updated.data, { b: '2' });
  assert.is(updated.metadata.uid, made.metadata.uid);
  assert.is(updated.metadata.creationTimestamp, made.metadata.creationTimestamp);
  assert.equal([made.metadata.resourceVersion, updated.metadata.resourceVersion], ['3', '4']);
});

test('an update stays in its namespace, and says so', ({ objects, at, store }) => {
  objects.create(at('configmaps', ''), configMap({ a: '1' }), options);
  assert.is(
    objects.update(at('configmaps', 'm'), configMap({ a: '2' }), options).metadata.namespace,
    'default',
  );
  assert.is(store.list('configmaps').length, 1);
  const moved = { metadata: { name: 'm', namespace: 'other' } };
  assert.equal(said(refusal(() => objects.update(at('configmaps', 'm'), moved, options))), [
    400,
    'BadRequest',
  ]);
  const node = { metadata: { name: 'n', namespace: 'default' } };
  assert.not('namespace' in objects.create(at('nodes', ''), node, options).metadata);
});

test('an update that changes nothing is no change, one of a key named constructor is', ({
  objects,
  at,
  store,
}) => {
  const made = objects.create(at('configmaps', ''), configMap({ a: '1' }), options);
  assert.equal(objects.update(at('configmaps', 'm'), configMap({ a: '1' }), options), made);
  assert.is(store.revision, 3);
  objects.update(at('configmaps', 'm'), configMap({ a: '1', constructor: 'x' }), options);
  assert.is(store.revision, 4);
});

test('an update of a version that is not the latest is a conflict', ({ objects, at }) => {
  objects.create(at('configmaps', ''), configMap({}), options);
  const stale = { metadata: { name: 'm', resourceVersion: '2' }, data: { a: '1' } };
  const refused = refusal(() => objects.update(at('configmaps', 'm'), stale, options));
  assert.equal(said(refused), [409, 'Conflict']);
  assert.is(
    refused.message,
    'Operation cannot be fulfilled on configmaps "m": the object has been modified; please apply your changes to the latest version and try again',
  );
  const other = { metadata: { name: 'm', uid: 'another' } };
  assert.equal(said(refusal(() => objects.update(at('configmaps', 'm'), other, options))), [409, 'Conflict']);
});

test('custom objects are not updated without their version', ({ objects, at }) => {
  const target = at('widgets', 'w', 'x.io');
  objects.create(at('widgets', '', 'x.io'), { metadata: { name: 'w' } }, options);
  const refused = refusal(() => objects.update(target, { metadata: { name: 'w' } }, options));
  assert.match(
    refused.message,
    /metadata\.resourceVersion: Invalid value: 0x0: must be specified for an update/,
  );
});

test('what is not there is not found, and a lease is made by its update', ({ objects, at }) => {
  for (const work of [
    () => objects.get(at('configmaps', 'm')),
    () => objects.update(at('configmaps', 'm'), configMap({}), options),
    () => objects.delete(at('configmaps', 'm'), now),
  ]) {
    const refused = refusal(work);
    assert.equal(said(refused), [404, 'NotFound']);
    assert.is(refused.message, 'configmaps "m" not found');
  }
  const lease = at('leases', 'l', 'coordination.k8s.io');
  assert.is(objects.update(lease, { metadata: { name: 'l' } }, options).metadata.name, 'l');
});

test('spec and status are written apart, and only the spec counts generations', ({ objects, at }) => {
  const target = at('widgets', 'w', 'x.io');
  const made = objects.create(
    at('widgets', '', 'x.io'),
    { metadata: { name: 'w' }, spec: { a: 1 }, status: { s: 1 } },
    options,
  );
  assert.is(made.status, undefined);
  assert.is(made.metadata.generation, 1);
  const status = { ...options, subresource: 'status' };
  const seen = objects.update(target, { ...made, spec: { a: 2 }, status: { s: 2 } }, status);
  assert.equal([seen.spec, seen.status, seen.metadata.generation], [{ a: 1 }, { s: 2 }, 1]);
  const moved = objects.update(target, { ...seen, spec: { a: 3 }, status: { s: 3 } }, options);
  assert.equal([moved.spec, moved.status, moved.metadata.generation], [{ a: 3 }, { s: 2 }, 2]);
});

test('an immutable configMap stays as it is, whichever way it is written', ({ objects, at, patch }) => {
  objects.create(at('configmaps', ''), configMap({ a: '1' }, { immutable: true }), options);
  const target = at('configmaps', 'm');
  for (const work of [
    () => objects.update(target, configMap({ a: '2' }, { immutable: true }), options),
    () => patch(target, 'merge-patch+json', { data: { a: '2' } }),
    () => patch(target, 'json-patch+json', [{ op: 'replace', path: '/data/a', value: '2' }]),
    () => patch(target, 'strategic-merge-patch+json', { data: { a: '2' } }),
    () => patch(target, 'apply-patch+yaml', 'data: {a: "2"}', { force: true }),
  ]) {
    assert.equal(said(refusal(work)), [422, 'Invalid']);
  }
});

test('a pod with a node is given time, which a second deletion may only shorten', ({
  objects,
  at,
  store,
}) => {
  objects.create(at('pods', ''), pod, options);
  const target = at('pods', 'p');
  const { object, gone } = objects.delete(target, now);
  assert.not(gone);
  assert.is(object.metadata.deletionTimestamp, '2026-01-01T00:00:30Z');
  assert.is(object.metadata.deletionGracePeriodSeconds, 30);
  const { revision } = store;
  objects.delete(target, { ...now, gracePeriodSeconds: 60 });
  assert.is(store.revision, revision, 'nothing was written');
  assert.is(
    objects.delete(target, { ...now, gracePeriodSeconds: 5 }).object.metadata.deletionGracePeriodSeconds,
    5,
  );
  assert.ok(objects.delete(target, { ...now, gracePeriodSeconds: 0 }).gone);
  assert.is(store.get('pods', 'default', 'p'), undefined);
});

test('a pod without a node, or one that is over, goes at once', ({ objects, at, store }) => {
  objects.create(at('pods', ''), { ...pod, spec: { containers: [{ name: 'c', image: 'i' }] } }, options);
  assert.ok(objects.delete(at('pods', 'p'), now).gone);
  const made = objects.create(at('pods', ''), pod, options);
  store.put('pods', { ...made, status: { phase: 'Succeeded' } });
  assert.ok(objects.delete(at('pods', 'p'), now).gone);
});

test('an object with a finalizer goes when the last is taken off', ({ objects, at, store, patch }) => {
  objects.create(at('configmaps', ''), { metadata: { name: 'm', finalizers: ['a', 'b'] } }, options);
  const target = at('configmaps', 'm');
  assert.not(objects.delete(target, now).gone);
  assert.is(objects.get(target).metadata.deletionTimestamp, '2026-01-01T00:00:00Z');
  patch(target, 'merge-patch+json', { metadata: { finalizers: ['b'] } });
  assert.ok(store.get('configmaps', 'default', 'm'));
  patch(target, 'merge-patch+json', { metadata: { finalizers: null } });
  assert.is(store.get('configmaps', 'default', 'm'), undefined);
});

test('a deletion of another object or version than meant is refused', ({ objects, at }) => {
  objects.create(at('configmaps', ''), configMap({}), options);
  const target = at('configmaps', 'm');
  assert.equal(said(refusal(() => objects.delete(target, { ...now, uid: 'x' }))), [409, 'Conflict']);
  assert.equal(said(refusal(() => objects.delete(target, { ...now, resourceVersion: '1' }))), [
    409,
    'Conflict',
  ]);
  assert.ok(objects.delete(target, { ...now, resourceVersion: '3' }).gone);
});

test('patches are told apart by their type', ({ objects, at, patch }) => {
  objects.create(at('pods', ''), pod, options);
  const target = at('pods', 'p');
  const images = (object: ApiObject): unknown =>
    (objectAt(object, 'spec').containers as JsonObject[]).map((c) => c.image);
  const merge = { spec: { containers: [{ name: 'c', image: 'i:2' }] } };
  assert.equal(images(patch(target, 'strategic-merge-patch+json', merge)), ['i:2']);
  const operations = [{ op: 'replace', path: '/spec/containers/0/image', value: 'i:3' }];
  assert.equal(images(patch(target, 'json-patch+json', operations)), ['i:3']);
  for (const [kind, body, code] of [
    ['json', {}, 415],
    ['merge-patch+json', '{', 400],
    ['merge-patch+json', [], 400],
    ['apply-patch+yaml', 'a: [', 400],
  ] as const) {
    assert.is(refusal(() => patch(target, kind, body)).code, code);
  }
  objects.create(at('widgets', '', 'x.io'), { metadata: { name: 'w' } }, options);
  assert.is(refusal(() => patch(at('widgets', 'w', 'x.io'), 'strategic-merge-patch+json', {})).code, 415);
});

const managers = (object: ApiObject): unknown =>
  ((object.metadata.managedFields ?? []) as JsonObject[]).map((m) => [m.manager, m.operation, m.subresource]);

const fieldsOf = (object: ApiObject, manager: string): unknown =>
  ((object.metadata.managedFields ?? []) as JsonObject[]).find((m) => m.manager === manager)?.fieldsV1;

test('an applied configuration makes the object, or is merged into it', ({ at, patch }) => {
  const target = at('configmaps', 'm');
  const made = patch(target, 'apply-patch+yaml', 'data: {a: "1", b: "2"}');
  assert.equal(made.data, { a: '1', b: '2' });
  assert.equal(managers(made), [['tester', 'Apply', undefined]]);
  const edited = patch(target, 'merge-patch+json', { data: { c: '3' } }, { manager: 'editor' });
  assert.equal(managers(edited), [
    ['tester', 'Apply', undefined],
    ['editor', 'Update', undefined],
  ]);
  assert.equal(patch(target, 'apply-patch+yaml', 'data: {a: "1"}').data, { a: '1', c: '3' });
  const refused = refusal(() => patch(target, 'apply-patch+yaml', 'data: {c: "4"}'));
  assert.is(refused.message, 'Apply failed with 1 conflict: conflict with "editor" using v1: .data.c');
  assert.equal(patch(target, 'apply-patch+yaml', 'data: {c: "4"}', { force: true }).data, { c: '4' });
});

test('an applied status is managed by who applied it', ({ objects, at, patch }) => {
  objects.create(at('widgets', '', 'x.io'), { metadata: { name: 'w' }, spec: { a: 1 } }, options);
  const target = at('widgets', 'w', 'x.io');
  const applied = patch(target, 'apply-patch+yaml', 'status: {s: 1}', {
    subresource: 'status',
    manager: 'agent',
  });
  assert.equal(applied.status, { s: 1 });
  assert.equal(managers(applied), [
    ['agent', 'Apply', 'status'],
    ['tester', 'Update', undefined],
  ]);
  const whole = 'metadata: {labels: {l: "1"}}\nspec: {a: 2}\nstatus: {s: 2}';
  const again = patch(target, 'apply-patch+yaml', whole, { subresource: 'status', manager: 'agent' });
  assert.equal([again.spec, again.status, again.metadata.labels], [{ a: 1 }, { s: 2 }, undefined]);
  assert.equal(fieldsOf(again, 'agent'), { 'f:status': { 'f:s': {} } });
  const missing = { ...target, name: 'none' };
  assert.is(
    refusal(() => patch(missing, 'apply-patch+yaml', 'status: {}', { subresource: 'status' })).code,
    404,
  );
});

test('an applied configuration that says a status neither sets it nor owns it', ({ objects, at, patch }) => {
  const target = at('widgets', 'w', 'x.io');
  const made = patch(target, 'apply-patch+yaml', 'spec: {a: 1}\nstatus: {s: 1}');
  assert.is(made.status, undefined);
  const status = { ...options, subresource: 'status', manager: 'agent' };
  objects.update(target, { ...made, status: { s: 2 } }, status);
  const again = patch(target, 'apply-patch+yaml', 'spec: {a: 1}\nstatus: {s: 3}');
  assert.equal(again.status, { s: 2 });
  assert.equal(fieldsOf(again, 'tester'), { 'f:spec': { 'f:a': {} } });
});

test.run();
