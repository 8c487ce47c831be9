import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ApiObject, JsonObject } from '../json.ts';
import { nodeColumns } from './node-columns.ts';
import { podColumns, podReason } from './pod-columns.ts';

const now = Date.UTC(2026, 0, 1, 1);
const running = { running: { startedAt: '2026-01-01T00:00:00Z' } };
const waiting = (reason: string): JsonObject => ({ waiting: { reason } });
const terminated = (exitCode: number, reason = '', more: JsonObject = {}): JsonObject => ({
  terminated: { exitCode, reason, ...more },
});
const main = (state: JsonObject, more: JsonObject = {}): JsonObject => ({
  name: 'c',
  ready: false,
  state,
  ...more,
});

function podOf(status: JsonObject, metadata: JsonObject = {}, spec: JsonObject = {}): ApiObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', creationTimestamp: '2026-01-01T00:00:00Z', ...metadata },
    spec: { containers: [{ name: 'c' }], ...spec },
    status: { phase: 'Running', ...status },
  };
}
const containers = (...list: JsonObject[]): JsonObject => ({ containerStatuses: list });
const init = (...list: JsonObject[]): JsonObject => ({ phase: 'Pending', initContainerStatuses: list });
const twoInits = { initContainers: [{ name: 'i' }, { name: 'j' }] };
const sidecar = { initContainers: [{ name: 'i', restartPolicy: 'Always' }, { name: 'j' }] };

/** @source kubernetes pkg/printers/internalversion printPod */
const reasons: [string, ApiObject][] = [
  ['Pending', podOf({ phase: 'Pending' })],
  ['Evicted', podOf({ phase: 'Failed', reason: 'Evicted' })],
  ['Running', podOf(containers(main(running, { ready: true })))],
  ['ContainerCreating', podOf({ phase: 'Pending', ...containers(main(waiting('ContainerCreating'))) })],
  ['CrashLoopBackOff', podOf(containers(main(waiting('CrashLoopBackOff'))))],
  ['OOMKilled', podOf(containers(main(terminated(137, 'OOMKilled'))))],
  ['ExitCode:3', podOf(containers(main(terminated(3))))],
  ['Signal:9', podOf(containers(main(terminated(137, '', { signal: 9 }))))],
  ['Completed', podOf({ phase: 'Succeeded', ...containers(main(terminated(0, 'Completed'))) })],
  [
    'Running',
    podOf({
      conditions: [{ type: 'Ready', status: 'True' }],
      ...containers(main(terminated(0, 'Completed')), main(running, { ready: true })),
    }),
  ],
  ['NotReady', podOf(containers(main(terminated(0, 'Completed')), main(running, { ready: true })))],
  ['Error', podOf(containers(main(terminated(1, 'Error')), main(waiting('CrashLoopBackOff'))))],
  ['Init:0/2', podOf(init({ name: 'i', state: running }, { name: 'j', state: {} }), {}, twoInits)],
  [
    'Init:1/2',
    podOf(
      init({ name: 'i', state: terminated(0) }, { name: 'j', state: waiting('PodInitializing') }),
      {},
      twoInits,
    ),
  ],
  ['Init:Error', podOf(init({ name: 'i', state: terminated(1, 'Error') }), {}, twoInits)],
  ['Init:ExitCode:2', podOf(init({ name: 'i', state: terminated(2) }), {}, twoInits)],
  ['Init:ImagePullBackOff', podOf(init({ name: 'i', state: waiting('ImagePullBackOff') }), {}, twoInits)],
  [
    'Init:1/2',
    podOf(init({ name: 'i', state: running, started: true }, { name: 'j', state: {} }), {}, sidecar),
  ],
  ['Terminating', podOf(containers(main(running)), { deletionTimestamp: '2026-01-01T00:00:00Z' })],
  ['Unknown', podOf({ reason: 'NodeLost' }, { deletionTimestamp: '2026-01-01T00:00:00Z' })],
  [
    'SchedulingGated',
    podOf({ phase: 'Pending', conditions: [{ type: 'PodScheduled', reason: 'SchedulingGated' }] }),
  ],
];
for (const [reason, pod] of reasons) {
  test(`a pod is ${reason} where its status is ${JSON.stringify(pod.status)}`, () => {
    assert.is(podReason(pod), reason);
  });
}

const cells = (pod: ApiObject): unknown[] => podColumns.slice(0, 5).map((c) => c.cell(pod, now));

test('the columns of a pod are those of kubectl', () => {
  assert.equal(
    podColumns.map((c) => [c.name, c.priority]),
    [
      ['Name', 0],
      ['Ready', 0],
      ['Status', 0],
      ['Restarts', 0],
      ['Age', 0],
      ['IP', 1],
      ['Node', 1],
      ['Nominated Node', 1],
      ['Readiness Gates', 1],
    ],
  );
  assert.equal(cells(podOf(containers(main(running, { ready: true, restartCount: 0 })))), [
    'p',
    '1/1',
    'Running',
    '0',
    '60m',
  ]);
});

test('a restart is told with its age', () => {
  const lastState = terminated(1, 'Error', { finishedAt: '2026-01-01T00:55:00Z' });
  assert.is(cells(podOf(containers(main(running, { restartCount: 2, lastState }))))[3], '2 (5m ago)');
});

test('a sidecar counts among the containers', () => {
  const status = {
    ...containers(main(running, { ready: true })),
    initContainerStatuses: [{ name: 'i', ready: true, started: true, state: running }],
  };
  assert.is(cells(podOf(status, {}, { initContainers: [{ name: 'i', restartPolicy: 'Always' }] }))[1], '2/2');
});

test('restarts of init containers that are done no longer count', () => {
  const done = { name: 'i', restartCount: 4, state: terminated(0, 'Completed') };
  const status = {
    ...containers(main(running, { ready: true, restartCount: 1 })),
    initContainerStatuses: [done],
  };
  assert.is(cells(podOf(status, {}, { initContainers: [{ name: 'i' }] }))[3], '1');
});

test('restarts of an init container that is at work are told', () => {
  const failing = { name: 'i', restartCount: 4, state: waiting('CrashLoopBackOff') };
  assert.equal(cells(podOf(init(failing), {}, { initContainers: [{ name: 'i' }] })).slice(1, 4), [
    '0/1',
    'Init:CrashLoopBackOff',
    '4',
  ]);
});

const nodeOf = (status: string | undefined, spec: JsonObject = {}, labels: JsonObject = {}): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n', labels },
  spec,
  status: status ? { conditions: [{ type: 'Ready', status }] } : {},
});
const states: [ApiObject, string, string][] = [
  [nodeOf('True'), 'Ready', '<none>'],
  [nodeOf('False'), 'NotReady', '<none>'],
  [nodeOf('Unknown'), 'NotReady', '<none>'],
  [nodeOf(undefined), 'Unknown', '<none>'],
  [nodeOf('True', { unschedulable: true }), 'Ready,SchedulingDisabled', '<none>'],
  [
    nodeOf('True', {}, { 'node-role.kubernetes.io/edge': '', 'node-role.kubernetes.io/agent': '' }),
    'Ready',
    'agent,edge',
  ],
  [nodeOf('True', {}, { 'kubernetes.io/role': 'worker' }), 'Ready', 'worker'],
];
for (const [node, state, roles] of states) {
  test(`a node is ${state} with roles ${roles}`, () => {
    assert.equal(
      nodeColumns.slice(1, 3).map((c) => c.cell(node, now)),
      [state, roles],
    );
  });
}

test.run();
