import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Message, newMessage } from '../core/message.ts';
import { parseObjectResponse, parseQueryAnswer } from './object-response.ts';

const reply = (content: unknown, operation = 'response'): Message =>
  newMessage(
    { source: 'edgecontroller', group: 'meta', operation, resource: 'a/b/c', content, parent: 'p' },
    0,
  );
const object = { metadata: { name: 'c' } };
const status = { status: 'Failure', reason: 'Conflict', code: 409, message: 'it has changed' };
const conflict = { kind: 'refused', reason: 'Conflict', code: 409, message: 'it has changed' };
const unknown = (message: string) => ({ kind: 'refused', reason: 'Unknown', code: 0, message });

const writes: [string, Message, unknown][] = [
  ['an object and no error', reply({ Object: object, Err: null }), { kind: 'object', object }],
  ['an API refusal', reply({ Object: null, Err: { ErrStatus: status } }), conflict],
  ['a refusal that brings an object along', reply({ Object: object, Err: { ErrStatus: status } }), conflict],
  [
    'an empty Err, which Go reads as success',
    reply({ Object: null, Err: {} }),
    unknown('the cloud did not say why'),
  ],
  ['neither object nor error', reply({ Object: null, Err: null }), unknown('an answer without object')],
  ['an empty answer', reply({}), unknown('an answer without object')],
  ['an error in plain text', reply('etcd is away', 'error'), unknown('etcd is away')],
  ['text', reply('OK'), unknown('an answer without object: "OK"')],
  ['nothing', reply(null), unknown('an answer without object: null')],
];
for (const [what, message, wanted] of writes) {
  test(`a write that is answered with ${what}`, () => assert.equal(parseObjectResponse(message), wanted));
}

const notFound = { status: 'Failure', reason: 'NotFound', code: 404, message: 'secrets "s" not found' };
const queries: [string, Message, unknown][] = [
  ['the object', reply(object), { kind: 'object', object }],
  [
    'a Status in an answer that calls itself a response',
    reply({ ErrStatus: notFound }),
    { kind: 'refused', reason: 'NotFound', code: 404, message: 'secrets "s" not found' },
  ],
  ['an empty object', reply({}), unknown('an answer without metadata')],
  ['text', reply('OK'), unknown('an answer without object')],
  ['a list', reply([object]), unknown('an answer without object')],
  ['nothing', reply(null), unknown('an answer without object')],
  [
    'the API server’s words for a missing object',
    reply('secrets "s" not found', 'error'),
    { kind: 'refused', reason: 'NotFound', code: 404, message: 'secrets "s" not found' },
  ],
  ['another error in plain text', reply('not connected', 'error'), unknown('not connected')],
];
for (const [what, message, wanted] of queries) {
  test(`a query that is answered with ${what}`, () => assert.equal(parseQueryAnswer(message), wanted));
}

test.run();
