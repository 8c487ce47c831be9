import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ApiObject, JsonObject } from '../json.ts';
import {
  atomicList,
  integer,
  keyedList,
  mapOf,
  record,
  type Schema,
  setList,
  text,
} from '../schema/schema.ts';
import { Refusal } from '../status.ts';
import { trackUpdate, type Writer } from './managed-fields.ts';
import { applyConfiguration } from './server-side-apply.ts';

const port = record({ containerPort: integer(), protocol: text('', { default: 'TCP' }), name: text() });
const schema: Schema = record({
  spec: record({
    replicas: integer(),
    paused: text(),
    labels: mapOf(text()),
    selector: { ...mapOf(text()), 'x-kubernetes-map-type': 'atomic' },
    args: atomicList(text()),
    finalizers: setList(text()),
    containers: keyedList(record({ name: text(), image: text(), args: atomicList(text()) }), 'name'),
    ports: keyedList(port, 'containerPort', { mapKeys: ['containerPort', 'protocol'] }),
  }),
});

const at = (minute: number): string => `2026-01-01T00:0${minute}:00Z`;
const applier = (manager: string, minute = 0): Writer => ({
  manager,
  operation: 'Apply',
  apiVersion: 'apps/v1',
  subresource: '',
  time: at(minute),
});
const updater = (manager: string, minute = 0): Writer => ({
  ...applier(manager, minute),
  operation: 'Update',
});

const object = (spec: JsonObject): ApiObject => ({
  apiVersion: 'apps/v1',
  kind: 'Thing',
  metadata: { name: 'a' },
  spec,
});

function apply(live: ApiObject, spec: JsonObject, writer: Writer, force = false): ApiObject {
  return applyConfiguration(live, object(spec), writer, schema, force);
}

/** Who manages what, as managedFields say it. */
function managers(of: ApiObject): JsonObject {
  const list = (of.metadata.managedFields ?? []) as JsonObject[];
  return Object.fromEntries(list.map((entry) => [`${entry.manager}`, entry.fieldsV1]));
}

