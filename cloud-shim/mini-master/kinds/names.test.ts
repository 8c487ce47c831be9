import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ApiObject, JsonObject } from '../json.ts';
import { labelFaults, metaFaults, nameFault } from './names.ts';
import type { NameRule } from './resource.ts';

const long = (length: number): string => 'a'.repeat(length);
/** @source Kubernetes, Object Names and IDs; RFC 1123 */
const names: [string, NameRule, boolean][] = [
  ['edge-1', 'label', true],
  ['1', 'label', true],
  [long(63), 'label', true],
  [long(64), 'label', false],
  ['a.b', 'label', false],
  ['-a', 'label', false],
  ['a-', 'label', false],
  ['A', 'label', false],
  ['', 'label', false],
  ['a.b-c.1', 'subdomain', true],
  [long(253), 'subdomain', true],
  [long(254), 'subdomain', false],
  ['a..b', 'subdomain', false],
  ['a.-b', 'subdomain', false],
  ['a_b', 'subdomain', false],
  ['system:node', 'path', true],
  ['a/b', 'path', false],
  ['a%b', 'path', false],
  ['.', 'path', false],
  ['..', 'path', false],
];
for (const [name, rule, fits] of names) {
  const shown = name.length > 20 ? `a name of ${name.length} characters` : `"${name}"`;
  test(`${shown} is ${fits ? 'a' : 'no'} ${rule}`, () =>
    assert.is(nameFault(name, rule) === undefined, fits));
}

const labels: [JsonObject, number][] = [
  [{}, 0],
  [{ 'app.kubernetes.io/name': 'x', tier: '' }, 0],
  [{ [`${long(63)}`]: long(63) }, 0],
  [{ [long(64)]: 'x' }, 1],
  [{ x: long(64) }, 1],
  [{ x: '-a' }, 1],
  [{ x: 1 }, 1],
  [{ '/x': 'a' }, 1],
  [{ 'a/b/c': 'a' }, 1],
  [{ 'A.B/c': 'a' }, 1],
  [{ '': 'a' }, 1],
];
for (const [map, count] of labels) {
  test(`${JSON.stringify(map).slice(0, 30)} has ${count} faults as labels`, () => {
    assert.is(labelFaults(map, 'metadata.labels').length, count);
  });
}

const object = (metadata: JsonObject): ApiObject => ({ apiVersion: 'v1', kind: 'K', metadata });

test('metadata is checked as a whole', () => {
  assert.equal(metaFaults(object({ name: 'a', annotations: { 'Big/Key': 'any text: {}' } }), 'label'), []);
  const faults = metaFaults(
    object({
      labels: { x: '?' },
      annotations: { 'a b': 'x' },
      ownerReferences: [{ kind: 'K', name: 'a', uid: 'u' }],
    }),
    'label',
  );
  assert.equal(
    faults.map((c) => c.field),
    ['metadata.name', 'metadata.labels', 'metadata.annotations', 'metadata.ownerReferences[0].apiVersion'],
  );
  assert.is(faults[0]?.message, 'Required value: name or generateName is required');
});

test('annotations hold 256 KiB in all', () => {
  const of = (size: number): number =>
    metaFaults(object({ name: 'a', annotations: { key: long(size - 3) } }), 'label').length;
  assert.is(of(256 * 1024), 0);
  assert.is(of(256 * 1024 + 1), 1);
});

test.run();
