import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ApiObject, JsonObject } from '../json.ts';
import { withPodDefaults } from './pod-defaults.ts';
import { podFaults, podUpdateFaults } from './pod-validation.ts';

const container: JsonObject = { name: 'c', image: 'i:1' };
function podOf(spec: JsonObject, first: JsonObject = {}): ApiObject {
  const containers = [{ ...container, ...first }];
  return withPodDefaults({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default' },
    spec: { containers, ...spec },
  });
}
const lines = (pod: ApiObject): string[] => podFaults(pod).map((c) => `${c.field}: ${c.message}`);

test('a whole pod is accepted', () => {
  const pod = podOf(
    {
      initContainers: [{ name: 'init', image: 'i' }],
      volumes: [
        { name: 'a', hostPath: { path: '/x' } },
        { name: 'b', emptyDir: {} },
        { name: 'c', secret: { secretName: 's' } },
        { name: 'd', configMap: { name: 'm' } },
      ],
      tolerations: [{ operator: 'Exists' }, { key: 'k', value: 'v', effect: 'NoSchedule' }],
      nodeName: 'edge-1.example',
    },
    {
      ports: [{ containerPort: 80, hostPort: 8080 }],
      env: [{ name: 'A_b.C-1', value: 'x' }],
      volumeMounts: [{ name: 'a', mountPath: '/a' }],
      livenessProbe: { exec: { command: ['true'] } },
      resources: { limits: { cpu: '500m', memory: '64Mi' } },
    },
  );
  assert.equal(lines(pod), []);
});

