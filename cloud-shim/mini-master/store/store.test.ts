import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ApiObject } from '../json.ts';
import { type Change, Store, type StoreContent } from './store.ts';

const empty: StoreContent = { revision: 0, objects: {} };
const pod = (name: string, namespace = 'default', label = ''): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, ...(label ? { labels: { l: label } } : {}) },
});
const told = ({ type, revision, object }: Change): string => `${type} ${object.metadata.name} ${revision}`;

test('every write of any collection has the next resourceVersion', () => {
  const store = new Store(empty, 10);
  assert.is(store.put('pods', pod('a')).metadata.resourceVersion, '1');
  assert.is(store.put('secrets', pod('s')).metadata.resourceVersion, '2');
  assert.is(store.put('pods', pod('a')).metadata.resourceVersion, '3');
  assert.is(store.remove('pods', pod('a')).metadata.resourceVersion, '4');
  assert.is(store.revision, 4);
});

test('what is put in is not changed, what is stored carries the version', () => {
  const store = new Store(empty, 10);
  const given = pod('a');
  const stored = store.put('pods', given);
  assert.is(given.metadata.resourceVersion, undefined);
  assert.is(store.get('pods', 'default', 'a'), stored);
});

test('objects are listed by namespace and name, in the order of etcd’s keys', () => {
  const store = new Store(empty, 10);
  for (const [name, namespace] of [
    ['b', 'one'],
    ['a', 'two'],
    ['a', 'one'],
    ['c', 'one-more'],
  ] as const)
    store.put('pods', pod(name, namespace));
  const listed = (namespace?: string): string[] =>
    store.list('pods', namespace).map((o) => `${o.metadata.namespace}/${o.metadata.name}`);
  assert.equal(listed('one'), ['one/a', 'one/b']);
  assert.equal(listed(), ['one-more/c', 'one/a', 'one/b', 'two/a']);
  assert.equal(listed('none'), []);
  assert.equal(store.list('secrets'), []);
});

test('watchers are told what was done and what was before, of their collection or of all', () => {
  const store = new Store(empty, 10);
  const [pods, all]: [Change[], Change[]] = [[], []];
  store.watch('pods', (change) => pods.push(change));
  const end = store.watch(undefined, (change) => all.push(change));
  store.put('pods', pod('a', 'default', '1'));
  store.put('secrets', pod('s'));
  store.put('pods', pod('a', 'default', '2'));
  end();
  store.remove('pods', pod('a', 'default', '3'));
  assert.equal(pods.map(told), ['ADDED a 1', 'MODIFIED a 3', 'DELETED a 4']);
  assert.equal(all.map(told), ['ADDED a 1', 'ADDED s 2', 'MODIFIED a 3']);
  assert.is(pods[0]?.previous, undefined);
  assert.equal(pods[1]?.previous?.metadata, {
    name: 'a',
    namespace: 'default',
    labels: { l: '1' },
    resourceVersion: '1',
  });
  assert.equal(pods[2]?.object.metadata, {
    name: 'a',
    namespace: 'default',
    labels: { l: '3' },
    resourceVersion: '4',
  });
  assert.equal(pods[2]?.previous?.metadata.resourceVersion, '3');
});

test('the removal of what is not there is no change', () => {
  const store = new Store(empty, 10);
  const changes: Change[] = [];
  store.watch('pods', (change) => changes.push(change));
  store.remove('pods', pod('a'));
  assert.equal([store.revision, changes.length], [0, 0]);
});

test('a watcher may end another while a change is told', () => {
  const store = new Store(empty, 10);
  const heard: string[] = [];
  const ends: (() => void)[] = [];
  store.watch('pods', () => {
    heard.push('first');
    for (const end of ends) end();
  });
  ends.push(store.watch('pods', () => heard.push('second')));
  store.put('pods', pod('a'));
  store.put('pods', pod('b'));
  assert.equal(heard, ['first', 'second', 'first']);
});

test('the changes after a version are known until they are forgotten', () => {
  const store = new Store(empty, 2);
  for (let i = 1; i <= 4; i++) store.put('pods', pod(`p${i}`));
  assert.equal(store.since('pods', 0)?.map(told), ['ADDED p1 1', 'ADDED p2 2', 'ADDED p3 3', 'ADDED p4 4']);
  assert.equal(store.since('pods', 4), []);
  store.put('pods', pod('p5'));
  assert.is(store.compacted('pods'), 3);
  assert.is(store.since('pods', 2), undefined, 'the change of version 3 is gone');
  assert.equal(store.since('pods', 3)?.map(told), ['ADDED p4 4', 'ADDED p5 5']);
});

test('a collection that hardly changes keeps its history while others are busy', () => {
  const store = new Store(empty, 2);
  store.put('secrets', pod('s'));
  for (let i = 0; i < 20; i++) store.put('pods', pod('busy'));
  assert.equal(store.since('secrets', 0)?.map(told), ['ADDED s 1']);
});

test('after compaction only the present is known', () => {
  const store = new Store(empty, 10);
  store.put('pods', pod('a'));
  store.put('pods', pod('b'));
  store.compact('pods');
  assert.is(store.since('pods', 1), undefined);
  assert.equal(store.since('pods', 2), []);
  assert.is(store.list('pods').length, 2);
});

test('a snapshot brings everything back, and versions go on from there', () => {
  const store = new Store(empty, 10);
  store.put('pods', pod('a'));
  store.put('nodes', pod('n', ''));
  store.put('pods', pod('gone'));
  store.remove('pods', pod('gone'));
  store.put('secrets', pod('gone'));
  store.remove('secrets', pod('gone'));
  const content = store.content();
  assert.is(content.revision, 6);
  assert.equal(Object.keys(content.objects), ['pods', 'nodes']);
  const again = new Store(JSON.parse(JSON.stringify(content)) as StoreContent, 10);
  assert.equal(again.content(), content);
  assert.is(again.since('pods', 5), undefined, 'what came before the snapshot is not known');
  assert.equal(again.since('pods', 6), []);
  assert.is(again.put('pods', pod('b')).metadata.resourceVersion, '7');
});

test.run();
