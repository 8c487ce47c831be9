import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CriCall } from '../wire/cri.ts';
import type { ObservedContainer, ObservedPod, ObservedState } from './observed.ts';
import { execInPod, stopContainers } from './pod-commands.ts';

const container = (name: string, state: ObservedState): ObservedContainer =>
  ({ id: `id-${name}`, name, state }) as ObservedContainer;
const pod = (...containers: ObservedContainer[]): ObservedPod => ({
  uid: 'u1',
  namespace: 'ns',
  name: 'web',
  sandboxes: [],
  containers,
});
const calls: unknown[] = [];
const call = (async (method: string, request: unknown) => {
  calls.push([method, request]);
  return { stdout: Buffer.from('out'), stderr: Buffer.from('err'), exitCode: 3 };
}) as unknown as CriCall;
test.before.each(() => {
  calls.length = 0;
});

test('what runs is stopped, and nothing else', async () => {
  const stopped = await stopContainers(call, pod(container('a', 'running'), container('b', 'exited')));
  assert.equal(stopped, ['a']);
  assert.equal(calls, [['stopContainer', { containerId: 'id-a', timeout: 3 }]]);
});

test('a command runs in the container that is named, or in the only one', async () => {
  const two = pod(container('a', 'running'), container('b', 'running'));
  assert.equal(await execInPod(call, two, 'b', ['ls', '-l']), { stdout: 'out', stderr: 'err', exitCode: 3 });
  await execInPod(call, pod(container('a', 'running')), '', ['ls']);
  assert.equal(calls, [
    ['execSync', { containerId: 'id-b', cmd: ['ls', '-l'], timeout: 10 }],
    ['execSync', { containerId: 'id-a', cmd: ['ls'], timeout: 10 }],
  ]);
});

test('where it cannot run says so', async () => {
  const two = pod(container('a', 'running'), container('b', 'running'), container('c', 'exited'));
  assert.equal(await execInPod(call, two, '', ['ls']), { missing: 'a container must be named: a, b' });
  assert.equal(await execInPod(call, two, 'c', ['ls']), { missing: 'no container c of pod ns/web runs' });
});

test.run();
