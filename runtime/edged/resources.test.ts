import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Container, Pod, ResourceRequirements } from '../core/pod.ts';
import { type LinuxResources, linuxResources, qosClass } from './resources.ts';

const GIB = 1024 ** 3;
const container = (resources?: ResourceRequirements, name = 'a'): Container => ({
  name,
  image: 'i',
  ...(resources ? { resources } : {}),
});
const podOf = (...containers: Container[]): Pod => ({ metadata: { name: 'web' }, spec: { containers } });

const both = (cpu: string, memory: string) => ({ cpu, memory });
const classes: [string, Pod, string][] = [
  ['nothing asked', podOf(container()), 'BestEffort'],
  ['only a device asked', podOf(container({ limits: { 'vendor/npu': '1' } })), 'BestEffort'],
  ['limits of both', podOf(container({ limits: both('1', '1Gi') })), 'Guaranteed'],
  [
    'limits equal to requests, written otherwise',
    podOf(container({ limits: both('1', '1Gi'), requests: both('1000m', '1024Mi') })),
    'Guaranteed',
  ],
  [
    'less requested than the limit',
    podOf(container({ limits: both('1', '1Gi'), requests: both('500m', '1Gi') })),
    'Burstable',
  ],
  ['a limit of memory only', podOf(container({ limits: { memory: '1Gi' } })), 'Burstable'],
  ['requests only', podOf(container({ requests: both('1', '1Gi') })), 'Burstable'],
  [
    'one container of two without',
    podOf(container({ limits: both('1', '1Gi') }), container(undefined, 'b')),
    'Burstable',
  ],
  [
    'an init container without',
    {
      metadata: { name: 'web' },
      spec: {
        containers: [container({ limits: both('1', '1Gi') })],
        initContainers: [container(undefined, 'i')],
      },
    },
    'Burstable',
  ],
];
for (const [what, pod, wanted] of classes) {
  test(`a pod with ${what} is ${wanted}`, () => assert.is(qosClass(pod), wanted));
}

const nothing: LinuxResources = {
  cpuPeriod: 0,
  cpuQuota: 0,
  cpuShares: 2,
  memoryLimitInBytes: 0,
  oomScoreAdj: 1000,
};
const rows: [string, ResourceRequirements | undefined, Partial<LinuxResources>][] = [
  ['nothing', undefined, {}],
  [
    'half a core and 64 MiB',
    { limits: both('500m', '64Mi') },
    {
      cpuPeriod: 100_000,
      cpuQuota: 50_000,
      cpuShares: 512,
      memoryLimitInBytes: 67_108_864,
      oomScoreAdj: -997,
    },
  ],
  [
    'a request of 150m, whose shares are rounded down',
    { requests: { cpu: '150m' } },
    { cpuShares: 153, oomScoreAdj: 999 },
  ],
  ['a request of one thousandth', { requests: { cpu: '1m' } }, { cpuShares: 2, oomScoreAdj: 999 }],
  [
    'a limit below the least quota',
    { limits: { cpu: '5m' } },
    { cpuPeriod: 100_000, cpuQuota: 1000, cpuShares: 5, oomScoreAdj: 999 },
  ],
  [
    'a request beside a limit',
    { limits: { cpu: '2' }, requests: { cpu: '1' } },
    { cpuPeriod: 100_000, cpuQuota: 200_000, cpuShares: 1024, oomScoreAdj: 999 },
  ],
  ['an eighth of the node’s memory', { requests: { memory: '1Gi' } }, { oomScoreAdj: 875 }],
  ['a third of a gibibyte', { requests: { memory: '341Mi' } }, { oomScoreAdj: 959 }],
  ['all of the node’s memory', { requests: { memory: '8Gi' } }, { oomScoreAdj: 3 }],
];
for (const [what, resources, wanted] of rows) {
  test(`a container with ${what} on a node of 8 GiB`, () => {
    const one = container(resources);
    assert.equal(linuxResources(podOf(one), one, 8 * GIB), { ...nothing, ...wanted });
  });
}

test.run();
