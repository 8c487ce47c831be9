import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ApiObject, JsonObject } from '../json.ts';
import { eventCodec } from './event-codec.ts';
import type { Strategy } from './resource.ts';
import {
  configMapStrategy,
  eventStrategy,
  leaseStrategy,
  namespaceStrategy,
  nodeStrategy,
  secretStrategy,
} from './strategies.ts';

const object = (content: JsonObject, metadata: JsonObject = { name: 'a' }): ApiObject => ({
  apiVersion: 'v1',
  kind: 'K',
  ...content,
  metadata,
});
const notReady = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };

/** What an object becomes as it is made. @source kubernetes pkg/registry/core */
const prepared: [string, Strategy, JsonObject, JsonObject][] = [
  ['a node is kept free until it is ready', nodeStrategy, {}, { spec: { taints: [notReady] } }],
  [
    'a node keeps its own taints',
    nodeStrategy,
    { spec: { taints: [{ key: 'k', effect: 'NoExecute' }] } },
    { spec: { taints: [{ key: 'k', effect: 'NoExecute' }, notReady] } },
  ],
  [
    'a node is not tainted twice',
    nodeStrategy,
    { spec: { taints: [notReady] } },
    { spec: { taints: [notReady] } },
  ],
  ['a secret is opaque', secretStrategy, { data: { k: 'dg==' } }, { data: { k: 'dg==' }, type: 'Opaque' }],
  [
    'stringData ends up in data and counts more',
    secretStrategy,
    { data: { k: 'b2xk', l: 'bA==' }, stringData: { k: 'new' }, type: 't' },
    { data: { k: 'bmV3', l: 'bA==' }, type: 't' },
  ],
];
for (const [what, strategy, given, made] of prepared) {
  test(what, () => assert.equal(strategy.prepare?.(object(given)), object(made)));
}

test('a namespace carries its name as a label, and what holds it', () => {
  const made = namespaceStrategy.prepare?.(object({}, { name: 'ns', labels: { a: '1' } }));
  assert.equal(made, {
    ...object({ spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } }),
    metadata: { name: 'ns', labels: { a: '1', 'kubernetes.io/metadata.name': 'ns' } },
  });
  const updated = namespaceStrategy.prepareUpdate?.(
    object({ spec: { finalizers: [] } }, { name: 'ns' }),
    made ?? object({}),
  );
  assert.equal(updated?.metadata.labels, { 'kubernetes.io/metadata.name': 'ns' });
  assert.equal(updated?.spec, { finalizers: ['kubernetes'] });
});

const big = 'x'.repeat(1024 * 1024 * 1.4 + 1);
const faults: [string, Strategy, JsonObject, string[]][] = [
  ['keys of every allowed kind', configMapStrategy, { data: { 'a.b-c_D1': 'x', '.hidden': '' } }, []],
  ['a key with a slash', configMapStrategy, { data: { 'a/b': 'x' } }, ['data[a/b]']],
  ['a key that climbs', configMapStrategy, { data: { '..': 'x' } }, ['data[..]']],
  ['bytes that are no base64', configMapStrategy, { binaryData: { k: 'äö' } }, ['binaryData[k]']],
  ['text that need not be base64', configMapStrategy, { data: { k: 'äö' } }, []],
  ['more than may be', configMapStrategy, { data: { k: big } }, ['data']],
  ['a secret that is no base64', secretStrategy, { data: { k: 'a' } }, ['data[k]']],
  [
    'a TLS secret without its key',
    secretStrategy,
    { type: 'kubernetes.io/tls', data: { 'tls.crt': '' } },
    ['data[tls.key]'],
  ],
  [
    'taints without key and effect',
    nodeStrategy,
    { spec: { taints: [{ effect: 'NoSchedule' }, { key: 'k', effect: 'No' }] } },
    ['spec.taints[0].key', 'spec.taints[1].effect'],
  ],
  ['a lease of no time', leaseStrategy, { spec: { leaseDurationSeconds: 0 } }, ['spec.leaseDurationSeconds']],
  ['a lease without a time', leaseStrategy, {}, []],
];
for (const [what, strategy, content, fields] of faults) {
  test(`${fields.length === 0 ? 'accepts' : 'refuses'} ${what}`, () => {
    assert.equal(
      strategy.validate?.(object(content)).map((c) => c.field),
      fields,
    );
  });
}

for (const [about, namespace, fits] of [
  ['ns', 'ns', true],
  ['ns', 'default', false],
  ['', 'default', true],
  ['', 'kube-system', true],
  ['', 'ns', false],
] as const) {
  test(`an event about ${about || 'the cluster'} ${fits ? 'may' : 'may not'} stand in ${namespace}`, () => {
    const event = object({ involvedObject: { namespace: about } }, { name: 'e', namespace });
    assert.is(eventStrategy.validate?.(event).length, fits ? 0 : 1);
  });
}

const fixed = object({ data: { k: '1' }, immutable: true });
for (const [what, next, fields] of [
  ['nothing', fixed, []],
  ['its labels', { ...fixed, metadata: { name: 'a', labels: { l: '1' } } }, []],
  ['its data', object({ data: { k: '2' }, immutable: true }), ['data']],
  ['the mark itself', object({ data: { k: '1' } }), ['immutable']],
] as const) {
  test(`an immutable configMap ${fields.length === 0 ? 'may' : 'may not'} change ${what}`, () => {
    assert.equal(
      configMapStrategy.validateUpdate?.(next, fixed).map((c) => c.field),
      fields,
    );
  });
}

test('a secret cannot change its type', () => {
  const causes = secretStrategy.validateUpdate?.(object({ type: 'a' }), object({ type: 'b' })) ?? [];
  assert.equal(
    causes.map((c) => c.field),
    ['type'],
  );
  assert.is(
    secretStrategy.prepareUpdate?.(object({}), object({ type: 'b' })).type,
    'b',
    'unless it says none',
  );
});

/** @source kubernetes pkg/apis/events/v1/conversion.go */
const core = object({
  kind: 'Event',
  involvedObject: { kind: 'Pod', name: 'p' },
  message: 'm',
  source: { component: 'kubelet' },
  count: 2,
  firstTimestamp: 'f',
  lastTimestamp: 'l',
  reportingComponent: 'r',
  reason: 'Started',
});
const newer = object({
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  regarding: { kind: 'Pod', name: 'p' },
  note: 'm',
  deprecatedSource: { component: 'kubelet' },
  deprecatedCount: 2,
  deprecatedFirstTimestamp: 'f',
  deprecatedLastTimestamp: 'l',
  reportingController: 'r',
  reason: 'Started',
});
test('an event has two shapes, each of which makes the other', () => {
  assert.equal(eventCodec.fromStored(core), newer);
  assert.equal(eventCodec.toStored(newer), core);
  assert.equal(eventCodec.toStored(object({ kind: 'Event' })).involvedObject, {});
});

test.run();
