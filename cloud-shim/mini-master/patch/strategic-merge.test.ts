import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { clone, type JsonObject } from '../json.ts';
import { integer, keyedList, mapOf, record, type Schema, setList, text } from '../schema/schema.ts';
import { Refusal } from '../status.ts';
import { applyStrategicMerge } from './strategic-merge.ts';

const item: Schema = record({ name: text(), value: text(), other: text(), numbers: setList(integer()) });
const schema: Schema = record({
  name: text(),
  list: keyedList({ ...item, properties: { ...item.properties, inner: keyedList(item, 'name') } }, 'name'),
  kept: keyedList(item, 'name', { strategy: 'merge,retainKeys' }),
  numbers: setList(integer()),
  plain: { type: 'array', items: text() },
  map: mapOf(text()),
  selector: { ...mapOf(text()), 'x-kubernetes-map-type': 'atomic' },
  swapped: { ...mapOf(text()), 'x-kubernetes-patch-strategy': 'replace' },
});

/** Document, patch, result. @source apimachinery util/strategicpatch; Kubernetes, Update API objects in place */
const applied: [string, JsonObject, JsonObject, JsonObject][] = [
  [
    'a field is set, another taken out by null',
    { name: 'a', map: { x: '1' } },
    { name: 'b', map: null },
    { name: 'b' },
  ],
  [
    'maps merge',
    { map: { a: '1', b: '2' } },
    { map: { b: '3', c: '4' } },
    { map: { a: '1', b: '3', c: '4' } },
  ],
  [
    'maps that are atomic for server-side apply merge all the same',
    { selector: { a: '1', b: '2' } },
    { selector: { b: null, c: '3' } },
    { selector: { a: '1', c: '3' } },
  ],
  [
    'a map with the strategy replace is replaced',
    { swapped: { a: '1' } },
    { swapped: { b: '2' } },
    { swapped: { b: '2' } },
  ],
  ['a null in a map that is new is not stored', {}, { map: { a: '1', b: null } }, { map: { a: '1' } }],
  ['a list without a merge key is replaced', { plain: ['a', 'b'] }, { plain: ['c'] }, { plain: ['c'] }],
  ['a list that nothing is known of is replaced', { what: [1, 2] }, { what: [3] }, { what: [3] }],
  [
    'entries of a list merge by their key',
    { list: [{ name: '1', value: 'a' }, { name: '2' }] },
    { list: [{ name: '1', other: 'x' }] },
    { list: [{ name: '1', value: 'a', other: 'x' }, { name: '2' }] },
  ],
  [
    'a new entry comes first, as the second container in the documentation does',
    { list: [{ name: 'patch-demo-ctr', value: 'nginx' }] },
    { list: [{ name: 'patch-demo-ctr-2', value: 'redis' }] },
    {
      list: [
        { name: 'patch-demo-ctr-2', value: 'redis' },
        { name: 'patch-demo-ctr', value: 'nginx' },
      ],
    },
  ],
  [
    'an entry is taken out by $patch: delete',
    { list: [{ name: '1' }, { name: '2', value: 'b' }] },
    { list: [{ name: '1', $patch: 'delete' }] },
    { list: [{ name: '2', value: 'b' }] },
  ],
  [
    'all entries of one key are taken out',
    { list: [{ name: '1' }, { name: '1' }, { name: '2' }] },
    { list: [{ name: '1', $patch: 'delete' }] },
    { list: [{ name: '2' }] },
  ],
  [
    'an entry that is not there is not added by $patch: delete',
    {},
    { list: [{ name: '1', $patch: 'delete' }] },
    { list: [] },
  ],
  [
    'an entry is deleted and added again in one patch',
    { list: [{ name: '1', value: 'a' }] },
    {
      list: [
        { name: '1', $patch: 'delete' },
        { name: '1', other: 'x' },
      ],
    },
    { list: [{ name: '1', other: 'x' }] },
  ],
  [
    'a list is replaced by $patch: replace',
    { list: [{ name: '1' }, { name: '2' }] },
    { list: [{ name: '3', value: 'c' }, { $patch: 'replace' }] },
    { list: [{ name: '3', value: 'c' }] },
  ],
  [
    'a list is emptied by $patch: replace alone',
    { list: [{ name: '1' }] },
    { list: [{ $patch: 'replace' }] },
    { list: [] },
  ],
  [
    'lists within lists merge',
    { list: [{ name: '1', inner: [{ name: 'a' }, { name: 'b' }] }] },
    { list: [{ name: '1', inner: [{ name: 'b', value: 'x' }] }] },
    { list: [{ name: '1', inner: [{ name: 'a' }, { name: 'b', value: 'x' }] }] },
  ],
  [
    'a map is replaced by $patch: replace',
    { map: { a: '1', b: '2' } },
    { map: { c: '3', $patch: 'replace' } },
    { map: { c: '3' } },
  ],
  ['a map is emptied by $patch: delete', { map: { a: '1' } }, { map: { $patch: 'delete' } }, { map: {} }],
  ['the whole is emptied by $patch: replace', { name: 'a' }, { $patch: 'replace' }, {}],
  [
    '$patch: merge says what is done anyway',
    { map: { a: '1' } },
    { map: { b: '2', $patch: 'merge' } },
    { map: { a: '1', b: '2' } },
  ],
  ['scalars of a set come once', { numbers: [1, 2] }, { numbers: [2, 3] }, { numbers: [1, 2, 3] }],
  [
    'scalars are taken out by $deleteFromPrimitiveList',
    { numbers: [1, 2, 3] },
    { '$deleteFromPrimitiveList/numbers': [2] },
    { numbers: [1, 3] },
  ],
  [
    'a scalar that is not there is not added by its deletion',
    { numbers: [1] },
    { '$deleteFromPrimitiveList/numbers': [3] },
    { numbers: [1] },
  ],
  [
    'a list that is not there is not made by a deletion from it',
    { name: 'a' },
    { '$deleteFromPrimitiveList/numbers': [3] },
    { name: 'a' },
  ],
  [
    'scalars of a list without a strategy can be deleted too',
    { plain: ['a', 'b'] },
    { '$deleteFromPrimitiveList/plain': ['b'] },
    { plain: ['a'] },
  ],
  [
    'scalars are added and deleted at once',
    { numbers: [1, 2] },
    { numbers: [3], '$deleteFromPrimitiveList/numbers': [1], '$setElementOrder/numbers': [2, 3] },
    { numbers: [2, 3] },
  ],
  [
    'the order of the patch is kept',
    { list: [{ name: '1' }, { name: '2', value: 'b' }, { name: '3' }] },
    {
      list: [
        { name: '3', value: 'c' },
        { name: '1', value: 'a' },
      ],
    },
    {
      list: [
        { name: '2', value: 'b' },
        { name: '3', value: 'c' },
        { name: '1', value: 'a' },
      ],
    },
  ],
  [
    'the order of the patch is kept for scalars',
    { numbers: [1, 2, 3] },
    { numbers: [3, 1] },
    { numbers: [2, 3, 1] },
  ],
  [
    '$setElementOrder orders entries that the patch does not change',
    { list: [{ name: '1' }, { name: '2' }, { name: '3' }] },
    { '$setElementOrder/list': [{ name: '3' }, { name: '1' }, { name: '2' }] },
    { list: [{ name: '3' }, { name: '1' }, { name: '2' }] },
  ],
  [
    '$setElementOrder puts a new entry in its place',
    { list: [{ name: '1' }, { name: '3' }] },
    { list: [{ name: '2' }], '$setElementOrder/list': [{ name: '1' }, { name: '2' }, { name: '3' }] },
    { list: [{ name: '1' }, { name: '2' }, { name: '3' }] },
  ],
  [
    '$setElementOrder may name what is not there',
    { numbers: [1, 3] },
    { '$setElementOrder/numbers': [3, 2, 1] },
    { numbers: [3, 1] },
  ],
  [
    'what only the server has stands before the first that was behind it',
    { numbers: [1, 2, 3, 4] },
    { '$setElementOrder/numbers': [4, 1] },
    { numbers: [2, 3, 4, 1] },
  ],
  [
    '$retainKeys clears the fields that it does not list',
    { kept: [{ name: 'v', value: 'a' }] },
    { kept: [{ name: 'v', other: 'b', $retainKeys: ['name', 'other'] }] },
    { kept: [{ name: 'v', other: 'b' }] },
  ],
  [
    'without $retainKeys such an entry merges',
    { kept: [{ name: 'v', value: 'a' }] },
    { kept: [{ name: 'v', other: 'b' }] },
    { kept: [{ name: 'v', value: 'a', other: 'b' }] },
  ],
];
for (const [what, document, patch, result] of applied) {
  test(what, () => {
    const [documentBefore, patchBefore] = [clone(document), clone(patch)];
    assert.equal(applyStrategicMerge(document, patch, schema), result);
    assert.equal(document, documentBefore, 'the document stays as it was');
    assert.equal(patch, patchBefore, 'the patch stays as it was');
  });
}