function refusal(work: () => unknown): Refusal {
  try {
    work();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

test('the first configuration is stored and its fields belong to the manager', () => {
  const made = apply(object({}), { replicas: 3, labels: { app: 'x' } }, applier('kubectl'));
  assert.equal(made.spec, { replicas: 3, labels: { app: 'x' } });
  assert.equal(made.metadata.managedFields, [
    {
      manager: 'kubectl',
      operation: 'Apply',
      apiVersion: 'apps/v1',
      time: at(0),
      fieldsType: 'FieldsV1',
      fieldsV1: { 'f:spec': { 'f:replicas': {}, 'f:labels': { 'f:app': {} } } },
    },
  ]);
});

test('fields are written as structured-merge-diff writes them: entries by key, members by value', () => {
  const spec = {
    selector: { a: '1' },
    args: ['x', 'y'],
    finalizers: ['f'],
    containers: [{ name: 'c', image: 'i' }],
    ports: [{ containerPort: 80 }],
  };
  const made = apply(object({}), spec, applier('m'));
  assert.equal(managers(made).m, {
    'f:spec': {
      'f:selector': {},
      'f:args': {},
      'f:finalizers': { 'v:"f"': {} },
      'f:containers': { 'k:{"name":"c"}': { '.': {}, 'f:name': {}, 'f:image': {} } },
      'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } },
    },
  });
});

test('what was applied before and is left out now goes', () => {
  const first = apply(object({}), { replicas: 3, labels: { a: '1', b: '2' } }, applier('m'));
  const second = apply(first, { labels: { a: '1' } }, applier('m', 1));
  assert.equal(second.spec, { labels: { a: '1' } });
});

test('an entry of a list that is left out goes as a whole', () => {
  const first = apply(
    object({}),
    {
      containers: [
        { name: 'a', image: '1' },
        { name: 'b', image: '2' },
      ],
    },
    applier('m'),
  );
  const second = apply(first, { containers: [{ name: 'b', image: '2' }] }, applier('m', 1));
  assert.equal(second.spec, { containers: [{ name: 'b', image: '2' }] });
});

test('a member of a set that is left out goes, those of others stay', () => {
  const first = apply(object({}), { finalizers: ['a', 'b'] }, applier('m'));
  const other = apply(first, { finalizers: ['c'] }, applier('n', 1));
  assert.equal(other.spec, { finalizers: ['a', 'b', 'c'] });
  assert.equal(apply(other, { finalizers: ['b'] }, applier('m', 2)).spec, { finalizers: ['b', 'c'] });
});

test('what was never applied is left alone', () => {
  const live = trackUpdate(undefined, object({ replicas: 5 }), updater('hpa'), schema);
  const applied = apply(live, { labels: { a: '1' } }, applier('m'));
  assert.equal(applied.spec, { replicas: 5, labels: { a: '1' } });
});

test('entries are found by all their keys, defaults included', () => {
  const first = apply(
    object({}),
    { ports: [{ containerPort: 53, protocol: 'UDP', name: 'dns' }] },
    applier('m'),
  );
  const second = apply(first, { ports: [{ containerPort: 53, name: 'dns-tcp' }] }, applier('n', 1));
  assert.equal(second.spec, {
    ports: [
      { containerPort: 53, protocol: 'UDP', name: 'dns' },
      { containerPort: 53, name: 'dns-tcp' },
    ],
  });
});

test('two may apply the same value, and the field goes when the last leaves it', () => {
  const first = apply(object({}), { replicas: 3, paused: 'no' }, applier('m'));
  const shared = apply(first, { replicas: 3 }, applier('n', 1));
  assert.equal(managers(shared), {
    m: { 'f:spec': { 'f:replicas': {}, 'f:paused': {} } },
    n: { 'f:spec': { 'f:replicas': {} } },
  });
  const left = apply(shared, { paused: 'no' }, applier('m', 2));
  assert.equal(left.spec, { replicas: 3, paused: 'no' });
  assert.equal(apply(left, { paused: 'no' }, applier('n', 3)).spec, { paused: 'no' });
});

test('another value for a field of somebody else is a conflict', () => {
  const live = trackUpdate(undefined, object({ replicas: 5 }), updater('kubectl-edit'), schema);
  const refused = refusal(() => apply(live, { replicas: 3 }, applier('m')));
  assert.is(refused.code, 409);
  assert.is(refused.reason, 'Conflict');
  assert.is(
    refused.message,
    'Apply failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.replicas',
  );
  assert.equal(refused.statusDetails.causes, [
    {
      reason: 'FieldManagerConflict',
      message: 'conflict with "kubectl-edit" using apps/v1',
      field: '.spec.replicas',
    },
  ]);
});

test('several conflicts are listed below each manager, by name', () => {
  const spec = { replicas: 1, containers: [{ name: 'c', image: 'old' }], paused: 'no' };
  const first = apply(object({}), { replicas: 1, paused: 'no' }, applier('zed'));
  const live = trackUpdate(first, object(spec), { ...updater('amy'), subresource: 'scale' }, schema);
  const wanted = { replicas: 2, paused: 'yes', containers: [{ name: 'c', image: 'new' }] };
  const refused = refusal(() => apply({ ...live, spec }, wanted, applier('m')));
  assert.is(
    refused.message,
    [
      'Apply failed with 3 conflicts: conflicts with "amy" with subresource "scale" using apps/v1:',
      '- .spec.containers[name="c"].image',
      'conflicts with "zed":',
      '- .spec.replicas',
      '- .spec.paused',
    ].join('\n'),
  );
});

test('a field that two hold conflicts with both', () => {
  const both = apply(apply(object({}), { replicas: 1 }, applier('a')), { replicas: 1 }, applier('b'));
  const refused = refusal(() => apply(both, { replicas: 2 }, applier('c')));
  assert.equal(
    refused.statusDetails.causes?.map((c) => c.message),
    ['conflict with "a"', 'conflict with "b"'],
  );
});

test('an empty map takes nothing away from those who fill it, and disputes nothing', () => {
  const empty = apply(object({}), { labels: {} }, applier('a'));
  const filled = apply(empty, { labels: { x: '1' } }, applier('b'));
  assert.equal(apply(filled, { labels: {} }, applier('c')).spec, { labels: { x: '1' } });
});

test('force takes the field over', () => {
  const live = apply(object({}), { replicas: 1, paused: 'no' }, applier('a'));
  const forced = apply(live, { replicas: 2 }, applier('b', 1), true);
  assert.equal(forced.spec, { replicas: 2, paused: 'no' });
  assert.equal(managers(forced), {
    a: { 'f:spec': { 'f:paused': {} } },
    b: { 'f:spec': { 'f:replicas': {} } },
  });
});

test('an atomic list or map is one field', () => {
  const live = apply(object({}), { args: ['x'], selector: { a: '1' } }, applier('a'));
  const refused = refusal(() => apply(live, { args: ['x', 'y'], selector: { b: '2' } }, applier('b')));
  assert.equal(
    refused.statusDetails.causes?.map((c) => c.field),
    ['.spec.args', '.spec.selector'],
  );
  const forced = apply(live, { args: ['y'], selector: { b: '2' } }, applier('b', 1), true);
  assert.equal(forced.spec, { args: ['y'], selector: { b: '2' } });
});

test('the same configuration again changes nothing, not even the time', () => {
  const first = apply(object({}), { replicas: 3 }, applier('m', 0));
  assert.equal(apply(first, { replicas: 3 }, applier('m', 5)), first);
});

test('an update takes over the fields that it changes and no others', () => {
  const first = apply(object({}), { replicas: 3, paused: 'no' }, applier('m'));
  const next = { ...first, spec: { replicas: 4, paused: 'no' } };
  const updated = trackUpdate(first, next, updater('edit', 1), schema);
  assert.equal(managers(updated), {
    m: { 'f:spec': { 'f:paused': {} } },
    edit: { 'f:spec': { 'f:replicas': {} } },
  });
});

test('a field that an update takes away belongs to nobody', () => {
  const first = apply(object({}), { replicas: 3, paused: 'no' }, applier('m'));
  const updated = trackUpdate(first, { ...first, spec: { paused: 'no' } }, updater('edit', 1), schema);
  assert.equal(managers(updated), { m: { 'f:spec': { 'f:paused': {} } } });
});

test('what the server keeps in metadata belongs to nobody', () => {
  const whole: ApiObject = {
    ...object({ replicas: 1 }),
    metadata: { name: 'a', uid: 'u', resourceVersion: '7', creationTimestamp: at(0), labels: { l: '1' } },
  };
  const tracked = trackUpdate(undefined, whole, updater('m'), schema);
  assert.equal(managers(tracked).m, {
    'f:metadata': { 'f:labels': { 'f:l': {} } },
    'f:spec': { 'f:replicas': {} },
  });
});

test.run();
