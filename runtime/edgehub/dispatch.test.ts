import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Message, newMessage } from '../core/message.ts';
import { dispatch } from './dispatch.ts';

type Route = { source?: string; group?: string; operation: string; resource?: string; parent?: string };
const message = (route: Route, content: unknown = null): Message =>
  newMessage(
    { source: 'edgecontroller', group: 'resource', resource: 'default/pod/web', ...route, content },
    0,
    'm1',
  );

const pod = { metadata: { name: 'web' } };
for (const operation of ['insert', 'update', 'delete'] as const) {
  test(`${operation} of an object is a change of that object`, () => {
    const incoming = message({ operation }, pod);
    assert.equal(dispatch(incoming), {
      kind: 'object',
      operation,
      namespace: 'default',
      type: 'pod',
      name: 'web',
      object: pod,
      message: incoming,
    });
  });
}

test('an object outside namespaces has none', () => {
  const change = dispatch(message({ operation: 'update', resource: 'null/node/edge-1' }, pod));
  assert.ok(change.kind === 'object');
  assert.is(change.namespace, undefined);
});

for (const [how, content] of [
  ['as base64', Buffer.from(JSON.stringify(pod)).toString('base64')],
  ['as JSON in a string', JSON.stringify(pod)],
] as const) {
  test(`an object may come ${how}`, () => {
    const change = dispatch(message({ operation: 'insert' }, content));
    assert.ok(change.kind === 'object');
    assert.equal(change.object, pod);
  });
}

const kinds: [string, Route, string][] = [
  ['a reply of group resource', { operation: 'response', parent: 'r1' }, 'reply'],
  ['a reply of group twin', { operation: 'response', group: 'twin', parent: 'r1' }, 'reply'],
  ['a reply of group user', { operation: 'response', group: 'user', parent: 'r1' }, 'reply'],
  ['an error with parent', { operation: 'error', parent: 'r1' }, 'reply'],
  ['config', { operation: 'config' }, 'control'],
  ['ping', { operation: 'ping', group: '' }, 'control'],
  ['pong', { operation: 'pong' }, 'control'],
  ['group func', { operation: 'insert', group: 'func' }, 'object'],
  ['a list', { operation: 'insert', resource: 'default/pod' }, 'unknown'],
  ['a resource of four segments', { operation: 'insert', resource: 'default/a/b/c' }, 'unknown'],
  ['an operation that no object has', { operation: 'publish' }, 'unknown'],
  ['a twin message that is no membership', { operation: 'update', group: 'twin', resource: 'x' }, 'unknown'],
  [
    'a user message of the REST router',
    { operation: 'GET', group: 'user', source: 'router_servicebus' },
    'unknown',
  ],
  ['a job', { operation: 'Check', group: 'taskmanager' }, 'task'],
  ['an empty route', { operation: '', group: '', source: '', resource: '' }, 'unknown'],
];
for (const [what, route, kind] of kinds) {
  test(`${what} is ${kind}`, () => assert.is(dispatch(message(route)).kind, kind));
}

test('a reply names the message that it answers', () => {
  const incoming = message({ operation: 'response', parent: 'r1' }, 'OK');
  assert.equal(dispatch(incoming), { kind: 'reply', parent: 'r1', message: incoming });
});

const membership = { source: 'devicecontroller', group: 'twin', operation: 'update', resource: 'membership' };

test('a membership names who joins and who leaves; null stands for nobody', () => {
  const plc = { id: 'default/plc', name: 'plc', description: 'press 4' };
  assert.equal(dispatch(message(membership, { added_devices: [plc], removed_devices: null })), {
    kind: 'membership',
    added: [plc],
    removed: [],
  });
});

test('a device without name or description is named by its id; what is no device is left out', () => {
  const content = {
    added_devices: [{ id: 'default/plc' }, { id: 'plc' }, { id: 'a/b/c' }, { id: 5 }, null, 'x'],
  };
  assert.equal(dispatch(message(membership, content)), {
    kind: 'membership',
    added: [{ id: 'default/plc', name: 'default/plc', description: '' }],
    removed: [],
  });
});

test('a membership without content is unknown', () => {
  assert.is(dispatch(message(membership, 'x')).kind, 'unknown');
});

const bus = { source: 'router_eventbus', group: 'user' };
test('a rule publishes text as it is, and anything else as JSON', () => {
  const publish = { ...bus, operation: 'publish', resource: 'a/b' };
  assert.equal(dispatch(message(publish, 'on')), { kind: 'publish', topic: 'a/b', payload: 'on' });
  assert.equal(dispatch(message(publish, { v: 1 })), { kind: 'publish', topic: 'a/b', payload: '{"v":1}' });
});

for (const operation of ['subscribe', 'unsubscribe'] as const) {
  test(`a rule may ${operation}`, () => {
    assert.equal(dispatch(message({ ...bus, operation, resource: 'default/a/b' })), {
      kind: operation,
      topic: 'default/a/b',
    });
  });
}

test('a message that names its topic goes there whole', () => {
  const route = { ...bus, operation: 'message', resource: 'x' };
  const inner = { topic: 'a/b', value: 1 };
  const payload = '{"topic":"a/b","value":1}';
  assert.equal(dispatch(message(route, { message: inner })), { kind: 'publish', topic: 'a/b', payload });
  // Content as some senders put it: JSON in a string, and Go's byte slice.
  const text = JSON.stringify({ message: inner });
  for (const content of [text, Buffer.from(text).toString('base64')])
    assert.equal(dispatch(message(route, content)), { kind: 'publish', topic: 'a/b', payload });
  for (const content of [null, 'x', {}, { message: 'x' }, { message: { topic: 5 } }])
    assert.is(dispatch(message(route, content)).kind, 'unknown');
});

test('the answer to a question for authorisations is JSON, whatever it is', () => {
  const route = { ...bus, operation: 'get_result', resource: 'auth_info' };
  assert.equal(dispatch(message(route, { a: 1 })), { kind: 'authInfo', payload: '{"a":1}' });
  assert.equal(dispatch(message(route, 'no')), { kind: 'authInfo', payload: '"no"' });
  assert.is(dispatch(message({ ...route, resource: 'other' }, 'no')).kind, 'unknown');
});

test.run();