const refused: [string, JsonObject, RegExp][] = [
  ['an entry without its key', { list: [{ value: 'b' }] }, /does not contain declared merge key: name/],
  ['a deletion without a key', { list: [{ $patch: 'delete' }] }, /does not contain declared merge key: name/],
  ['an unknown directive', { map: { $patch: 'shuffle' } }, /unknown patch directive "shuffle"/],
  [
    'an unknown directive in a list',
    { list: [{ name: '1', $patch: 'merge' }] },
    /unknown patch directive "merge"/,
  ],
  [
    'a list in another order than $setElementOrder',
    { numbers: [3, 1], '$setElementOrder/numbers': [1, 2, 3] },
    /doesn't match \$setElementOrder/,
  ],
  [
    'a list with an entry that $setElementOrder does not name',
    { list: [{ name: '9' }], '$setElementOrder/list': [{ name: '1' }] },
    /doesn't match \$setElementOrder/,
  ],
  ['a field that $retainKeys does not list', { $retainKeys: ['map'], name: 'b' }, /retainKeys/],
];
for (const [what, patch, message] of refused) {
  test(`${what} is refused with 400`, () => {
    assert.throws(
      () => applyStrategicMerge({ list: [{ name: '1' }] }, patch, schema),
      (error: unknown) => error instanceof Refusal && error.code === 400 && message.test(error.message),
    );
  });
}

test.run();
