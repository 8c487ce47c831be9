import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Container, Pod, PodStatus } from '../core/pod.ts';
import type { ObservedContainer, ObservedSandbox } from './observed.ts';
import { podStatus, refusedStatus, type StatusInput } from './status.ts';

const NOW = Date.UTC(2026, 0, 1, 12);
const T = '2026-01-01T12:00:00Z';
type Policy = 'Always' | 'OnFailure' | 'Never';
const spec = (name: string): Container => ({ name, image: `${name}:1` });
const podOf = (restartPolicy: Policy, names: string[], init: Container[] = []): Pod => ({
  metadata: { name: 'web', namespace: 'default', uid: 'u1' },
  spec: {
    restartPolicy,
    containers: names.map(spec),
    ...(init.length > 0 ? { initContainers: init } : {}),
  },
});
const sandbox: ObservedSandbox = { id: 's1', ready: true, attempt: 0, createdAt: 1 };

/** `app:running`, `app#2:exited:1`: name, attempt, state, exit code. */
const seen = (text: string): ObservedContainer => {
  const [, name = '', attempt = '0', state = '', exitCode = '0'] =
    text.match(/^([^#:]+)(?:#(\d+))?:(\w+)(?::(\d+))?$/) ?? [];
  return {
    id: `${name}-${attempt}`,
    name,
    attempt: Number(attempt),
    state: state as ObservedContainer['state'],
    createdAt: Number(attempt),
    image: `${name}:1`,
    imageRef: 'sha256:1',
    hash: '',
    startedAt: NOW - 60_000,
    finishedAt: state === 'exited' ? NOW - 30_000 : 0,
    exitCode: Number(exitCode),
    reason: '',
    message: '',
    logPath: '',
  };
};
const input = (pod: Pod, containers: string[], parts: Partial<StatusInput> = {}): StatusInput => ({
  pod,
  observed: { sandboxes: [sandbox], containers: containers.map(seen) },
  previous: undefined,
  now: NOW,
  hostIP: '192.0.2.1',
  podIP: '10.0.0.7',
  waiting: new Map(),
  isReady: () => true,
  isStarted: () => true,
  terminating: false,
  ...parts,
});

const phases: [string, Policy, string[], boolean, string][] = [
  ['nothing is here yet', 'Always', [], false, 'Pending'],
  ['one of two containers runs', 'Always', ['a:running'], false, 'Pending'],
  ['all run', 'Always', ['a:running', 'b:running'], false, 'Running'],
  ['one waits for its restart', 'Always', ['a:running', 'b:exited:1'], false, 'Running'],
  ['all wait for their restart', 'Always', ['a:exited:0', 'b:exited:0'], false, 'Running'],
  ['one is done and one runs', 'Never', ['a:exited:1', 'b:running'], false, 'Running'],
  ['all succeeded', 'Never', ['a:exited:0', 'b:exited:0'], false, 'Succeeded'],
  ['one failed', 'Never', ['a:exited:0', 'b:exited:1'], false, 'Failed'],
  ['all succeeded', 'OnFailure', ['a:exited:0', 'b:exited:0'], false, 'Succeeded'],
  ['one failed and is tried again', 'OnFailure', ['a:exited:0', 'b:exited:1'], false, 'Running'],
  ['all have stopped for the deletion', 'Always', ['a:exited:0', 'b:exited:0'], true, 'Succeeded'],
  ['one was killed for the deletion', 'Always', ['a:exited:0', 'b:exited:137'], true, 'Failed'],
  ['one still stops for the deletion', 'Always', ['a:exited:0', 'b:running'], true, 'Running'],
];
for (const [when, policy, containers, terminating, phase] of phases) {
  test(`restartPolicy ${policy}: when ${when} the pod is ${phase}`, () => {
    assert.is(podStatus(input(podOf(policy, ['a', 'b']), containers, { terminating })).phase, phase);
  });
}

const conditions = (status: PodStatus): Record<string, string> =>
  Object.fromEntries(
    (status.conditions ?? []).map(({ type, status: value, reason }) => [
      type,
      reason ? `${value} ${reason}` : value,
    ]),
  );
const fine = {
  PodReadyToStartContainers: 'True',
  Initialized: 'True',
  Ready: 'True',
  ContainersReady: 'True',
  PodScheduled: 'True',
};
const both = (text: string) => ({ Ready: text, ContainersReady: text });
const init = [spec('i')];
const conditionRows: [string, Pod, string[], Partial<StatusInput>, Record<string, string>][] = [
  ['all is well', podOf('Always', ['a']), ['a:running'], {}, {}],
  [
    'there is no sandbox',
    podOf('Always', ['a']),
    [],
    { observed: { sandboxes: [], containers: [] } },
    { PodReadyToStartContainers: 'False', ...both('False ContainersNotReady') },
  ],
  [
    'a probe says no',
    podOf('Always', ['a']),
    ['a:running'],
    { isReady: () => false },
    both('False ContainersNotReady'),
  ],
  ['it has succeeded', podOf('Never', ['a']), ['a:exited:0'], {}, both('False PodCompleted')],
  ['it has failed', podOf('Never', ['a']), ['a:exited:1'], {}, both('False PodFailed')],
  [
    'its init container runs',
    podOf('Always', ['a'], init),
    ['i:running'],
    {},
    { Initialized: 'False ContainersNotInitialized', ...both('False ContainersNotReady') },
  ],
  [
    'its init container is done',
    podOf('Always', ['a'], init),
    ['i:exited:0'],
    {},
    both('False ContainersNotReady'),
  ],
  ['its init container’s record is gone', podOf('Always', ['a'], init), ['a:running'], {}, {}],
  [
    'its init container has failed for good',
    podOf('Never', ['a'], init),
    ['i:exited:1'],
    {},
    { Initialized: 'False ContainersNotInitialized', ...both('False PodFailed') },
  ],
];
for (const [when, pod, containers, parts, wanted] of conditionRows) {
  test(`conditions of a pod when ${when}`, () => {
    assert.equal(conditions(podStatus(input(pod, containers, parts))), { ...fine, ...wanted });
  });
}

test('the containers that are not ready are named', () => {
  const isReady = (id: string): boolean => id === 'b-0';
  const status = podStatus(
    input(podOf('Always', ['a', 'b', 'c']), ['a:running', 'b:running', 'c:running'], { isReady }),
  );
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  assert.is(ready?.message, 'containers with unready status: [a c]');
});

test('a condition keeps the time of its last change', () => {
  const pod = podOf('Always', ['a']);
  const first = podStatus(input(pod, [], { now: NOW - 60_000 }));
  const next = podStatus(input(pod, ['a:running'], { previous: first }));
  const times = Object.fromEntries((next.conditions ?? []).map((c) => [c.type, c.lastTransitionTime]));
  assert.is(times.PodScheduled, '2026-01-01T11:59:00Z');
  assert.is(times.Ready, T);
  assert.is(next.startTime, '2026-01-01T11:59:00Z');
});

test('addresses and class are told; a pod that is over has no address of its own', () => {
  const status = podStatus(input(podOf('Never', ['a']), ['a:running']));
  assert.equal(
    [status.hostIP, status.hostIPs, status.podIP, status.podIPs, status.qosClass],
    ['192.0.2.1', [{ ip: '192.0.2.1' }], '10.0.0.7', [{ ip: '10.0.0.7' }], 'BestEffort'],
  );
  assert.not('podIP' in podStatus(input(podOf('Never', ['a']), ['a:exited:0'])));
});

const stateOf = (containers: string[], parts: Partial<StatusInput> = {}) =>
  podStatus(input(podOf('Always', ['a']), containers, parts)).containerStatuses?.[0];

test('a container that runs', () => {
  assert.equal(stateOf(['a#2:running', 'a#1:exited:3']), {
    name: 'a',
    image: 'a:1',
    imageID: 'sha256:1',
    containerID: 'containerd://a-2',
    ready: true,
    started: true,
    restartCount: 2,
    state: { running: { startedAt: '2026-01-01T11:59:00Z' } },
    lastState: {
      terminated: {
        exitCode: 3,
        reason: 'Error',
        startedAt: '2026-01-01T11:59:00Z',
        finishedAt: '2026-01-01T11:59:30Z',
        containerID: 'containerd://a-1',
      },
    },
  });
});

test('a container that is still being made', () => {
  assert.equal(stateOf([]), {
    name: 'a',
    image: 'a:1',
    imageID: '',
    ready: false,
    started: false,
    restartCount: 0,
    state: { waiting: { reason: 'ContainerCreating' } },
    lastState: {},
  });
});

test('a container that waits for its restart shows how it ended as its last state', () => {
  const waiting = new Map([['a', { reason: 'CrashLoopBackOff', message: 'back-off 10s' }]]);
  const status = stateOf(['a#1:exited:1'], { waiting });
  assert.equal(status?.state, { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s' } });
  assert.is(status?.lastState.terminated?.exitCode, 1);
  assert.is(status?.restartCount, 1);
});

test('success is called Completed; the runtime’s own word goes first', () => {
  assert.is(stateOf(['a:exited:0'])?.state.terminated?.reason, 'Completed');
  const killed = { ...seen('a:exited:137'), reason: 'OOMKilled', message: 'too much' };
  const { terminated } =
    stateOf([], { observed: { sandboxes: [sandbox], containers: [killed] } })?.state ?? {};
  assert.equal([terminated?.reason, terminated?.message], ['OOMKilled', 'too much']);
});

test('what the runtime no longer has is remembered as it was told last', () => {
  const pod = podOf('Never', ['a']);
  const previous = podStatus(input(pod, ['a:exited:0']));
  const [status] = podStatus(input(pod, [], { previous })).containerStatuses ?? [];
  assert.is(status?.state.terminated?.reason, 'Completed');
  assert.is(status?.restartCount, 0);
});

for (const [phase, containers] of [
  ['Succeeded', ['a:exited:0']],
  ['Failed', ['a:exited:1']],
] as const) {
  test(`a pod that has ${phase} stays so when its containers' records are gone`, () => {
    const pod = podOf('Never', ['a']);
    const previous = podStatus(input(pod, [...containers]));
    assert.is(podStatus(input(pod, [], { previous })).phase, phase);
  });
}

test('restarts never count backwards', () => {
  const previous: PodStatus = podStatus(input(podOf('Always', ['a']), ['a#7:running']));
  assert.is(stateOf(['a:running'], { previous })?.restartCount, 7);
});

test('an init container is ready when it has succeeded, a sidecar when its probe says so', () => {
  const pod = podOf('Always', ['a'], [spec('i'), { ...spec('s'), restartPolicy: 'Always' }]);
  const statuses = podStatus(input(pod, ['i:exited:0', 's:running'])).initContainerStatuses;
  assert.equal(
    statuses?.map(({ name, ready }) => [name, ready]),
    [
      ['i', true],
      ['s', true],
    ],
  );
  const running = podStatus(input(pod, ['i:running'])).initContainerStatuses;
  assert.not(running?.[0]?.ready);
});

test('a pod that this node refuses has failed, and says why', () => {
  assert.equal(refusedStatus('UnexpectedAdmissionError', 'no', NOW), {
    phase: 'Failed',
    reason: 'UnexpectedAdmissionError',
    message: 'no',
    startTime: T,
  });
});

test.run();
