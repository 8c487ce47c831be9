import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ApiObject, Json, JsonObject } from '../json.ts';
import { customColumns } from './custom-columns.ts';

const object: ApiObject = {
  apiVersion: 'x.io/v1',
  kind: 'Widget',
  metadata: { name: 'w', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { count: 3, ratio: 0.5, on: true, text: 't', list: ['a', 'b'], map: { k: 1 } },
};
const now = Date.UTC(2026, 0, 1, 0, 5);
const columnsOf = (...specs: JsonObject[]) => customColumns({ additionalPrinterColumns: specs });

/** Type, path, cell. @source apiextensions-apiserver pkg/registry/customresource/tableconvertor */
const cells: [string, string, Json][] = [
  ['string', '.spec.text', 't'],
  ['string', '.spec.count', '3'],
  ['string', '.spec.map', '{"k":1}'],
  ['string', '.spec.none', null],
  ['integer', '.spec.count', 3],
  ['integer', '.spec.text', null],
  ['number', '.spec.ratio', 0.5],
  ['boolean', '.spec.on', true],
  ['boolean', '.spec.text', null],
  ['date', '.metadata.creationTimestamp', '5m'],
];
for (const [type, jsonPath, cell] of cells) {
  test(`a column of type ${type} shows ${JSON.stringify(cell)} for ${jsonPath}`, () => {
    const [, column] = columnsOf({ name: 'X', type, jsonPath });
    assert.equal(column?.cell(object, now), cell);
  });
}

test('a version without columns shows name and age', () => {
  assert.equal(
    customColumns({}).map((c) => [c.name, c.cell(object, now)]),
    [
      ['Name', 'w'],
      ['Age', '5m'],
    ],
  );
});

test('a column is described as the definition says, after the name', () => {
  const [name, wide] = columnsOf({
    name: 'C',
    type: 'integer',
    jsonPath: '.spec.count',
    priority: 1,
    format: 'int32',
  });
  assert.is(name?.name, 'Name');
  assert.ok(wide);
  const { cell: _cell, ...rest } = wide ?? {};
  assert.equal(rest, {
    name: 'C',
    type: 'integer',
    format: 'int32',
    description: 'Value at .spec.count',
    priority: 1,
  });
});

test('a path that is not offered shows nothing', () => {
  const [, column] = columnsOf({ name: 'X', type: 'string', jsonPath: '.spec.list[0:1]' });
  assert.is(column?.cell(object, now), null);
});

test.run();
