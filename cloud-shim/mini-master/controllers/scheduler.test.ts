import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ApiObject, JsonObject } from '../json.ts';
import { chooseNode, untolerated } from './scheduler.ts';

function nodeOf(
  name: string,
  more: { spec?: JsonObject; labels?: JsonObject; status?: JsonObject } = {},
): ApiObject {
  const { spec = {}, labels = {}, status = {} } = more;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels },
    spec,
    status: {
      conditions: [{ type: 'Ready', status: 'True' }],
      allocatable: { cpu: '1', memory: '1Gi', pods: '10' },
      ...status,
    },
  };
}
function podOf(spec: JsonObject = {}, requests: JsonObject = {}, phase = 'Pending'): ApiObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default' },
    spec: { containers: [{ name: 'c', resources: { requests } }], ...spec },
    status: { phase },
  };
}
const affinity = (...nodeSelectorTerms: JsonObject[]): JsonObject => ({
  affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
});
const tainted = (effect: string, value?: string): JsonObject => ({
  taints: [{ key: 'edge', effect, ...(value ? { value } : {}) }],
});

test('the node with the fewest pods is taken, of equals the first by name', () => {
  const nodes = [nodeOf('b'), nodeOf('a'), nodeOf('c')];
  assert.equal(chooseNode(podOf(), nodes, []), { node: 'a' });
  assert.equal(chooseNode(podOf(), nodes, [podOf({ nodeName: 'a' }), podOf({ nodeName: 'b' })]), {
    node: 'c',
  });
});

test('pods that are over do not count', () => {
  const over = [podOf({ nodeName: 'a' }, {}, 'Succeeded'), podOf({ nodeName: 'a' }, {}, 'Failed')];
  assert.equal(chooseNode(podOf(), [nodeOf('a'), nodeOf('b')], [...over, podOf({ nodeName: 'b' })]), {
    node: 'a',
  });
});

