import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CriCall } from '../wire/cri.ts';
import { latest, listPods, type ObservedPod, signature, withDetails } from './observed.ts';

const podLabels = {
  'io.kubernetes.pod.name': 'web',
  'io.kubernetes.pod.namespace': 'shop',
  'io.kubernetes.pod.uid': 'u1',
};
const sandbox = (
  id: string,
  state: number,
  createdAt: number,
  labels: Record<string, string> = podLabels,
) => ({
  id,
  state,
  createdAt,
  labels,
  metadata: { attempt: 4 },
});
const container = (
  id: string,
  name: string,
  attempt: number,
  state: number,
  createdAt: number,
  labels = {},
) => ({
  id,
  state,
  createdAt,
  labels: { ...podLabels, 'io.kubernetes.container.name': name, ...labels },
  annotations: { 'edgecore.io/container-hash': 'h' },
  metadata: { name, attempt },
  image: { image: 'app:1' },
  imageRef: 'sha256:1',
});

type Answers = { items?: unknown[]; containers?: unknown[]; status?: (id: string) => unknown };
const runtime = ({ items = [], containers = [], status }: Answers) => {
  const asked: [string, unknown][] = [];
  const call = async (method: string, request: unknown): Promise<unknown> => {
    asked.push([method, request]);
    if (method === 'listPodSandbox') return { items };
    if (method === 'listContainers') return { containers };
    return { status: status?.((request as { containerId: string }).containerId) };
  };
  return { asked, call: call as CriCall };
};

test('pods are put together from sandboxes and containers, newest first', async () => {
  const { call } = runtime({
    items: [sandbox('s1', 1, 1e9), sandbox('s2', 0, 5e9)],
    containers: [container('c1', 'app', 0, 2, 2e9), container('c2', 'app', 1, 1, 6e9)],
  });
  const pods = await listPods(call);
  const pod = pods.get('u1');
  assert.equal([pods.size, pod?.namespace, pod?.name], [1, 'shop', 'web']);
  assert.equal(pod?.sandboxes, [
    { id: 's2', ready: true, attempt: 4, createdAt: 5000 },
    { id: 's1', ready: false, attempt: 4, createdAt: 1000 },
  ]);
  assert.equal(
    pod?.containers.map(({ id, name, attempt, state, hash, createdAt }) => [
      id,
      name,
      attempt,
      state,
      hash,
      createdAt,
    ]),
    [
      ['c2', 'app', 1, 'running', 'h', 6000],
      ['c1', 'app', 0, 'exited', 'h', 2000],
    ],
  );
  assert.is(pod && latest(pod, 'app')?.id, 'c2');
  assert.is(pod && latest(pod, 'other'), undefined);
});

for (const [number, state] of [
  [0, 'created'],
  [1, 'running'],
  [2, 'exited'],
  [3, 'unknown'],
  [9, 'unknown'],
] as const) {
  test(`container state ${number} is ${state}`, async () => {
    const pods = await listPods(runtime({ containers: [container('c', 'app', 0, number, 0)] }).call);
    assert.is(pods.get('u1')?.containers[0]?.state, state);
  });
}

test('a container whose sandbox is gone still shows its pod', async () => {
  const pods = await listPods(runtime({ containers: [container('c', 'app', 0, 2, 0)] }).call);
  assert.equal([pods.get('u1')?.sandboxes.length, pods.get('u1')?.containers.length], [0, 1]);
});

test('what carries no pod’s label is not ours', async () => {
  assert.is((await listPods(runtime({ items: [sandbox('s', 0, 0, {})] }).call)).size, 0);
});

test('one pod is asked for by its label, all without a filter', async () => {
  const { asked, call } = runtime({});
  await listPods(call, 'u1');
  const filter = { labelSelector: { 'io.kubernetes.pod.uid': 'u1' } };
  assert.equal(asked, [
    ['listPodSandbox', { filter }],
    ['listContainers', { filter }],
  ]);
  asked.length = 0;
  await listPods(call);
  assert.equal(
    asked.map(([, request]) => request),
    [{ filter: undefined }, { filter: undefined }],
  );
});

test('details say when a container ran and how it ended, in ms; one that vanished stays as it was', async () => {
  const { call } = runtime({
    containers: [container('c1', 'app', 0, 1, 2e9), container('c2', 'gone', 0, 1, 1e9)],
    status: (id) =>
      id === 'c1'
        ? {
            state: 2,
            startedAt: 3e9,
            finishedAt: 4e9,
            exitCode: 137,
            reason: 'OOMKilled',
            message: 'm',
            logPath: '/l',
          }
        : undefined,
  });
  const pod = (await listPods(call)).get('u1') as ObservedPod;
  const [app, gone] = (await withDetails(call, pod)).containers;
  assert.equal(
    [app?.state, app?.startedAt, app?.finishedAt, app?.exitCode, app?.reason, app?.message, app?.logPath],
    ['exited', 3000, 4000, 137, 'OOMKilled', 'm', '/l'],
  );
  assert.is(gone?.state, 'running');
});

test('the signature changes with states and ids, and with nothing else', async () => {
  const of = async (answers: Answers): Promise<string> =>
    signature((await listPods(runtime(answers).call)).get('u1'));
  const base = { items: [sandbox('s', 0, 0)], containers: [container('c', 'app', 0, 1, 0)] };
  const first = await of(base);
  assert.is(await of(base), first);
  assert.is.not(await of({ ...base, items: [sandbox('s', 1, 0)] }), first);
  assert.is.not(await of({ ...base, containers: [container('c', 'app', 0, 2, 0)] }), first);
  assert.is.not(await of({ ...base, containers: [container('d', 'app', 0, 1, 0)] }), first);
  assert.is(await of({}), '');
});

test.run();
