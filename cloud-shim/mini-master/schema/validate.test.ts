import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Json } from '../json.ts';
import { atomicList, intOrString, keyedList, mapOf, record, type Schema, setList, text } from './schema.ts';
import { validateSchema } from './validate.ts';

const string: Schema = { type: 'string' };
const integer: Schema = { type: 'integer' };

const valid: [string, Schema, Json][] = [
  ['a string', string, 'x'],
  ['a whole number', integer, 3],
  ['a number', { type: 'number' }, 1.5],
  ['a flag', { type: 'boolean' }, false],
  ['null where it may be', { type: 'string', nullable: true }, null],
  ['a number or a string: a number', intOrString(), 80],
  ['a number or a string: a string', intOrString(), '50%'],
  ['anything where no type is said', {}, [1, 'a']],
  ['one of an enumeration', { type: 'string', enum: ['a', 'b'] }, 'b'],
  ['the minimum', { type: 'integer', minimum: 1 }, 1],
  ['the maximum', { type: 'integer', maximum: 3 }, 3],
  ['a multiple of a fraction', { type: 'number', multipleOf: 0.1 }, 0.3],
  ['characters, not bytes or code units', { type: 'string', maxLength: 2 }, 'é😀'],
  ['a pattern anywhere in the text', { type: 'string', pattern: 'b+' }, 'abbc'],
  ['a time with an offset', { type: 'string', format: 'date-time' }, '2026-01-01T12:00:00.5+01:00'],
  ['a format that is not known', { type: 'string', format: 'colour' }, 'red'],
  ['all of several', { type: 'integer', allOf: [{ minimum: 1 }, { maximum: 3 }] }, 2],
  ['any of several', { anyOf: [string, integer] }, 1],
  ['one of several', { oneOf: [string, integer] }, 1],
  ['not one thing', { not: string }, 1],
  ['fields of a map', mapOf(integer), { a: 1, b: 2 }],
  ['different members of a set', setList(string), ['a', 'b']],
  ['equal entries of an atomic list', atomicList(string), ['a', 'a']],
  ['a field that the schema does not name', record({ a: string }), { b: 1 }],
];
for (const [what, schema, value] of valid) {
  test(`accepts ${what}`, () => assert.equal(validateSchema(value, schema, 'spec.x'), []));
}

