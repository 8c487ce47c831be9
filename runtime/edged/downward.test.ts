import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { errorCode } from '../core/errors.ts';
import type { Pod } from '../core/pod.ts';
import { fieldValue, resourceValue } from './downward.ts';

const pod: Pod = {
  metadata: {
    name: 'web',
    namespace: 'shop',
    uid: 'u1',
    labels: { 'b-c': 'x', b: '"quoted"', a: '' },
    annotations: { 'example.com/note': 'line 1\nline 2' },
  },
  spec: {
    serviceAccountName: 'seller',
    containers: [
      {
        name: 'app',
        image: 'i',
        resources: { limits: { cpu: '700m', memory: '64Mi' }, requests: { cpu: '1500m', memory: '100' } },
      },
    ],
    initContainers: [{ name: 'init', image: 'i', resources: { limits: { memory: '1Gi' } } }],
  },
};
const facts = { nodeName: 'edge-1', hostIP: '192.0.2.1', podIP: '10.0.0.7' };

const fields: [string, string][] = [
  ['metadata.name', 'web'],
  ['metadata.namespace', 'shop'],
  ['metadata.uid', 'u1'],
  ["metadata.labels['b']", '"quoted"'],
  ["metadata.labels['none']", ''],
  ["metadata.annotations['example.com/note']", 'line 1\nline 2'],
  ['metadata.labels', 'a=""\nb="\\"quoted\\""\nb-c="x"'],
  ['metadata.annotations', 'example.com/note="line 1\\nline 2"'],
  ['spec.nodeName', 'edge-1'],
  ['spec.serviceAccountName', 'seller'],
  ['status.hostIP', '192.0.2.1'],
  ['status.hostIPs', '192.0.2.1'],
  ['status.podIP', '10.0.0.7'],
  ['status.podIPs', '10.0.0.7'],
];
for (const [fieldPath, value] of fields) {
  test(`${fieldPath} is ${JSON.stringify(value)}`, () =>
    assert.is(fieldValue(pod, { fieldPath }, facts), value));
}

test('a pod that names no service account has the default one', () => {
  const plain = { ...pod, spec: { containers: [] } };
  assert.is(fieldValue(plain, { fieldPath: 'spec.serviceAccountName' }, facts), 'default');
});

const codeOf = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return errorCode(error);
  }
};

for (const fieldPath of ['status.phase', 'spec.hostname', '', 'metadata.labels[b]']) {
  test(`${JSON.stringify(fieldPath)} is a fault of the pod`, () =>
    assert.is(
      codeOf(() => fieldValue(pod, { fieldPath }, facts)),
      'OBJECT_INVALID',
    ));
}

const amounts: [{ resource: string; containerName?: string; divisor?: string }, string][] = [
  [{ resource: 'limits.cpu' }, '1'],
  [{ resource: 'limits.cpu', divisor: '1m' }, '700'],
  [{ resource: 'requests.cpu' }, '2'],
  [{ resource: 'requests.cpu', divisor: '1m' }, '1500'],
  [{ resource: 'limits.memory' }, '67108864'],
  [{ resource: 'limits.memory', divisor: '1Mi' }, '64'],
  [{ resource: 'limits.memory', divisor: '0' }, '67108864'],
  [{ resource: 'requests.memory', divisor: '1Ki' }, '1'],
  [{ resource: 'limits.memory', containerName: 'init', divisor: '1Mi' }, '1024'],
];
for (const [selector, value] of amounts) {
  test(`${JSON.stringify(selector)} is ${value}`, () =>
    assert.is(resourceValue(pod, selector, 'app'), value));
}

for (const selector of [
  { resource: 'cpu' },
  { resource: 'sizes.cpu' },
  { resource: 'limits.cpu', containerName: 'x' },
]) {
  test(`${JSON.stringify(selector)} is a fault of the pod`, () =>
    assert.is(
      codeOf(() => resourceValue(pod, selector, 'app')),
      'OBJECT_INVALID',
    ));
}

test.run();
