import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { edgedConfig } from './config.ts';
import { type NodeFacts, nodeObject, nodeStatus, readFacts } from './node.ts';

const NOW = Date.UTC(2026, 0, 1, 12);
const T = '2026-01-01T12:00:00Z';
const GIB = 1024 ** 3;
const facts: NodeFacts = {
  memoryTotal: GIB,
  memoryAvailable: GIB / 2,
  cpus: 4,
  diskTotal: 100 * GIB,
  diskAvailable: 50 * GIB,
  address: '192.0.2.1',
  info: { architecture: 'arm64', operatingSystem: 'linux' },
};
const runtime = { fault: undefined, version: 'containerd://1.7.2' };
const configOf = (parts: object = {}) => v.parse(edgedConfig, { hostnameOverride: 'edge-1', ...parts });

test('a node has KubeEdge’s labels, and those of its configuration', () => {
  const { metadata } = nodeObject(configOf({ nodeLabels: { site: '12' } }), '0.1.0', facts, runtime, NOW);
  assert.equal(metadata, {
    name: 'edge-1',
    labels: {
      'kubernetes.io/hostname': 'edge-1',
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': 'arm64',
      'beta.kubernetes.io/os': 'linux',
      'beta.kubernetes.io/arch': 'arm64',
      'node-role.kubernetes.io/edge': '',
      'node-role.kubernetes.io/agent': '',
      site: '12',
    },
    annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' },
  });
});

test('a node is schedulable and without taints unless its configuration says otherwise', () => {
  assert.equal(nodeObject(configOf(), '0', facts, runtime, NOW).spec, {});
  const tainted = configOf({
    registerSchedulable: false,
    tailoredKubeletConfig: {
      registerWithTaints: [
        { key: 'edge', value: 'yes', effect: 'NoSchedule' },
        { key: 'slow', effect: 'PreferNoSchedule' },
      ],
    },
  });
  assert.equal(nodeObject(tainted, '0', facts, runtime, NOW).spec, {
    unschedulable: true,
    taints: [
      { key: 'edge', effect: 'NoSchedule', value: 'yes' },
      { key: 'slow', effect: 'PreferNoSchedule' },
    ],
  });
});

test('the status tells size, addresses, the kubelet’s port and a version that KubeEdge’s tools read', () => {
  const status = nodeStatus(configOf(), '0.1.0', facts, runtime, NOW);
  assert.equal(status.capacity, {
    cpu: '4',
    memory: '1048576Ki',
    'ephemeral-storage': '104857600Ki',
    pods: '110',
  });
  assert.is(status.allocatable?.memory, `${1_048_576 - 102_400}Ki`);
  assert.equal(status.addresses, [
    { type: 'InternalIP', address: '192.0.2.1' },
    { type: 'Hostname', address: 'edge-1' },
  ]);
  assert.is(status.daemonEndpoints?.kubeletEndpoint.Port, 10_350);
  assert.match(status.nodeInfo?.kubeletVersion ?? '', /^v1\.32\.10-kubeedge-/);
  assert.is(status.nodeInfo?.containerRuntimeVersion, 'containerd://1.7.2');
});

const fine = {
  MemoryPressure: 'False',
  DiskPressure: 'False',
  PIDPressure: 'False',
  ContainerRuntimeReady: 'True',
  StoreWritable: 'True',
  Ready: 'True',
};
const states: [string, Partial<NodeFacts>, string | undefined, Record<string, string>][] = [
  ['all is well', {}, undefined, {}],
  ['little memory is left', { memoryAvailable: 100 * 1024 ** 2 - 1 }, undefined, { MemoryPressure: 'True' }],
  ['just enough memory is left', { memoryAvailable: 100 * 1024 ** 2 }, undefined, {}],
  ['a tenth of the disk is left', { diskAvailable: 10 * GIB }, undefined, {}],
  [
    'less than a tenth of the disk is left',
    { diskAvailable: 10 * GIB - 1 },
    undefined,
    { DiskPressure: 'True' },
  ],
  ['nothing is known of the disk', { diskTotal: 0, diskAvailable: 0 }, undefined, {}],
  ['the disk takes nothing', { storeFault: 'disk full' }, undefined, { StoreWritable: 'False' }],
  [
    'the machine suffers',
    {
      problems: [
        { type: 'Overheated', bad: 'TooHot', good: 'TemperatureNormal', is: '80 °C or more' },
        { type: 'FlashWorn', bad: 'FlashNearEndOfLife', good: 'FlashHealthy', is: undefined },
      ],
    },
    undefined,
    { Overheated: 'True', FlashWorn: 'False' },
  ],
  ['the container runtime is away', {}, 'no socket', { ContainerRuntimeReady: 'False', Ready: 'False' }],
];
for (const [when, parts, fault, wanted] of states) {
  test(`conditions when ${when}`, () => {
    const status = nodeStatus(configOf(), '0', { ...facts, ...parts }, { ...runtime, fault }, NOW);
    const told = Object.fromEntries((status.conditions ?? []).map((c) => [c.type, c.status]));
    assert.equal(told, { ...fine, ...wanted });
  });
}

test('a condition keeps the time of its last change, and has the time of its last report', () => {
  const first = nodeStatus(configOf(), '0', facts, { ...runtime, fault: 'no socket' }, NOW - 60_000);
  const next = nodeStatus(configOf(), '0', facts, runtime, NOW, first);
  const times = Object.fromEntries(
    (next.conditions ?? []).map((c) => [c.type, [c.lastTransitionTime, c.lastHeartbeatTime]]),
  );
  assert.equal(times.DiskPressure, ['2026-01-01T11:59:00Z', T]);
  assert.equal(times.Ready, [T, T]);
});

test('the facts of this machine can be read', () => {
  const read = readFacts(configOf({ nodeIP: '192.0.2.7' }), '/');
  assert.is(read.address, '192.0.2.7');
  assert.ok(read.memoryTotal > 0 && read.memoryAvailable > 0 && read.cpus > 0 && read.diskTotal > 0);
});

test.run();
