import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Pod, PodSpec } from '../core/pod.ts';
import { groupsOf, logFolder, namespaces, sandboxConfig } from './sandbox-config.ts';

const settings = { podLogsDir: '/var/log/pods', clusterDomain: 'cluster.local', clusterDNS: ['10.96.0.10'] };
const podOf = (spec: Partial<PodSpec> = {}): Pod => ({
  metadata: {
    name: 'web',
    namespace: 'shop',
    uid: 'u1',
    labels: { app: 'web', 'io.kubernetes.pod.name': 'forged' },
    annotations: { note: 'n' },
  },
  spec: { containers: [{ name: 'app', image: 'i' }], ...spec },
});
const configOf = (spec?: Partial<PodSpec>) => sandboxConfig(podOf(spec), 3, settings);

test('a sandbox says whose it is; a pod’s own label cannot forge that', () => {
  const { metadata, labels, annotations, logDirectory } = configOf();
  assert.equal(metadata, { name: 'web', uid: 'u1', namespace: 'shop', attempt: 3 });
  assert.equal(labels, {
    app: 'web',
    'io.kubernetes.pod.name': 'web',
    'io.kubernetes.pod.namespace': 'shop',
    'io.kubernetes.pod.uid': 'u1',
  });
  assert.equal(annotations, { note: 'n' });
  assert.is(logDirectory, '/var/log/pods/shop_web_u1');
  assert.is(logFolder(podOf(), settings), logDirectory);
});

const hostnames: [string, Partial<PodSpec>, string][] = [
  ['the pod’s name', {}, 'web'],
  ['the name that it chose', { hostname: 'shop-1' }, 'shop-1'],
  ['cut to what a host name may have', { hostname: 'x'.repeat(70) }, 'x'.repeat(63)],
  ['the host’s, with the host’s network', { hostNetwork: true, hostname: 'shop-1' }, ''],
];
for (const [what, spec, hostname] of hostnames) {
  test(`its host name is ${what}`, () => assert.is(configOf(spec).hostname, hostname));
}

const shares: [string, Partial<PodSpec>, { network: number; pid: number; ipc: number }][] = [
  ['nothing shared', {}, { network: 0, pid: 1, ipc: 0 }],
  ['the host’s network', { hostNetwork: true }, { network: 2, pid: 1, ipc: 0 }],
  ['the host’s processes', { hostPID: true, shareProcessNamespace: true }, { network: 0, pid: 2, ipc: 0 }],
  ['the host’s IPC', { hostIPC: true }, { network: 0, pid: 1, ipc: 2 }],
  ['processes of the pod', { shareProcessNamespace: true }, { network: 0, pid: 0, ipc: 0 }],
];
for (const [what, spec, wanted] of shares) {
  test(`namespaces with ${what}`, () => assert.equal(namespaces(podOf(spec)), wanted));
}

const ports: [string, Partial<PodSpec>, unknown[]][] = [
  ['none', {}, []],
  [
    'those of all containers, TCP unless said',
    {
      containers: [
        { name: 'a', image: 'i', ports: [{ containerPort: 80, hostPort: 8080, hostIP: '127.0.0.1' }] },
        { name: 'b', image: 'i', ports: [{ containerPort: 53, protocol: 'UDP' }] },
      ],
    },
    [
      { protocol: 0, containerPort: 80, hostPort: 8080, hostIp: '127.0.0.1' },
      { protocol: 1, containerPort: 53, hostPort: 0, hostIp: '' },
    ],
  ],
  [
    'none with the host’s network',
    {
      hostNetwork: true,
      containers: [{ name: 'a', image: 'i', ports: [{ containerPort: 80, hostPort: 80 }] }],
    },
    [],
  ],
];
for (const [what, spec, wanted] of ports) {
  test(`port mappings: ${what}`, () => assert.equal(configOf(spec).portMappings, wanted));
}

const cluster = {
  servers: ['10.96.0.10'],
  searches: ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
  options: ['ndots:5'],
};
const dns: [string, Partial<PodSpec>, unknown][] = [
  ['the cluster’s first', {}, cluster],
  [
    'the cluster’s, with the host’s network',
    { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' },
    cluster,
  ],
  [
    'additions go behind',
    {
      dnsConfig: {
        nameservers: ['192.0.2.53'],
        searches: ['example.com'],
        options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }],
      },
    },
    {
      servers: ['10.96.0.10', '192.0.2.53'],
      searches: [...cluster.searches, 'example.com'],
      options: ['ndots:5', 'ndots:2', 'edns0'],
    },
  ],
  [
    'nothing but what the pod says',
    { dnsPolicy: 'None', dnsConfig: { nameservers: ['192.0.2.53'] } },
    { servers: ['192.0.2.53'], searches: [], options: [] },
  ],
];
for (const [what, spec, wanted] of dns) {
  test(`DNS: ${what}`, () => assert.equal(configOf(spec).dnsConfig, wanted));
}

test('without a DNS server of the cluster a pod has the host’s, as with policy Default', () => {
  const pod = podOf();
  const host = sandboxConfig(podOf({ dnsPolicy: 'Default' }), 0, settings).dnsConfig;
  assert.equal(sandboxConfig(pod, 0, { ...settings, clusterDNS: [] }).dnsConfig, host);
  assert.not((host?.servers ?? []).includes('10.96.0.10'));
});

test('groups, users, sysctls and privileges of the pod', () => {
  const spec: Partial<PodSpec> = {
    containers: [
      { name: 'a', image: 'i' },
      { name: 'b', image: 'i', securityContext: { privileged: true } },
    ],
    securityContext: {
      runAsUser: 1000,
      runAsGroup: 1001,
      fsGroup: 7,
      supplementalGroups: [5, 6],
      sysctls: [{ name: 'net.core.somaxconn', value: '1024' }],
    },
  };
  assert.equal(configOf(spec).linux, {
    sysctls: { 'net.core.somaxconn': '1024' },
    securityContext: {
      namespaceOptions: { network: 0, pid: 1, ipc: 0 },
      privileged: true,
      supplementalGroups: [5, 6, 7],
      runAsUser: { value: 1000 },
      runAsGroup: { value: 1001 },
    },
  });
  assert.equal(groupsOf(podOf()), []);
});

test('a group without a user is left to the image: the runtime refuses one alone', () => {
  const security = configOf({ securityContext: { runAsGroup: 5 } }).linux?.securityContext;
  assert.not('runAsGroup' in (security ?? {}));
});

test.run();
