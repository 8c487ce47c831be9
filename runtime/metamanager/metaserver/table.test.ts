import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { KubeObject } from '../../core/k8s.ts';
import { age, tableOf, trimTable, viewOf } from './table.ts';

const views: [string, string, string][] = [
  ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json', 'Table', 'Metadata'],
  ['application/json', 'Object', 'Metadata'],
  ['application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io', 'PartialObjectMetadata', 'Metadata'],
  ['application/json,application/json;as=Table', 'Object', 'Metadata'],
  ['', 'Object', 'Metadata'],
];
for (const [accept, as, include] of views) {
  test(`${accept || 'no wish'} is served as ${as}`, () => {
    assert.equal(viewOf(accept, new URLSearchParams()), { as, include });
  });
}

const pod = (spec: object, status: object, metadata: object = {}): KubeObject =>
  ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', ...metadata }, spec, status }) as KubeObject;
const two = { containers: [{}, {}] };
const running = { ready: true, restartCount: 1, state: { running: {} } };
const waiting = { ready: false, restartCount: 4, state: { waiting: { reason: 'CrashLoopBackOff' } } };
const done = { ready: false, restartCount: 0, state: { terminated: { exitCode: 0, reason: 'Completed' } } };
const rows: [string, KubeObject, unknown[]][] = [
  ['nothing yet', pod(two, {}), ['0/2', 'Unknown', '0']],
  [
    'all well',
    pod(two, { phase: 'Running', containerStatuses: [running, running] }),
    ['2/2', 'Running', '2'],
  ],
  [
    'one crashes',
    pod(two, { phase: 'Running', containerStatuses: [running, waiting] }),
    ['1/2', 'CrashLoopBackOff', '5'],
  ],
  [
    'one is done',
    pod(two, { phase: 'Running', containerStatuses: [done, running] }),
    ['1/2', 'Running', '1'],
  ],
  ['all done', pod(two, { phase: 'Succeeded', containerStatuses: [done, done] }), ['0/2', 'Completed', '0']],
  [
    'it goes',
    pod(two, { phase: 'Running', containerStatuses: [running, running] }, { deletionTimestamp: 'x' }),
    ['2/2', 'Terminating', '2'],
  ],
  [
    'an init container fails',
    pod(two, {
      phase: 'Pending',
      initContainerStatuses: [done, { ...waiting, state: { terminated: { exitCode: 7 } } }],
      containerStatuses: [],
    }),
    ['0/2', 'Init:ExitCode:7', '0'],
  ],
  [
    'the first init container runs',
    pod(two, { phase: 'Pending', initContainerStatuses: [{ state: { running: {} } }, {}] }),
    ['0/2', 'Init:0/2', '0'],
  ],
];
for (const [what, object, cells] of rows) {
  test(`the row of a pod: ${what}`, () => {
    const table = tableOf([object], 'Pod', {}, 'None', 0) as { rows: { cells: unknown[] }[] };
    assert.equal(table.rows[0]?.cells, ['web', ...cells, '<unknown>']);
  });
}

test('a table of the cluster is cut to what the client wants, and its objects are kept', () => {
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { x: '1' } };
  const { table, objects } = trimTable({ kind: 'Table', rows: [{ cells: ['a', 1], object }] }, 'Metadata');
  assert.equal(objects, [object]);
  assert.equal(table.rows, [
    {
      cells: ['a', 1],
      object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: { name: 'a' } },
    },
  ]);
});

const ages: [number, string][] = [
  [0, '0s'],
  [119, '119s'],
  [125, '2m5s'],
  [3600, '60m'],
  [4 * 3600, '4h'],
  [50 * 3600, '2d2h'],
  [10 * 86_400, '10d'],
];
for (const [seconds, wanted] of ages) {
  test(`${seconds} seconds are ${wanted}`, () => {
    assert.is(age(new Date(0).toISOString(), seconds * 1000), wanted);
  });
}

test.run();
