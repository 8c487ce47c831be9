import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { eventBase, parseEvent, parseTwinRequest } from './twin-request.ts';

const NOW = 1_700_000_000_000;
const request = (twin: unknown): string => JSON.stringify({ event_id: 'e1', timestamp: 1, twin });

test('a request is read with its event, and the time is the edge’s own', () => {
  const parsed = parseTwinRequest(
    request({
      t: {
        expected: { value: '20', metadata: { timestamp: 5 } },
        actual: { value: '21' },
        optional: false,
        metadata: { type: 'int' },
      },
      gone: null,
      empty: {},
    }),
    NOW,
  );
  assert.ok(!('refused' in parsed));
  assert.is(parsed.event_id, 'e1');
  assert.is(parsed.timestamp, NOW);
  assert.equal(
    [...parsed.twin],
    [
      ['t', { expected: '20', actual: '21', type: 'int', optional: false }],
      ['gone', null],
      ['empty', {}],
    ],
  );
});

const types: [string, string][] = [
  ['', 'string'],
  ['string', 'string'],
  ['int', 'int'],
  ['integer', 'int'],
  ['float', 'float'],
  ['boolean', 'boolean'],
  ['deleted', 'deleted'],
];
for (const [named, type] of types) {
  test(`type ${JSON.stringify(named)} means ${type}`, () => {
    const parsed = parseTwinRequest(request({ t: { metadata: { type: named } } }), NOW);
    assert.ok(!('refused' in parsed));
    assert.equal(parsed.twin.get('t'), { type });
  });
}

const refused: [string, string, RegExp][] = [
  ['what is no JSON', '{', /no JSON object/],
  ['a list', '[]', /no JSON object/],
  ['an empty payload', '', /no twin/],
  ['a request without twin', '{"event_id":"e"}', /no twin/],
  ['a twin that is null', request(null), /no twin/],
  ['a twin that is a list', request([]), /no twin/],
  ['a name of 129 characters', request({ ['a'.repeat(129)]: {} }), /twin name "a{64}" has characters/],
  ['an empty name', request({ '': {} }), /twin name ""/],
  ['a name with a blank', request({ 'a b': {} }), /twin name "a b"/],
  ['a name with other letters', request({ ü: {} }), /twin name "ü"/],
  ['a twin that is a number', request({ t: 5 }), /twin t: want an object or null/],
  [
    'a value that is a number',
    request({ t: { actual: { value: 5 } } }),
    /twin t: actual.value must be a string/,
  ],
  ['an unknown type', request({ t: { metadata: { type: 'double' } } }), /twin t: "double" is no twin type/],
  ['a type that is no text', request({ t: { metadata: { type: 5 } } }), /twin t: 5 is no twin type/],
];
for (const [what, payload, reason] of refused) {
  test(`${what} is refused with 400`, () => {
    const parsed = parseTwinRequest(payload, NOW);
    assert.ok('refused' in parsed);
    assert.is(parsed.refused.code, 400);
    assert.match(parsed.refused.reason, reason);
  });
}

for (const name of ['a', 'A-z_0.9,:/@#', 'a'.repeat(128)]) {
  test(`a twin may be named ${name.length > 20 ? 'with 128 characters' : name}`, () => {
    const parsed = parseTwinRequest(request({ [name]: {} }), NOW);
    assert.ok(!('refused' in parsed));
    assert.equal([...parsed.twin.keys()], [name]);
  });
}

test('one twin that is wrong refuses the whole request', () => {
  assert.ok('refused' in parseTwinRequest(request({ good: { actual: { value: '1' } }, bad: 5 }), NOW));
});

test('any other event may have an empty payload, and an event_id that is no text is left out', () => {
  assert.equal(parseEvent(' '), {});
  assert.equal(eventBase({ event_id: 7 }, NOW), { event_id: '', timestamp: NOW });
});

test.run();
