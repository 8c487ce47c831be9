/** Small objects of the built-in kinds. */

type Metadata = { readonly name?: string; readonly [field: string]: unknown };
type Texts = Readonly<Record<string, string>>;

export function configMap(name: string, data: Texts = {}, metadata: Metadata = {}) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data };
}

/** A pod that fits nowhere unless `spec` says so. */
export function pod(name: string, spec: Readonly<Record<string, unknown>> = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      nodeSelector: { 'edgecore.test/node': 'none' },
      terminationGracePeriodSeconds: 30,
      containers: [{ name: 'main', image: 'edgecore.test/none:1' }],
      ...spec,
    },
  };
}

/** A node that says that it is ready, for the pods that name it alone. */
export function node(name: string) {
  const time = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const capacity = { cpu: '2', memory: '1Gi', pods: '10' };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'edgecore.test/node': name } },
    spec: { taints: [{ key: 'edgecore.test/kept', value: 'free', effect: 'NoSchedule' }] },
    status: {
      capacity,
      allocatable: capacity,
      addresses: [{ type: 'InternalIP', address: '192.0.2.7' }],
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'KubeletReady',
          message: 'it is ready',
          lastHeartbeatTime: time,
          lastTransitionTime: time,
        },
      ],
    },
  };
}

/** What lets a pod run on such a node. */
export function on(node: string) {
  return {
    nodeSelector: { 'edgecore.test/node': node },
    tolerations: [{ key: 'edgecore.test/kept', operator: 'Exists' }],
  };
}
