import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  contentObject,
  contentText,
  encodeMessage,
  isRecord,
  type MessageDraft,
  newMessage,
  parseMessage,
  replyTo,
} from './message.ts';

const NOW = 1_700_000_000_000;
const draft: MessageDraft = {
  source: 'edgecontroller',
  group: 'resource',
  operation: 'insert',
  resource: 'default/pod/web',
  content: { a: 1 },
};

test('a message is one line of JSON with KubeEdge’s fields, the empty ones left out', () => {
  const line = encodeMessage(newMessage(draft, NOW, 'm1'));
  assert.is(
    line,
    '{"header":{"msg_id":"m1","timestamp":1700000000000},' +
      '"route":{"source":"edgecontroller","group":"resource","operation":"insert","resource":"default/pod/web"},' +
      '"content":{"a":1}}\n',
  );
});

test('parent and version are told when there are any', () => {
  const { header } = newMessage({ ...draft, parent: 'p1', resourceVersion: '7' }, NOW, 'm1');
  assert.equal(header, { msg_id: 'm1', parent_msg_id: 'p1', timestamp: NOW, resourceversion: '7' });
});

test('every message has an id of its own', () => {
  const id = newMessage(draft, NOW).header.msg_id;
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.is.not(newMessage(draft, NOW).header.msg_id, id);
});

test('a reply names its request, with a fresh id and operation response, all else copied', () => {
  const request = newMessage(draft, NOW, 'm1');
  const { header, route, content } = replyTo(request, 'OK', NOW + 1);
  assert.is(header.parent_msg_id, 'm1');
  assert.is.not(header.msg_id, 'm1');
  assert.is(header.timestamp, NOW + 1);
  assert.equal(route, { ...request.route, operation: 'response' });
  assert.is(content, 'OK');
});

test('what was encoded is read back', () => {
  const message = newMessage({ ...draft, parent: 'p1', resourceVersion: '7' }, NOW, 'm1');
  assert.equal(parseMessage(encodeMessage(message)), message);
});

test('a frame of Go is read: empty strings, unknown fields, no content', () => {
  const frame = {
    header: { msg_id: 'm1', parent_msg_id: '', timestamp: NOW, resourceversion: '', sync: false, type: '' },
    route: { source: '', destination: '', group: '', operation: '', resource: '' },
  };
  assert.equal(parseMessage(JSON.stringify(frame)), {
    header: { msg_id: 'm1', timestamp: NOW },
    route: { source: '', group: '', operation: '', resource: '' },
    content: null,
  });
});

const refused: [string, string][] = [
  ['', 'not JSON'],
  ['{', 'not JSON'],
  ['[]', 'no header or no route'],
  ['null', 'no header or no route'],
  ['{"header":{"msg_id":"a"}}', 'no header or no route'],
  ['{"header":[],"route":{}}', 'no header or no route'],
  ['{"header":{},"route":{}}', 'header.msg_id is not a string'],
  ['{"header":{"msg_id":5},"route":{}}', 'header.msg_id is not a string'],
];
for (const [text, why] of refused) {
  test(`${text || 'an empty frame'} is no message: ${why}`, () =>
    assert.equal(parseMessage(text), { refused: why }));
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const contents: [string, unknown, Record<string, unknown> | undefined][] = [
  ['an object', { a: 1 }, { a: 1 }],
  ['JSON in a string', '{"a":1}', { a: 1 }],
  ['base64 of JSON, as Go sends bytes', base64('{"a":1}'), { a: 1 }],
  ['a list', [1], undefined],
  ['base64 of a list', base64('[1]'), undefined],
  ['cut JSON', '{"a":', undefined],
  ['text', 'hello', undefined],
  ['a number', 5, undefined],
  ['nothing', null, undefined],
];
for (const [what, content, object] of contents) {
  test(`content that is ${what} is ${object ? 'an object' : 'none'}`, () =>
    assert.equal(contentObject(content), object));
}

test('content as text: a string stands for itself, all else for its JSON', () => {
  assert.equal(
    [contentText('a"b'), contentText({ a: 1 }), contentText(null), contentText(5)],
    ['a"b', '{"a":1}', 'null', '5'],
  );
});

test('lists, null and texts are no records', () => {
  assert.equal([{}, [], null, 'x', undefined, 5].map(isRecord), [true, false, false, false, false, false]);
});

test.run();
