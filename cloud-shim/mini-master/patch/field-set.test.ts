import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { keyedList, record, setList, text } from '../schema/schema.ts';
import {
  fieldsOf,
  fromFieldsV1,
  minus,
  ownsBelow,
  toFieldsV1,
  union,
  valueAt,
  withoutField,
} from './field-set.ts';

const schema = record({
  spec: record({ list: keyedList(record({ name: text(), value: text() }), 'name'), set: setList(text()) }),
});
const whole = { spec: { list: [{ name: 'a', value: '1' }], set: ['x'] } };

test('what managedFields hold is read and written alike', () => {
  const fields = {
    'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
    'f:spec': { 'f:list': { 'k:{"name":"a"}': { '.': {}, 'f:name': {} } }, 'f:set': { 'v:"x"': {} } },
  };
  assert.equal(
    [...fromFieldsV1(fields).values()],
    [
      ['f:metadata', 'f:labels'],
      ['f:metadata', 'f:labels', 'f:app'],
      ['f:spec', 'f:list', 'k:{"name":"a"}'],
      ['f:spec', 'f:list', 'k:{"name":"a"}', 'f:name'],
      ['f:spec', 'f:set', 'v:"x"'],
    ],
  );
  assert.equal(toFieldsV1(fromFieldsV1(fields)), fields);
});

test('nothing is read from what is no set of fields', () => {
  for (const nothing of [undefined, null, {}, 'f:spec']) assert.is(fromFieldsV1(nothing).size, 0);
});

test('a path leads to a value, through entries and members', () => {
  for (const [path, value] of [
    [['f:spec', 'f:list', 'k:{"name":"a"}', 'f:value'], '1'],
    [['f:spec', 'f:set', 'v:"x"'], 'x'],
    [['f:spec', 'f:list', 'k:{"name":"b"}'], undefined],
    [['f:spec', 'f:toString'], undefined],
  ] as const) {
    assert.equal(valueAt(whole, path, schema), value);
  }
});

test('a field is taken out without touching the object', () => {
  const list = ['f:spec', 'f:list', 'k:{"name":"a"}'];
  assert.equal(withoutField(whole, [...list, 'f:value'], schema), {
    spec: { list: [{ name: 'a' }], set: ['x'] },
  });
  assert.equal(withoutField(whole, list, schema), { spec: { list: [], set: ['x'] } });
  assert.equal(withoutField(whole, ['f:spec', 'f:none', 'f:x'], schema), whole);
  assert.equal(whole, { spec: { list: [{ name: 'a', value: '1' }], set: ['x'] } });
});

test('sets are joined and cut, and own what is below a path', () => {
  const all = fieldsOf(whole, schema);
  const some = fieldsOf({ spec: { set: ['x'] } }, schema);
  assert.is(union(some, all).size, all.size);
  assert.is(minus(all, some).size, all.size - 1);
  assert.ok(ownsBelow(all, ['f:spec', 'f:list']));
  assert.not(ownsBelow(all, ['f:spec', 'f:li']), 'a name is no prefix of another');
});

test.run();
