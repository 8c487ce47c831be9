import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Container, Pod } from '../core/pod.ts';
import { containerHash } from './container-config.ts';
import type { ObservedContainer, ObservedSandbox } from './observed.ts';
import { isOver, type PlanInput, planPod } from './plan.ts';

const NOW = 1_000_000;
type Policy = 'Always' | 'OnFailure' | 'Never';
const spec = (name: string, image = 'i'): Container => ({ name, image });
const sidecar = (name: string): Container => ({ ...spec(name), restartPolicy: 'Always' });
const podOf = (containers: Container[], restartPolicy?: Policy, initContainers?: Container[]): Pod => ({
  metadata: { name: 'web', uid: 'u1' },
  spec: {
    containers,
    ...(restartPolicy ? { restartPolicy } : {}),
    ...(initContainers ? { initContainers } : {}),
  },
});
const ready: ObservedSandbox = { id: 's1', ready: true, attempt: 0, createdAt: 1 };
const gone: ObservedSandbox = { ...ready, ready: false };

/** `app:running`, `app#2:exited:1`: name, attempt, state, exit code. */
const seen = (text: string): ObservedContainer => {
  const [, name = '', attempt = '0', state = '', exitCode = '0'] =
    text.match(/^([^#:]+)(?:#(\d+))?:(\w+)(?::(\d+))?$/) ?? [];
  return {
    id: text,
    name,
    attempt: Number(attempt),
    state: state as ObservedContainer['state'],
    createdAt: Number(attempt),
    image: 'i',
    imageRef: '',
    hash: containerHash(name === 's' ? sidecar(name) : spec(name)),
    startedAt: 0,
    finishedAt: 0,
    exitCode: Number(exitCode),
    reason: '',
    message: '',
    logPath: '',
  };
};

const plan = (
  pod: Pod,
  containers: string[],
  parts: Partial<Omit<PlanInput, 'pod' | 'observed'>> & { sandboxes?: ObservedSandbox[] } = {},
) => {
  const { sandboxes = [ready], ...rest } = parts;
  const result = planPod({
    pod,
    observed: { sandboxes, containers: containers.map(seen) },
    now: NOW,
    notBefore: () => 0,
    unhealthy: new Set(),
    isStarted: () => true,
    ...rest,
  });
  return {
    ...result,
    kill: result.kill.map(({ container }) => container.id),
    start: result.start.map(({ container, attempt }) => `${container.name}#${attempt}`),
  };
};
const idle = { createSandbox: false, kill: [], start: [], finished: false, wakeAt: 0 };

const A = spec('a');
const B = spec('b');
const rows: [string, Pod, string[], Parameters<typeof plan>[2], Partial<ReturnType<typeof plan>>][] = [
  ['a new pod needs a sandbox, nothing else', podOf([A]), [], { sandboxes: [] }, { createSandbox: true }],
  ['in a ready sandbox all containers start', podOf([A, B]), [], {}, { start: ['a#0', 'b#0'] }],
  ['what runs is left alone', podOf([A, B]), ['a:running'], {}, { start: ['b#0'] }],
  [
    'a container that was made but not started is made again',
    podOf([A]),
    ['a:created'],
    {},
    { start: ['a#1'] },
  ],
  ['a container of unknown state is made again', podOf([A]), ['a#3:unknown'], {}, { start: ['a#4'] }],
  [
    'a lost sandbox takes what runs in it along',
    podOf([A, B]),
    ['a:running', 'b:exited:0'],
    { sandboxes: [gone] },
    { createSandbox: true, kill: ['a:running'] },
  ],
  ['Always starts again after success', podOf([A]), ['a#2:exited:0'], {}, { start: ['a#3'] }],
  ['Always is the default', podOf([A]), ['a:exited:1'], {}, { start: ['a#1'] }],
  ['OnFailure starts again after failure', podOf([A], 'OnFailure'), ['a:exited:1'], {}, { start: ['a#1'] }],
  ['OnFailure is done after success', podOf([A], 'OnFailure'), ['a:exited:0'], {}, { finished: true }],
  [
    'OnFailure goes on while one container does',
    podOf([A, B], 'OnFailure'),
    ['a:exited:0', 'b:running'],
    {},
    {},
  ],
  ['Never is done after failure', podOf([A], 'Never'), ['a:exited:1'], {}, { finished: true }],
  ['Never still starts what has not run yet', podOf([A, B], 'Never'), ['a:exited:1'], {}, { start: ['b#0'] }],
  [
    'a pod that is done gets no new sandbox',
    podOf([A], 'Never'),
    ['a:exited:0'],
    { sandboxes: [gone] },
    { finished: true },
  ],
  [
    'a restart that must wait is looked at again in time',
    podOf([A, B]),
    ['a:exited:1', 'b:exited:1'],
    { notBefore: (name) => (name === 'a' ? NOW + 20 : NOW + 10) },
    { wakeAt: NOW + 10 },
  ],
  ['a wait that is over is none', podOf([A]), ['a:exited:1'], { notBefore: () => NOW }, { start: ['a#1'] }],
  [
    'a container whose definition changed is killed, and started in the next round',
    podOf([spec('a', 'other')]),
    ['a:running'],
    {},
    { kill: ['a:running'] },
  ],
  [
    'a container that left the pod is killed',
    podOf([A]),
    ['a:running', 'x:running'],
    {},
    { kill: ['x:running'] },
  ],
  [
    'a container whose liveness probe failed is killed',
    podOf([A]),
    ['a#1:running'],
    { unhealthy: new Set(['a#1:running']) },
    { kill: ['a#1:running'] },
  ],
  [
    'init containers come first, one at a time',
    podOf([A], 'Always', [spec('i'), spec('j')]),
    [],
    {},
    { start: ['i#0'] },
  ],
  [
    'while an init container runs, nothing else starts',
    podOf([A], 'Always', [spec('i'), spec('j')]),
    ['i:running'],
    {},
    {},
  ],
  [
    'after one has succeeded the next starts',
    podOf([A], 'Always', [spec('i'), spec('j')]),
    ['i:exited:0'],
    {},
    { start: ['j#0'] },
  ],
  [
    'after the last the containers start',
    podOf([A, B], 'Always', [spec('i'), spec('j')]),
    ['i:exited:0', 'j:exited:0'],
    {},
    { start: ['a#0', 'b#0'] },
  ],
  [
    'a failed init container is tried again',
    podOf([A], 'OnFailure', [spec('i')]),
    ['i:exited:1'],
    {},
    { start: ['i#1'] },
  ],
  [
    'with Never a failed init container ends the pod',
    podOf([A], 'Never', [spec('i')]),
    ['i:exited:1'],
    {},
    { finished: true },
  ],
  [
    'init containers do not run again for a container that restarts, even when their records are gone',
    podOf([A], 'Always', [spec('i')]),
    ['a:exited:1'],
    {},
    { start: ['a#1'] },
  ],
  [
    'a sidecar starts in its turn',
    podOf([A], 'Always', [sidecar('s'), spec('i')]),
    [],
    {},
    { start: ['s#0'] },
  ],
  [
    'what follows a sidecar waits until it has started',
    podOf([A], 'Always', [sidecar('s'), spec('i')]),
    ['s:running'],
    { isStarted: () => false },
    {},
  ],
  [
    'what follows a sidecar starts once it has started',
    podOf([A], 'Always', [sidecar('s'), spec('i')]),
    ['s:running'],
    {},
    { start: ['i#0'] },
  ],
  [
    'a sidecar that ended is started again beside the containers',
    podOf([A], 'Always', [sidecar('s')]),
    ['a:running', 's:exited:0'],
    {},
    { start: ['s#1'] },
  ],
];
for (const [what, pod, containers, parts, wanted] of rows) {
  test(what, () => assert.equal(plan(pod, containers, parts), { ...idle, ...wanted }));
}

test('a container of another agent, which left no hash, is not replaced for it', () => {
  const result = planPod({
    pod: podOf([spec('a', 'other')]),
    observed: { sandboxes: [ready], containers: [{ ...seen('a:running'), hash: '' }] },
    now: NOW,
    notBefore: () => 0,
    unhealthy: new Set(),
    isStarted: () => true,
  });
  assert.equal(result, idle);
});

for (const phase of ['Succeeded', 'Failed'] as const) {
  test(`a pod that is ${phase} in the cluster is not run again when its containers' records are gone`, () => {
    const pod = { ...podOf([A], 'Never'), status: { phase } };
    assert.equal(plan(pod, [], { sandboxes: [] }), { ...idle, finished: true });
  });
}

test('a pod whose containers restart is never over', () => {
  assert.not(isOver(podOf([A]), { containers: [seen('a:exited:0')] }));
  assert.not(isOver(podOf([A], 'Never'), { containers: [] }));
});

test.run();
