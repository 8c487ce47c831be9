import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { podFault } from './pod-check.ts';

const container = { name: 'app', image: 'i' };
const pod = (spec: unknown, metadata: unknown = { name: 'web', uid: 'u1' }): unknown => ({ metadata, spec });

const faults: [string, unknown, string | undefined][] = [
  ['a pod with a container', pod({ containers: [container] }), undefined],
  [
    'init containers and volumes',
    pod({ containers: [container], initContainers: [container], volumes: [{}] }),
    undefined,
  ],
  ['nothing', undefined, 'the pod has no spec'],
  ['null', null, 'the pod has no spec'],
  ['a text', 'x', 'the pod has no spec'],
  ['no metadata', pod({ containers: [container] }, null), 'the pod has no spec'],
  ['no spec', pod(undefined), 'the pod has no spec'],
  ['no uid', pod({ containers: [container] }, { name: 'web' }), 'metadata.uid: is missing'],
  ['an empty uid', pod({ containers: [container] }, { uid: '' }), 'metadata.uid: is missing'],
  ['no containers', pod({}), 'spec.containers: is empty'],
  [
    'null containers, as a deletion from reconciliation has',
    pod({ containers: null }),
    'spec.containers: is empty',
  ],
  ['an empty list', pod({ containers: [] }), 'spec.containers: is empty'],
  [
    'a list that is none',
    pod({ containers: [container], volumes: 5 }),
    'spec: initContainers or volumes is no list',
  ],
  ['a container that is none', pod({ containers: ['x'] }), 'spec.containers[0]: is no container with a name'],
  [
    'a container without image',
    pod({ containers: [container, { name: 'b' }] }),
    'spec.containers[1].image: is missing',
  ],
];
for (const [what, value, fault] of faults) {
  test(`${what}: ${fault ?? 'fine'}`, () => assert.is(podFault(value), fault));
}

test.run();
