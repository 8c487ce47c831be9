import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { age, column, humanDuration, nameColumn } from './column.ts';
import { renderTable } from './table.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

/** @source apimachinery util/duration HumanDuration */
const durations: [number, string][] = [
  [-2 * SECOND, '<invalid>'],
  [-2 * SECOND + 1, '0s'],
  [0, '0s'],
  [SECOND - 1, '0s'],
  [SECOND, '1s'],
  [70 * SECOND, '70s'],
  [2 * MINUTE - 1, '119s'],
  [2 * MINUTE, '2m'],
  [2 * MINUTE + SECOND, '2m1s'],
  [190 * SECOND, '3m10s'],
  [10 * MINUTE - 1, '9m59s'],
  [10 * MINUTE, '10m'],
  [10 * MINUTE + SECOND, '10m'],
  [70 * MINUTE, '70m'],
  [3 * HOUR - 1, '179m'],
  [3 * HOUR, '3h'],
  [3 * HOUR + MINUTE, '3h1m'],
  [8 * HOUR - 1, '7h59m'],
  [8 * HOUR, '8h'],
  [8 * HOUR + 59 * MINUTE, '8h'],
  [47 * HOUR, '47h'],
  [2 * DAY - 1, '47h'],
  [2 * DAY, '2d'],
  [2 * DAY + HOUR, '2d1h'],
  [8 * DAY - 1, '7d23h'],
  [8 * DAY, '8d'],
  [8 * DAY + 23 * HOUR, '8d'],
  [367 * DAY, '367d'],
  [2 * YEAR - 1, '729d'],
  [2 * YEAR, '2y'],
  [2 * YEAR + 25 * HOUR, '2y1d'],
  [2 * YEAR + 23 * HOUR, '2y'],
  [8 * YEAR - 1, '7y364d'],
  [8 * YEAR, '8y'],
  [8 * YEAR + 364 * DAY, '8y'],
];
for (const [ms, text] of durations) {
  test(`${ms} ms are ${text}`, () => assert.is(humanDuration(ms), text));
}

const now = Date.UTC(2026, 0, 1);
test('an age is the time since an instant, and unknown without one', () => {
  assert.is(age('2025-12-31T23:58:00Z', now), '2m');
  assert.is(age('2026-01-01T00:59:00+01:00', now), '60s');
  for (const nothing of [undefined, null, '', 'yesterday', 0]) assert.is(age(nothing, now), '<unknown>');
});

const object = { apiVersion: 'v1', kind: 'K', metadata: { name: 'a', labels: { l: '1' } }, spec: { x: 1 } };
const columns = [nameColumn, column('Clock', (_, at) => at, { type: 'integer', priority: 1 })];

for (const [include, shown] of [
  ['None', {}],
  [
    'Metadata',
    { object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata } },
  ],
  ['Object', { object }],
] as const) {
  test(`a table is rendered with ${include} of each object`, () => {
    const table = renderTable([object], columns, { resourceVersion: '7' }, include, 5);
    assert.equal(table.metadata, { resourceVersion: '7' });
    assert.equal(table.rows, [{ cells: ['a', 5], ...shown }]);
    assert.equal(table.columnDefinitions, [
      {
        name: 'Name',
        type: 'string',
        format: 'name',
        description: 'Name of the object, unique within its namespace.',
        priority: 0,
      },
      { name: 'Clock', type: 'integer', format: '', description: 'Clock', priority: 1 },
    ]);
  });
}

test.run();