const unready: JsonObject = { conditions: [{ type: 'Ready', status: 'Unknown' }] };
const labelled = nodeOf('n', { labels: { zone: 'x', size: '5' } });
const noAffinity = "1 node(s) didn't match Pod's node affinity/selector";
/** Pod, node, and why it does not fit: undefined where it does. @source Kubernetes, kube-scheduler filters */
const fits: [string, ApiObject, ApiObject, string | undefined][] = [
  ['a node that is not ready', podOf(), nodeOf('n', { status: unready }), '1 node(s) were not ready'],
  [
    'a cordoned node',
    podOf(),
    nodeOf('n', { spec: { unschedulable: true } }),
    '1 node(s) were unschedulable',
  ],
  [
    'a taint',
    podOf(),
    nodeOf('n', { spec: tainted('NoSchedule') }),
    '1 node(s) had untolerated taint {edge: }',
  ],
  [
    'a taint that evicts',
    podOf(),
    nodeOf('n', { spec: tainted('NoExecute', 'v') }),
    '1 node(s) had untolerated taint {edge: v}',
  ],
  ['a taint that is a wish', podOf(), nodeOf('n', { spec: tainted('PreferNoSchedule') }), undefined],
  [
    'a taint that is tolerated',
    podOf({ tolerations: [{ key: 'edge', operator: 'Exists' }] }),
    nodeOf('n', { spec: tainted('NoSchedule', 'v') }),
    undefined,
  ],
  ['a label that is asked for', podOf({ nodeSelector: { zone: 'x' } }), labelled, undefined],
  ['a label of another value', podOf({ nodeSelector: { zone: 'y' } }), labelled, noAffinity],
  [
    'one of several terms',
    podOf(
      affinity(
        { matchExpressions: [{ key: 'zone', operator: 'In', values: ['y'] }] },
        { matchExpressions: [{ key: 'size', operator: 'Gt', values: ['4'] }] },
      ),
    ),
    labelled,
    undefined,
  ],
  [
    'a term of which one half fails',
    podOf(
      affinity({
        matchExpressions: [
          { key: 'zone', operator: 'In', values: ['x'] },
          { key: 'none', operator: 'Exists' },
        ],
      }),
    ),
    labelled,
    noAffinity,
  ],
  [
    'its name',
    podOf(affinity({ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n'] }] })),
    labelled,
    undefined,
  ],
  [
    'the name of another',
    podOf(affinity({ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['m'] }] })),
    labelled,
    noAffinity,
  ],
  ['an empty term, which matches nothing', podOf(affinity({})), labelled, noAffinity],
  ['all of its memory', podOf({}, { memory: '1Gi' }), nodeOf('n'), undefined],
  ['more than its memory', podOf({}, { memory: '1025Mi' }), nodeOf('n'), '1 Insufficient memory'],
  ['more than its processors', podOf({}, { cpu: '1001m' }), nodeOf('n'), '1 Insufficient cpu'],
];
for (const [what, pod, node, why] of fits) {
  test(`${why ? 'passes over' : 'takes'} a node for ${what}`, () => {
    const expected = why ? { why: `0/1 nodes are available: ${why}.` } : { node: 'n' };
    assert.equal(chooseNode(pod, [node], []), expected);
  });
}

test('what others requested is taken', () => {
  const there = [podOf({ nodeName: 'n' }, { cpu: '600m' })];
  assert.equal(chooseNode(podOf({}, { cpu: '400m' }), [nodeOf('n')], there), { node: 'n' });
  assert.equal(chooseNode(podOf({}, { cpu: '401m' }), [nodeOf('n')], there), {
    why: '0/1 nodes are available: 1 Insufficient cpu.',
  });
});

test('tenths of a processor add up to what they are', () => {
  const node = nodeOf('n', { status: { allocatable: { cpu: '300m' } } });
  assert.equal(chooseNode(podOf({}, { cpu: '200m' }), [node], [podOf({ nodeName: 'n' }, { cpu: '0.1' })]), {
    node: 'n',
  });
});

test('a node has its number of pods', () => {
  const node = nodeOf('n', { status: { allocatable: { pods: '1' } } });
  assert.equal(chooseNode(podOf(), [node], [podOf({ nodeName: 'n' })]), {
    why: '0/1 nodes are available: 1 Too many pods.',
  });
});

test('a pod that asks for nothing goes to a node that is full', () => {
  assert.equal(chooseNode(podOf(), [nodeOf('n')], [podOf({ nodeName: 'n' }, { cpu: '2' })]), { node: 'n' });
});

test('why none fits is told by number', () => {
  const nodes = [
    nodeOf('a', { spec: { unschedulable: true } }),
    nodeOf('b', { status: unready }),
    nodeOf('c', { spec: { unschedulable: true } }),
  ];
  assert.equal(chooseNode(podOf(), nodes, []), {
    why: '0/3 nodes are available: 2 node(s) were unschedulable, 1 node(s) were not ready.',
  });
  assert.equal(chooseNode(podOf(), [], []), { why: '0/0 nodes are available.' });
});

/** A toleration, and whether it tolerates {edge: v, NoSchedule}. @source Kubernetes, Taints and Tolerations */
const tolerations: [JsonObject, boolean][] = [
  [{ key: 'edge', operator: 'Equal', value: 'v', effect: 'NoSchedule' }, true],
  [{ key: 'edge', value: 'v' }, true],
  [{ key: 'edge', value: 'w' }, false],
  [{ key: 'edge' }, false],
  [{ key: 'edge', operator: 'Exists' }, true],
  [{ key: 'edge', operator: 'Exists', effect: 'NoExecute' }, false],
  [{ key: 'other', operator: 'Exists' }, false],
  [{ operator: 'Exists' }, true],
  [{ operator: 'Exists', effect: 'NoSchedule' }, true],
];
for (const [toleration, tolerated] of tolerations) {
  test(`${JSON.stringify(toleration)} ${tolerated ? 'tolerates' : 'does not tolerate'} edge=v:NoSchedule`, () => {
    const node = nodeOf('n', { spec: tainted('NoSchedule', 'v') });
    assert.is(untolerated(podOf({ tolerations: [toleration] }), node) === undefined, tolerated);
  });
}

test.run();