const restart = 'supported values: "Always", "OnFailure", "Never"';
/** Spec, fields of its container, faults. @source kubernetes pkg/apis/core/validation */
const faulty: [string, JsonObject, JsonObject, string[]][] = [
  ['no container', { containers: [] }, {}, ['spec.containers: Required value']],
  ['a container without a name', {}, { name: '' }, ['spec.containers[0].name: Required value']],
  ['a container without an image', {}, { image: '' }, ['spec.containers[0].image: Required value']],
  [
    'an image with a space before it',
    {},
    { image: ' i' },
    ['spec.containers[0].image: Invalid value: " i": must not have leading or trailing whitespace'],
  ],
  [
    'two containers of one name',
    { containers: [container, container] },
    {},
    ['spec.containers[1].name: Duplicate value: "c"'],
  ],
  [
    'an init container with the name of a container',
    { initContainers: [container] },
    {},
    ['spec.initContainers[0].name: Duplicate value: "c"'],
  ],
  [
    'an unknown restart policy',
    { restartPolicy: 'Often' },
    {},
    [`spec.restartPolicy: Unsupported value: "Often": ${restart}`],
  ],
  [
    'a grace that is negative',
    { terminationGracePeriodSeconds: -1 },
    {},
    ['spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0'],
  ],
  [
    'a port out of range',
    {},
    { ports: [{ containerPort: 65_536 }] },
    [
      'spec.containers[0].ports[0].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive',
    ],
  ],
  [
    'a port without a number',
    {},
    { ports: [{ name: 'http' }] },
    ['spec.containers[0].ports[0].containerPort: Required value'],
  ],
  [
    'a protocol in lower case',
    {},
    { ports: [{ containerPort: 80, protocol: 'tcp' }] },
    [
      'spec.containers[0].ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"',
    ],
  ],
  [
    'a variable with a value from two places',
    {},
    { env: [{ name: 'A', value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }] },
    [
      'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
    ],
  ],
  [
    'a variable with two sources',
    {},
    { env: [{ name: 'A', valueFrom: { secretKeyRef: { key: 'k' }, configMapKeyRef: { key: 'k' } } }] },
    ['spec.containers[0].env[0].valueFrom: Invalid value: "": must specify exactly one source'],
  ],
  [
    'a mount of no volume',
    {},
    { volumeMounts: [{ name: 'x', mountPath: '/x' }] },
    ['spec.containers[0].volumeMounts[0].name: Not found: "x"'],
  ],
  [
    'two mounts on one path',
    { volumes: [{ name: 'a', emptyDir: {} }] },
    {
      volumeMounts: [
        { name: 'a', mountPath: '/x' },
        { name: 'a', mountPath: '/x' },
      ],
    },
    ['spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/x": must be unique'],
  ],
  [
    'a probe that does nothing',
    {},
    { livenessProbe: {} },
    ['spec.containers[0].livenessProbe: Required value: must specify a handler type'],
  ],
  [
    'a probe of two kinds',
    {},
    { readinessProbe: { exec: {}, tcpSocket: { port: 1 } } },
    ['spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type'],
  ],
  [
    'a volume of two kinds',
    { volumes: [{ name: 'a', emptyDir: {}, hostPath: { path: '/x' } }] },
    {},
    ['spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type'],
  ],
  [
    'two volumes of one name',
    {
      volumes: [
        { name: 'a', emptyDir: {} },
        { name: 'a', emptyDir: {} },
      ],
    },
    {},
    ['spec.volumes[1].name: Duplicate value: "a"'],
  ],
  [
    'a secret without a name',
    { volumes: [{ name: 'a', secret: {} }] },
    {},
    ['spec.volumes[0].secret.secretName: Required value'],
  ],
  [
    'a toleration of every key that is not Exists',
    { tolerations: [{ effect: 'NoSchedule' }] },
    {},
    ['spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty'],
  ],
  [
    'an effect that is none',
    { tolerations: [{ key: 'k', effect: 'Never' }] },
    {},
    [
      'spec.tolerations[0].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    ],
  ],
];
for (const [what, spec, first, expected] of faulty) {
  test(`names ${what}`, () => assert.equal(lines(podOf(spec, first)), expected));
}

for (const [what, spec, first, field] of [
  ['a name in capitals', {}, { name: 'C' }, 'spec.containers[0].name'],
  ['a variable that begins with a digit', {}, { env: [{ name: '1A' }] }, 'spec.containers[0].env[0].name'],
  [
    'an amount that is no quantity',
    {},
    { resources: { limits: { memory: '64MiB' } } },
    'spec.containers[0].resources.limits[memory]',
  ],
  ['a node of no possible name', { nodeName: 'Edge_1' }, {}, 'spec.nodeName'],
] as const) {
  test(`names ${what} by its field`, () => {
    const fields = podFaults(podOf(spec as JsonObject, first as JsonObject)).map((c) => c.field);
    assert.is(fields[0], field);
  });
}

const old = podOf({ tolerations: [{ key: 'a', operator: 'Exists' }], activeDeadlineSeconds: 10 });
const updates: [string, ApiObject, boolean][] = [
  ['nothing', old, true],
  [
    'an image',
    podOf(
      { tolerations: [{ key: 'a', operator: 'Exists' }] },
      { image: 'i:2', imagePullPolicy: 'IfNotPresent' },
    ),
    true,
  ],
  [
    'the deadline',
    podOf({ tolerations: [{ key: 'a', operator: 'Exists' }], activeDeadlineSeconds: 5 }),
    true,
  ],
  [
    'one more toleration',
    podOf({
      tolerations: [
        { key: 'a', operator: 'Exists' },
        { key: 'b', operator: 'Exists' },
      ],
    }),
    true,
  ],
  ['a toleration taken away', podOf({}), false],
  ['a command', podOf({ tolerations: [{ key: 'a', operator: 'Exists' }] }, { command: ['sh'] }), false],
  ['the node', podOf({ tolerations: [{ key: 'a', operator: 'Exists' }], nodeName: 'n' }), false],
  [
    'another container',
    podOf({
      tolerations: [{ key: 'a', operator: 'Exists' }],
      containers: [container, { ...container, name: 'd' }],
    }),
    false,
  ],
];
for (const [what, next, allowed] of updates) {
  test(`an update ${allowed ? 'may' : 'may not'} change ${what}`, () => {
    assert.equal(
      podUpdateFaults(next, old).map((c) => [c.field, c.reason]),
      allowed ? [] : [['spec', 'FieldValueForbidden']],
    );
  });
}

test.run();