/** Schema, value, and the fault: field, reason, text. @source kube-openapi validation, field errors */
const invalid: [string, Schema, Json, string, string, string][] = [
  [
    'a wrong type',
    integer,
    'one',
    'spec.x',
    'FieldValueTypeInvalid',
    'Invalid value: "string": spec.x in body must be of type integer: "string"',
  ],
  [
    'a fraction for a whole number',
    integer,
    1.5,
    'spec.x',
    'FieldValueTypeInvalid',
    'Invalid value: "number": spec.x in body must be of type integer: "number"',
  ],
  [
    'null',
    string,
    null,
    'spec.x',
    'FieldValueTypeInvalid',
    'Invalid value: "null": spec.x in body must be of type string: "null"',
  ],
  [
    'what is not in an enumeration',
    { type: 'string', enum: ['a', 'b'] },
    'c',
    'spec.x',
    'FieldValueNotSupported',
    'Unsupported value: "c": supported values: "a", "b"',
  ],
  [
    'less than the minimum',
    { type: 'integer', minimum: 1 },
    0,
    'spec.x',
    'FieldValueInvalid',
    'Invalid value: 0: spec.x in body should be greater than or equal to 1',
  ],
  [
    'the minimum where it is excluded',
    { type: 'integer', minimum: 1, exclusiveMinimum: true },
    1,
    'spec.x',
    'FieldValueInvalid',
    'Invalid value: 1: spec.x in body should be greater than 1',
  ],
  [
    'more than the maximum',
    { type: 'integer', maximum: 3 },
    4,
    'spec.x',
    'FieldValueInvalid',
    'Invalid value: 4: spec.x in body should be less than or equal to 3',
  ],
  [
    'the maximum where it is excluded',
    { type: 'integer', maximum: 3, exclusiveMaximum: true },
    3,
    'spec.x',
    'FieldValueInvalid',
    'Invalid value: 3: spec.x in body should be less than 3',
  ],
  [
    'what is no multiple',
    { type: 'number', multipleOf: 0.1 },
    0.35,
    'spec.x',
    'FieldValueInvalid',
    'Invalid value: 0.35: spec.x in body should be a multiple of 0.1',
  ],
  [
    'a text that is too short',
    { type: 'string', minLength: 2 },
    'a',
    'spec.x',
    'FieldValueInvalid',
    'Invalid value: "a": spec.x in body should be at least 2 chars long',
  ],
  [
    'a text that is too long',
    { type: 'string', maxLength: 1 },
    'ab',
    'spec.x',
    'FieldValueInvalid',
    'Invalid value: "ab": spec.x in body should be at most 1 chars long',
  ],
  [
    'a text of another pattern',
    { type: 'string', pattern: '^a+$' },
    'ab',
    'spec.x',
    'FieldValueInvalid',
    'Invalid value: "ab": spec.x in body should match \'^a+$\'',
  ],
  [
    'a day for a time',
    { type: 'string', format: 'date-time' },
    '2026-01-01',
    'spec.x',
    'FieldValueInvalid',
    'Invalid value: "2026-01-01": spec.x in body must be of type date-time: "2026-01-01"',
  ],
  [
    'a day that the calendar does not have',
    { type: 'string', format: 'date-time' },
    '2026-13-01T00:00:00Z',
    'spec.x',
    'FieldValueInvalid',
    'Invalid value: "2026-13-01T00:00:00Z": spec.x in body must be of type date-time: "2026-13-01T00:00:00Z"',
  ],
  ['a missing field', record({ a: string }, ['a']), {}, 'spec.x.a', 'FieldValueRequired', 'Required value'],
  [
    'a wrong entry of a list',
    atomicList(record({ a: integer })),
    [{ a: 1 }, { a: 'b' }],
    'spec.x[1].a',
    'FieldValueTypeInvalid',
    'Invalid value: "string": spec.x[1].a in body must be of type integer: "string"',
  ],
  [
    'a wrong value of a map',
    mapOf(integer),
    { a: [] },
    'spec.x.a',
    'FieldValueTypeInvalid',
    'Invalid value: "array": spec.x.a in body must be of type integer: "array"',
  ],
  [
    'a member that is there twice',
    setList(string),
    ['a', 'b', 'a'],
    'spec.x[2]',
    'FieldValueDuplicate',
    'Duplicate value: "a"',
  ],
  [
    'two entries of one key',
    keyedList(record({ name: text(), v: integer }), 'name'),
    [
      { name: 'a', v: 1 },
      { name: 'a', v: 2 },
    ],
    'spec.x[1]',
    'FieldValueDuplicate',
    'Duplicate value: {"name":"a","v":2}',
  ],
  [
    'two equal members with another order of fields',
    setList(record({ a: integer, b: integer })),
    [
      { a: 1, b: 2 },
      { b: 2, a: 1 },
    ],
    'spec.x[1]',
    'FieldValueDuplicate',
    'Duplicate value: {"b":2,"a":1}',
  ],
];
for (const [what, schema, value, field, reason, message] of invalid) {
  test(`refuses ${what}`, () => {
    assert.equal(validateSchema(value, schema, 'spec.x'), [{ field, reason, message }]);
  });
}

const counted: [string, Schema, Json][] = [
  ['a list that is too long', { type: 'array', maxItems: 1 }, [1, 2]],
  ['a list that is too short', { type: 'array', minItems: 1 }, []],
  ['too many fields', { type: 'object', maxProperties: 1 }, { a: 1, b: 2 }],
  ['too few fields', { type: 'object', minProperties: 1 }, {}],
  ['none of several', { anyOf: [string, integer] }, true],
  ['two of several where one is wanted', { oneOf: [{ minimum: 1 }, { maximum: 3 }] }, 2],
  ['what it must not be', { not: string }, 'x'],
  ['one of all that fails', { allOf: [{ minimum: 1 }, { maximum: 3 }] }, 4],
];
for (const [what, schema, value] of counted) {
  test(`refuses ${what}`, () => {
    assert.equal(
      validateSchema(value, schema, 'spec.x').map((c) => c.field),
      ['spec.x'],
    );
  });
}

test('every fault is named, in order', () => {
  const schema = record({ a: integer, b: string, c: string }, ['c']);
  assert.equal(
    validateSchema({ a: 'x', b: 1 }, schema).map((c) => c.field),
    ['c', 'a', 'b'],
  );
});

test('of an object that is wrong all over 32 faults are named', () => {
  const wrong = Array.from({ length: 1000 }, () => 'x');
  assert.is(validateSchema(wrong, atomicList(integer)).length, 32);
});

test('a pattern that JavaScript does not know refuses nothing', () => {
  assert.equal(validateSchema('x', { type: 'string', pattern: '(?i:a' }, 'x'), []);
});

test.run();
