import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { clone, type Json, type JsonObject } from '../json.ts';
import { Refusal } from '../status.ts';
import { applyJsonPatch } from './json-patch.ts';

/** What is there, the operations, and what comes out. @source RFC 6902 appendix A, unless it says otherwise */
const applied: [string, JsonObject, Json, JsonObject][] = [
  [
    'A.1 adds a member',
    { foo: 'bar' },
    [{ op: 'add', path: '/baz', value: 'qux' }],
    { foo: 'bar', baz: 'qux' },
  ],
  [
    'A.2 adds an element before the one at the position',
    { foo: ['bar', 'baz'] },
    [{ op: 'add', path: '/foo/1', value: 'qux' }],
    { foo: ['bar', 'qux', 'baz'] },
  ],
  ['A.3 removes a member', { baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
  [
    'A.4 removes an element',
    { foo: ['bar', 'qux', 'baz'] },
    [{ op: 'remove', path: '/foo/1' }],
    { foo: ['bar', 'baz'] },
  ],
  [
    'A.5 replaces a value',
    { baz: 'qux', foo: 'bar' },
    [{ op: 'replace', path: '/baz', value: 'boo' }],
    { baz: 'boo', foo: 'bar' },
  ],
  [
    'A.6 moves a value',
    { foo: { bar: 'baz', waldo: 'fred' }, qux: { corge: 'grault' } },
    [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
    { foo: { bar: 'baz' }, qux: { corge: 'grault', thud: 'fred' } },
  ],
  [
    'A.7 moves an element within its list',
    { foo: ['all', 'grass', 'cows', 'eat'] },
    [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
    { foo: ['all', 'cows', 'eat', 'grass'] },
  ],
  [
    'A.8 goes on when a test holds',
    { baz: 'qux', foo: ['a', 2, 'c'] },
    [
      { op: 'test', path: '/baz', value: 'qux' },
      { op: 'test', path: '/foo/1', value: 2 },
    ],
    { baz: 'qux', foo: ['a', 2, 'c'] },
  ],
  [
    'A.10 adds a member that is an object',
    { foo: 'bar' },
    [{ op: 'add', path: '/child', value: { grandchild: {} } }],
    { foo: 'bar', child: { grandchild: {} } },
  ],
  [
    'A.11 passes over members that it does not know',
    { foo: 'bar' },
    [{ op: 'add', path: '/baz', value: 'qux', xyz: 123 }],
    { foo: 'bar', baz: 'qux' },
  ],
  [
    'A.14 reads ~01 as ~1 and not as /',
    { '/': 9, '~1': 10 },
    [
      { op: 'test', path: '/~01', value: 10 },
      { op: 'test', path: '/~1', value: 9 },
    ],
    { '/': 9, '~1': 10 },
  ],
  [
    'A.16 appends with -',
    { foo: ['bar'] },
    [{ op: 'add', path: '/foo/-', value: ['abc', 'def'] }],
    { foo: ['bar', ['abc', 'def']] },
  ],
  ['§4.1 replaces a member that is there', { a: 1 }, [{ op: 'add', path: '/a', value: null }], { a: null }],
  ['§4.1 replaces the whole document', { a: 1 }, [{ op: 'add', path: '', value: { b: 2 } }], { b: 2 }],
  [
    '§4.5 copies a value, which then has a life of its own',
    { a: { b: 1 } },
    [
      { op: 'copy', from: '/a', path: '/c' },
      { op: 'replace', path: '/c/b', value: 2 },
    ],
    { a: { b: 1 }, c: { b: 2 } },
  ],
  [
    '§4.6 compares objects whatever the order of their members',
    { a: { x: 1, y: [true, null] } },
    [{ op: 'test', path: '/a', value: { y: [true, null], x: 1 } }],
    { a: { x: 1, y: [true, null] } },
  ],
  ['RFC 6901 §5 knows an empty key', { '': 0 }, [{ op: 'replace', path: '/', value: 1 }], { '': 1 }],
  [
    'an annotation is named with its slash escaped',
    { annotations: { 'a/b': 'old' } },
    [{ op: 'replace', path: '/annotations/a~1b', value: 'new' }],
    { annotations: { 'a/b': 'new' } },
  ],
];
for (const [what, document, patch, result] of applied) {
  test(what, () => {
    const [documentBefore, patchBefore] = [clone(document), clone(patch)];
    assert.equal(applyJsonPatch(document, patch), result);
    assert.equal(document, documentBefore, 'the document stays as it was');
    assert.equal(patch, patchBefore, 'the patch stays as it was');
  });
}

test('a patch that adds to what it added before can be applied again', () => {
  const patch = [
    { op: 'add', path: '/list', value: [] },
    { op: 'add', path: '/list/-', value: 1 },
  ];
  assert.equal(applyJsonPatch({}, patch), { list: [1] });
  assert.equal(applyJsonPatch({}, patch), { list: [1] });
});

/** 400 for what is no patch, 422 for what does not apply. */
const refused: [string, Json, number][] = [
  ['A.9 a test that fails', [{ op: 'test', path: '/baz', value: 'bar' }], 422],
  ['A.12 an addition below what is not there', [{ op: 'add', path: '/none/bat', value: 'qux' }], 422],
  ['A.15 a string compared with a number', [{ op: 'test', path: '/number', value: '10' }], 422],
  ['a test of what is not there', [{ op: 'test', path: '/none', value: 1 }], 422],
  [
    'a test of a member with the name of an inherited one',
    [{ op: 'test', path: '/toString', value: 1 }],
    422,
  ],
  ['a test for a member that is not there', [{ op: 'test', path: '/empty', value: { constructor: 1 } }], 422],
  ['a removal of what is not there', [{ op: 'remove', path: '/none' }], 422],
  ['a removal of the root', [{ op: 'remove', path: '' }], 422],
  ['a replacement of what is not there', [{ op: 'replace', path: '/none', value: 1 }], 422],
  ['a move from where nothing is', [{ op: 'move', from: '/none', path: '/a' }], 422],
  ['a copy from where nothing is', [{ op: 'copy', from: '/none', path: '/a' }], 422],
  ['a move into itself', [{ op: 'move', from: '/object', path: '/object/in' }], 422],
  ['a position behind the end', [{ op: 'add', path: '/list/3', value: 1 }], 422],
  ['a removal at the end', [{ op: 'remove', path: '/list/-' }], 422],
  ['a position with a leading zero', [{ op: 'remove', path: '/list/01' }], 422],
  ['a position that is none', [{ op: 'add', path: '/list/one', value: 1 }], 422],
  ['an addition below a string', [{ op: 'add', path: '/baz/a', value: 1 }], 422],
  ['a result that is no object', [{ op: 'replace', path: '', value: [] }], 422],
  ['the prototype of the document', [{ op: 'add', path: '/__proto__/polluted', value: 1 }], 422],
  ['an unknown operation', [{ op: 'spam', path: '/baz' }], 400],
  ['an addition without a value', [{ op: 'add', path: '/a' }], 400],
  ['a path that is no pointer', [{ op: 'remove', path: 'baz' }], 400],
  ['an operation without a path', [{ op: 'remove' }], 400],
  ['a move without a source', [{ op: 'move', path: '/a' }], 400],
  ['an operation that is no object', ['remove'], 400],
  ['a patch that is no list', { op: 'remove', path: '/baz' }, 400],
];
for (const [what, patch, code] of refused) {
  test(`${what} is refused with ${code}`, () => {
    const document = { baz: 'qux', number: 10, list: [1, 2], object: {}, empty: {} };
    const before = clone(document);
    assert.throws(
      () => applyJsonPatch(document, patch),
      (error: unknown) => error instanceof Refusal && error.code === code,
    );
    assert.equal(document, before);
  });
}

test('one failing operation undoes those before it', () => {
  const document = { a: 1 };
  assert.throws(() =>
    applyJsonPatch(document, [
      { op: 'remove', path: '/a' },
      { op: 'remove', path: '/a' },
    ]),
  );
  assert.equal(document, { a: 1 });
});

test('a patch of more than 10,000 operations is refused with 413, as by Kubernetes', () => {
  const patch = (size: number): Json => new Array<Json>(size).fill({ op: 'test', path: '/a', value: 1 });
  assert.equal(applyJsonPatch({ a: 1 }, patch(10_000)), { a: 1 });
  assert.throws(
    () => applyJsonPatch({ a: 1 }, patch(10_001)),
    (error: unknown) => error instanceof Refusal && error.code === 413,
  );
});

test.run();
