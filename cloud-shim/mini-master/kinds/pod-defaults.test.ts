import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ApiObject, clone, type JsonObject, objectAt, objectsAt } from '../json.ts';
import { qosClass, withPodDefaults } from './pod-defaults.ts';

const podOf = (spec: JsonObject): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p' },
  spec,
});
const filledSpec = (spec: JsonObject): JsonObject => objectAt(withPodDefaults(podOf(spec)), 'spec');
const filled = (container: JsonObject, spec: JsonObject = {}): JsonObject =>
  objectsAt(filledSpec({ ...spec, containers: [container] }), 'containers')[0] ?? {};

test('the smallest pod gets what Kubernetes gives it', () => {
  const pod = podOf({ containers: [{ name: 'c', image: 'nginx' }] });
  const before = clone(pod);
  assert.equal(withPodDefaults(pod).spec, {
    restartPolicy: 'Always',
    dnsPolicy: 'ClusterFirst',
    terminationGracePeriodSeconds: 30,
    securityContext: {},
    schedulerName: 'default-scheduler',
    enableServiceLinks: true,
    containers: [
      {
        name: 'c',
        image: 'nginx',
        terminationMessagePath: '/dev/termination-log',
        terminationMessagePolicy: 'File',
        imagePullPolicy: 'Always',
        resources: {},
      },
    ],
  });
  assert.equal(pod, before);
});

test('defaults filled in twice are as filled in once', () => {
  const once = withPodDefaults(
    podOf({ hostNetwork: true, containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80 }] }] }),
  );
  assert.equal(withPodDefaults(once), once);
});

test('what the author says stays', () => {
  const own = {
    restartPolicy: 'Never',
    dnsPolicy: 'None',
    terminationGracePeriodSeconds: 0,
    enableServiceLinks: false,
  };
  const spec = filledSpec({ ...own, containers: [] });
  for (const [key, value] of Object.entries(own)) assert.is(spec[key], value);
});

const policies: [string, string][] = [
  ['nginx', 'Always'],
  ['nginx:latest', 'Always'],
  ['nginx:1.27', 'IfNotPresent'],
  ['registry.example:5000/nginx', 'Always'],
  ['registry.example:5000/nginx:1.27', 'IfNotPresent'],
  [`nginx@sha256:${'0'.repeat(64)}`, 'IfNotPresent'],
  [`nginx:1.27@sha256:${'0'.repeat(64)}`, 'IfNotPresent'],
  [`nginx:latest@sha256:${'0'.repeat(64)}`, 'Always'],
];
for (const [image, policy] of policies) {
  test(`${image} is pulled ${policy}`, () => assert.is(filled({ name: 'c', image }).imagePullPolicy, policy));
}

test('a limit is the request where none is made', () => {
  const { resources } = filled({
    name: 'c',
    resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } },
  });
  assert.equal(resources, {
    limits: { cpu: '1', memory: '1Gi' },
    requests: { cpu: '500m', memory: '1Gi' },
  });
});

test('ports are TCP, and those of the host with its network', () => {
  assert.equal(filled({ name: 'c', ports: [{ containerPort: 80 }] }).ports, [
    { containerPort: 80, protocol: 'TCP' },
  ]);
  assert.equal(
    filled({ name: 'c', ports: [{ containerPort: 80, protocol: 'UDP' }] }, { hostNetwork: true }).ports,
    [{ containerPort: 80, hostPort: 80, protocol: 'UDP' }],
  );
});

test('probes and hooks get their times and paths', () => {
  const container = filled({
    name: 'c',
    livenessProbe: { httpGet: { port: 80 }, periodSeconds: 3 },
    lifecycle: { preStop: { httpGet: { port: 80, path: '/bye' } } },
  });
  assert.equal(container.livenessProbe, {
    httpGet: { port: 80, path: '/', scheme: 'HTTP' },
    timeoutSeconds: 1,
    periodSeconds: 3,
    successThreshold: 1,
    failureThreshold: 3,
  });
  assert.equal(container.lifecycle, { preStop: { httpGet: { port: 80, path: '/bye', scheme: 'HTTP' } } });
});

test('a reference to a field is of v1', () => {
  const env = [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }];
  assert.equal(filled({ name: 'c', env }).env, [
    { name: 'A', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
  ]);
});

/** @source kubernetes pkg/apis/core/v1/defaults.go */
const volumes: [string, JsonObject, JsonObject][] = [
  ['a volume of no kind is empty', {}, { emptyDir: {} }],
  [
    'a secret is readable to all',
    { secret: { secretName: 's' } },
    { secret: { secretName: 's', defaultMode: 420 } },
  ],
  ['a configMap keeps its mode', { configMap: { defaultMode: 256 } }, { configMap: { defaultMode: 256 } }],
  ['a path of the host is of any type', { hostPath: { path: '/x' } }, { hostPath: { path: '/x', type: '' } }],
  [
    'a projected token lives an hour',
    { projected: { sources: [{ serviceAccountToken: { path: 't' } }, { secret: {} }] } },
    {
      projected: {
        defaultMode: 420,
        sources: [{ serviceAccountToken: { path: 't', expirationSeconds: 3600 } }, { secret: {} }],
      },
    },
  ],
];
for (const [what, volume, result] of volumes) {
  test(what, () => {
    const spec = filledSpec({ containers: [], volumes: [{ name: 'v', ...volume }] });
    assert.equal(spec.volumes, [{ name: 'v', ...result }]);
  });
}

test('both names of the service account say the same', () => {
  for (const given of [{ serviceAccount: 'a' }, { serviceAccountName: 'a' }]) {
    const { serviceAccount, serviceAccountName } = filledSpec({ containers: [], ...given });
    assert.equal([serviceAccount, serviceAccountName], ['a', 'a']);
  }
});

const limits = { cpu: '1', memory: '1Gi' };
/** Resources of each container. @source Kubernetes, Pod Quality of Service Classes */
const classes: [string, JsonObject[], string][] = [
  ['nothing is asked for', [{}], 'BestEffort'],
  ['zero is asked for', [{ requests: { cpu: '0', memory: '0' } }], 'BestEffort'],
  ['something else is asked for', [{ limits: { 'example.com/gpu': '1' } }], 'BestEffort'],
  ['all is limited and requested', [{ limits, requests: limits }], 'Guaranteed'],
  [
    'the same amounts are written otherwise',
    [{ limits, requests: { cpu: '1000m', memory: '1024Mi' } }],
    'Guaranteed',
  ],
  ['less is requested than limited', [{ limits, requests: { cpu: '500m', memory: '1Gi' } }], 'Burstable'],
  ['only the memory is limited', [{ limits: { memory: '1Gi' }, requests: { memory: '1Gi' } }], 'Burstable'],
  ['one of two containers asks for nothing', [{ limits, requests: limits }, {}], 'Burstable'],
];
for (const [what, resources, quality] of classes) {
  test(`a pod is ${quality} where ${what}`, () => {
    const containers = resources.map((each, i) => ({ name: `c${i}`, resources: each }));
    assert.is(qosClass(podOf({ containers })), quality);
  });
}

test.run();
