import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { podStatusPatch } from './pod-patch.ts';

const pod = { namespace: 'default', name: 'web', uid: 'u1' };

test('a patch is for one pod in one life, and says what is gone', () => {
  const patch: unknown = JSON.parse(
    podStatusPatch(pod, { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }),
  );
  assert.equal(patch, {
    metadata: { uid: 'u1' },
    status: {
      phase: 'Running',
      reason: null,
      message: null,
      conditions: [{ type: 'Ready', status: 'True', reason: null, message: null }],
    },
  });
});

test('reasons that are there are told', () => {
  const conditions = [
    { type: 'Ready', status: 'False', reason: 'ContainersNotReady', message: 'c' },
  ] as const;
  const { status } = JSON.parse(
    podStatusPatch(pod, { phase: 'Failed', reason: 'Evicted', message: 'no room', conditions }),
  ) as { status: unknown };
  assert.equal(status, { phase: 'Failed', reason: 'Evicted', message: 'no room', conditions });
});

test('a status without conditions leaves those of the cluster alone', () => {
  const { status } = JSON.parse(podStatusPatch(pod, { phase: 'Failed' })) as { status: object };
  assert.not('conditions' in status);
});

test.run();
