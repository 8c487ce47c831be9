import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { clone, type JsonObject } from '../json.ts';
import { applyDefaults, prune } from './prune.ts';
import { atomicList, mapOf, open, record, type Schema, text } from './schema.ts';

const schema: Schema = record({
  spec: record({
    known: text(),
    list: atomicList(record({ a: text() })),
    map: mapOf(record({ a: text() })),
    open: open(),
    half: { ...record({ inner: record({ a: text() }) }), 'x-kubernetes-preserve-unknown-fields': true },
    template: { ...record({ spec: record({ a: text() }) }), 'x-kubernetes-embedded-resource': true },
  }),
});

/** @source Kubernetes, CustomResourceDefinitions: field pruning */
const pruned: [string, JsonObject, JsonObject, string[]][] = [
  [
    'what every object has is known',
    { apiVersion: 'v1', kind: 'K', metadata: { name: 'a', labels: { l: '1' } } },
    { apiVersion: 'v1', kind: 'K', metadata: { name: 'a', labels: { l: '1' } } },
    [],
  ],
  ['an unknown field goes', { spec: { known: 'a', odd: 1 } }, { spec: { known: 'a' } }, ['spec.odd']],
  ['a field at the top goes', { odd: {} }, {}, ['odd']],
  [
    'an unknown field of the metadata goes',
    { metadata: { name: 'a', odd: 1 } },
    { metadata: { name: 'a' } },
    ['metadata.odd'],
  ],
  [
    'entries of lists are pruned',
    { spec: { list: [{ a: '1' }, { a: '2', b: '3' }] } },
    { spec: { list: [{ a: '1' }, { a: '2' }] } },
    ['spec.list[1].b'],
  ],
  [
    'values of maps are pruned, their keys kept',
    { spec: { map: { x: { a: '1', b: '2' } } } },
    { spec: { map: { x: { a: '1' } } } },
    ['spec.map.x.b'],
  ],
  [
    'what preserves unknown fields is kept',
    { spec: { open: { deep: { er: 1 } } } },
    { spec: { open: { deep: { er: 1 } } } },
    [],
  ],
  [
    'below a field that is described, pruning begins again',
    { spec: { half: { free: 1, inner: { a: '1', b: '2' } } } },
    { spec: { half: { free: 1, inner: { a: '1' } } } },
    ['spec.half.inner.b'],
  ],
  [
    'an embedded object keeps its kind and name',
    { spec: { template: { apiVersion: 'v1', kind: 'K', metadata: { name: 'x' }, odd: 1 } } },
    { spec: { template: { apiVersion: 'v1', kind: 'K', metadata: { name: 'x' } } } },
    ['spec.template.odd'],
  ],
  ['a wrong type is left to validation', { spec: { list: 'none' } }, { spec: { list: 'none' } }, []],
  ['a key that every object inherits is unknown', { spec: { toString: 1 } }, { spec: {} }, ['spec.toString']],
];
for (const [what, object, value, unknown] of pruned) {
  test(what, () => {
    const before = clone(object);
    assert.equal(prune(object, schema), { value, unknown });
    assert.equal(object, before);
  });
}

const defaults: Schema = record({
  foo: text('', { default: 'default' }),
  bar: text('', { nullable: true }),
  baz: text(),
  nested: { ...record({ a: text('', { default: 'x' }) }), default: {} },
  absent: record({ a: text('', { default: 'x' }) }),
  list: atomicList(record({ a: text('', { default: 'x' }) })),
  map: mapOf(record({ a: text('', { default: 'x' }) })),
  chosen: text('', { nullable: true, default: 'd' }),
});
/** @source Kubernetes, CustomResourceDefinitions: defaulting and nullable */
const defaulted: [string, JsonObject, JsonObject][] = [
  [
    'null is defaulted, kept or dropped, as the documentation shows',
    { foo: null, bar: null, baz: null, nested: {} },
    { foo: 'default', bar: null, nested: { a: 'x' }, chosen: 'd' },
  ],
  [
    'a missing field gets its default, and that its own',
    {},
    { foo: 'default', nested: { a: 'x' }, chosen: 'd' },
  ],
  [
    'what is there stays',
    { foo: '', nested: { a: 'y' }, chosen: null },
    { foo: '', nested: { a: 'y' }, chosen: null },
  ],
  [
    'entries of lists and maps are defaulted',
    { foo: 'f', nested: { a: 'y' }, chosen: 'c', list: [{}, { a: 'z' }], map: { k: {} } },
    { foo: 'f', nested: { a: 'y' }, chosen: 'c', list: [{ a: 'x' }, { a: 'z' }], map: { k: { a: 'x' } } },
  ],
];
for (const [what, object, result] of defaulted) {
  test(what, () => {
    const before = clone(object);
    assert.equal(applyDefaults(object, defaults), result);
    assert.equal(object, before);
  });
}

test('an object that is not there is not made for the defaults in it', () => {
  assert.not('absent' in applyDefaults<JsonObject>({}, defaults));
});

test('two objects do not share a default', () => {
  const shared: Schema = record({ list: { type: 'array', default: [] } });
  const [a, b] = [applyDefaults<JsonObject>({}, shared), applyDefaults<JsonObject>({}, shared)];
  assert.is.not(a.list, b.list);
});

test.run();
