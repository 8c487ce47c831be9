import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mergePodStatus } from './pod-status.ts';

test('the node goes first, what others set in the cluster stays', () => {
  const cluster = {
    phase: 'Pending',
    reason: 'Old',
    qosClass: 'BestEffort',
    conditions: [
      { type: 'PodScheduled', status: 'True' },
      { type: 'Ready', status: 'False' },
    ],
  };
  const own = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
  assert.equal(mergePodStatus(cluster, own), {
    phase: 'Running',
    qosClass: 'BestEffort',
    conditions: [
      { type: 'PodScheduled', status: 'True' },
      { type: 'Ready', status: 'True' },
    ],
  });
});

test('before the node has said anything the cluster’s word stands', () => {
  assert.equal(mergePodStatus({ phase: 'Pending' }, undefined), { phase: 'Pending' });
  assert.equal(mergePodStatus(undefined, {}), {});
});

test.run();
