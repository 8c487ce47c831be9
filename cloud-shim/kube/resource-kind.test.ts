import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { kinds, pathOf, type ResourceKind } from './resource-kind.ts';

/** @source Kubernetes API concepts, resource URIs */
const paths: [ResourceKind, (string | undefined)[], string][] = [
  [kinds.pod, [], '/api/v1/pods'],
  [kinds.pod, ['ns'], '/api/v1/namespaces/ns/pods'],
  [kinds.pod, ['ns', 'a'], '/api/v1/namespaces/ns/pods/a'],
  [kinds.pod, ['ns', 'a', 'status'], '/api/v1/namespaces/ns/pods/a/status'],
  [kinds.node, [undefined, 'n'], '/api/v1/nodes/n'],
  [kinds.node, ['ignored', 'n'], '/api/v1/nodes/n'],
  [kinds.device, ['ns', 'd'], '/apis/devices.kubeedge.io/v1beta1/namespaces/ns/devices/d'],
  [kinds.lease, ['kube-node-lease', 'n'], '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n'],
  [
    kinds.clusterObjectSync,
    [undefined, 'n.u'],
    '/apis/reliablesyncs.kubeedge.io/v1alpha1/clusterobjectsyncs/n.u',
  ],
  [kinds.pod, ['a/b', 'c?d'], '/api/v1/namespaces/a%2Fb/pods/c%3Fd'],
];
for (const [kind, [namespace, name, subresource], path] of paths) {
  test(`${kind.kind} is at ${path}`, () => assert.is(pathOf(kind, namespace, name, subresource), path));
}

test.run();
