import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { clone, type Json, type JsonObject } from '../json.ts';
import { applyMergePatch } from './merge-patch.ts';

/** Document, patch, result. @source RFC 7396 appendix A */
const objects: [JsonObject, JsonObject, JsonObject][] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];
for (const [document, patch, result] of objects) {
  test(`${JSON.stringify(patch)} makes ${JSON.stringify(result)} of ${JSON.stringify(document)}`, () => {
    const before = clone(document);
    assert.equal(applyMergePatch(document, patch), result);
    assert.equal(document, before, 'the document stays as it was');
  });
}

/** The rows of the appendix that are no objects, each as the value of a field. */
const values: [Json, Json, Json][] = [
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, 'bar', 'bar'],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
];
for (const [target, patch, result] of values) {
  test(`below a field, ${JSON.stringify(patch)} makes ${JSON.stringify(result)} of ${JSON.stringify(target)}`, () => {
    assert.equal(applyMergePatch({ field: target }, { field: patch }), { field: result });
  });
}

test('the example of RFC 7396 §3 comes out as printed', () => {
  const document = {
    title: 'Goodbye!',
    author: { givenName: 'John', familyName: 'Doe' },
    tags: ['example', 'sample'],
    content: 'This will be unchanged',
  };
  const patch = {
    title: 'Hello!',
    phoneNumber: '+01-123-456-7890',
    author: { familyName: null },
    tags: ['example'],
  };
  assert.equal(applyMergePatch(document, patch), {
    title: 'Hello!',
    author: { givenName: 'John' },
    tags: ['example'],
    content: 'This will be unchanged',
    phoneNumber: '+01-123-456-7890',
  });
});

test.run();
