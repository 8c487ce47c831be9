import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { KubeObject } from '../../core/k8s.ts';
import { ObjectCache } from './object-cache.ts';
import { FakeObjectStore } from './test-store.ts';

type Context = { store: FakeObjectStore; cache: ObjectCache; heard: string[] };
const test = suite<Context>('object-cache');
const CONFIGMAPS = '/core/v1/configmaps';
const PODS = '/core/v1/pods';

test.before.each((context) => {
  context.store = new FakeObjectStore();
  context.cache = new ObjectCache({ store: context.store, node: 'edge-1' });
  context.heard = [];
  for (const collection of [CONFIGMAPS, PODS]) {
    context.cache.journal.listen(collection, ({ type, object }) => {
      context.heard.push(`${type} ${object.metadata.name} ${object.metadata.resourceVersion ?? '-'}`);
    });
  }
});

const configMap = (name: string, resourceVersion: string, more: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion, ...more },
});
const names = ({ cache }: Context): string[] =>
  cache.list(CONFIGMAPS, undefined).map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`);
const all = (): boolean => true;

test('only what is newer counts', (context) => {
  for (const version of ['10', '10', '9', '11']) context.cache.take(configMap('a', version), false);
  assert.equal(context.heard, ['ADDED a 10', 'MODIFIED a 11']);
  assert.equal(names(context), ['a 11']);
});

test('the same name in another life is another object', (context) => {
  context.cache.take(configMap('a', '10'), false);
  context.cache.take(configMap('a', '5', { uid: 'earlier' }), false);
  context.cache.take(configMap('a', '11', { uid: 'later' }), false);
  // A push is believed even when the cluster's counting began anew.
  context.cache.take(configMap('a', '2', { uid: 'latest' }), true);
  assert.equal(context.heard, ['ADDED a 10', 'DELETED a 10', 'ADDED a 11', 'DELETED a 11', 'ADDED a 2']);
});

test('what is no object is not taken', ({ cache, heard }) => {
  for (const bad of [null, 'x', {}, { metadata: {} }, { metadata: { name: 'a' } }])
    assert.not(cache.take(bad, false));
  assert.equal(heard, []);
});

test('a deletion is told once, and an answer that was under way does not undo it', (context) => {
  const { cache, heard } = context;
  cache.take(configMap('a', '10'), false);
  cache.remove(CONFIGMAPS, 'ns', 'a', configMap('a', '12'));
  cache.remove(CONFIGMAPS, 'ns', 'a', configMap('a', '12'));
  cache.take(configMap('a', '11'), false);
  assert.equal(names(context), []);
  assert.equal(heard, ['ADDED a 10', 'DELETED a 12']);
  cache.take(configMap('a', '13', { uid: 'new' }), false);
  assert.equal(names(context), ['a 13']);
});

test('the deletion of an earlier object leaves the new one of the name alone', (context) => {
  context.cache.take(configMap('a', '10', { uid: 'new' }), false);
  context.cache.remove(CONFIGMAPS, 'ns', 'a', configMap('a', '9', { uid: 'old' }));
  assert.equal(names(context), ['a 10']);
});

test('a whole list takes away what it lacks, but for what is newer than it', (context) => {
  const { cache } = context;
  for (const [name, version] of [
    ['gone', '5'],
    ['new', '21'],
    ['kept', '6'],
  ] as const)
    cache.take(configMap(name, version), false);
  const items = [configMap('kept', '6'), configMap('more', '7')];
  cache.takeList(CONFIGMAPS, 'ns', all, { items, version: 20, complete: true });
  assert.equal(names(context), ['kept 6', 'more 7', 'new 21']);
  assert.is(cache.journal.revision, 21);
});

test('a part of a list takes nothing away, nor does a list of others', (context) => {
  const { cache } = context;
  cache.take(configMap('a', '5'), false);
  cache.takeList(CONFIGMAPS, 'ns', all, { items: [], version: 20, complete: false });
  cache.takeList(CONFIGMAPS, 'other', all, { items: [], version: 20, complete: true });
  cache.takeList(CONFIGMAPS, 'ns', () => false, { items: [], version: 20, complete: true });
  assert.equal(names(context), ['a 5']);
});

test('a watch goes on from a list without a gap and without a repetition', ({ cache }) => {
  cache.takeList(CONFIGMAPS, 'ns', all, {
    items: [configMap('a', '9'), configMap('b', '4')],
    version: 20,
    complete: true,
  });
  cache.take(configMap('c', '21'), false);
  const since = (version: number): string[] | undefined =>
    cache.journal.since(CONFIGMAPS, version)?.map(({ object }) => object.metadata.name);
  assert.equal(since(20), ['c']);
  assert.equal(since(21), []);
  // What comes late may have been missed by who has seen all that was known.
  cache.take(configMap('late', '15'), false);
  assert.equal(since(21), ['late']);
});

test('after a restart a place from before it is forgotten', ({ store, cache }) => {
  cache.take(configMap('a', '30'), false);
  const next = new ObjectCache({ store, node: 'edge-1' });
  assert.is(next.journal.revision, 30);
  assert.equal([next.journal.since(CONFIGMAPS, 29), next.journal.since(CONFIGMAPS, 30)], [undefined, []]);
});

test('room is made for what is new, but never of what belongs to the node', ({ store, cache }) => {
  const large = (name: string, version: number): KubeObject =>
    ({ ...configMap(name, `${version}`), data: { x: 'x'.repeat(3 * 1024 * 1024) } }) as KubeObject;
  cache.take(large('own', 1), true);
  for (let i = 0; i < 8; i++) cache.take(large(`n${i}`, i + 2), false);
  assert.equal(
    [...store.rows.keys()].map((key) => key.split('/').at(-1)),
    ['own', 'n4', 'n5', 'n6', 'n7'],
  );
});

const pod = (version: string, status: object, nodeName = 'edge-1'): KubeObject =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'ns', uid: 'u1', resourceVersion: version },
    spec: { nodeName },
    status,
  }) as KubeObject;
const phase = ({ cache }: Context): unknown =>
  (cache.list(PODS, 'ns')[0] as { status?: { phase?: string } } | undefined)?.status?.phase;

test('what this node says of its pod is seen at once, and stays when the cloud is behind', (context) => {
  const { cache, heard } = context;
  cache.take(pod('1', { phase: 'Pending' }), true);
  cache.podStatus('ns', 'web', 'u1', { phase: 'Running' });
  cache.podStatus('ns', 'web', 'u1', { phase: 'Running' });
  cache.podStatus('ns', 'web', 'other', { phase: 'Failed' });
  assert.equal(heard, ['ADDED web 1', 'MODIFIED web 1']);
  cache.take(pod('2', { phase: 'Pending' }), true);
  assert.is(phase(context), 'Running');
});

test('of pods of other nodes the cloud knows best', (context) => {
  context.cache.take(pod('1', { phase: 'Pending' }, 'edge-2'), false);
  context.cache.take(pod('2', { phase: 'Running' }, 'edge-2'), false);
  assert.is(phase(context), 'Running');
});

test.run();
