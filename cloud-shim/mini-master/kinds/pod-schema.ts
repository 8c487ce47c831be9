import { kindSchema } from '../schema/meta-schema.ts';
import {
  atomicList,
  flag,
  integer,
  intOrString,
  keyedList,
  mapOf,
  open,
  record,
  type Schema,
  setList,
  text,
  time,
} from '../schema/schema.ts';
import { containerSchema, ephemeralContainerSchema, resourcesSchema } from './container-schema.ts';
import { volumeSchema } from './volume-schema.ts';

const toleration = record({
  key: text(),
  operator: text(),
  value: text(),
  effect: text(),
  tolerationSeconds: integer(),
});

const expression = record({ key: text(), operator: text(), values: atomicList(text()) }, ['key', 'operator']);

const nodeTerm: Schema = {
  ...record({ matchExpressions: atomicList(expression), matchFields: atomicList(expression) }),
  'x-kubernetes-map-type': 'atomic',
};

const nodeAffinity = record({
  requiredDuringSchedulingIgnoredDuringExecution: {
    ...record({ nodeSelectorTerms: atomicList(nodeTerm) }, ['nodeSelectorTerms']),
    'x-kubernetes-map-type': 'atomic',
  },
  preferredDuringSchedulingIgnoredDuringExecution: atomicList(
    record({ weight: integer(), preference: nodeTerm }, ['weight', 'preference']),
  ),
});

const containers = (description: string): Schema => keyedList(containerSchema, 'name', { description });

/** @source Kubernetes API reference v1.32, PodSpec v1 core */
const podSpecSchema: Schema = {
  description: 'What runs, and how.',
  ...record(
    {
      volumes: keyedList(volumeSchema, 'name', {
        strategy: 'merge,retainKeys',
        description: 'Volumes of the pod.',
      }),
      initContainers: containers(
        'Containers that run to their end, one after the other, before the others start.',
      ),
      containers: containers('Containers of the pod; at least one.'),
      ephemeralContainers: keyedList(ephemeralContainerSchema, 'name'),
      restartPolicy: text('Always, OnFailure or Never.'),
      terminationGracePeriodSeconds: integer('Seconds between the stop signal and the kill.'),
      activeDeadlineSeconds: integer('Seconds after which the pod is stopped and failed.'),
      dnsPolicy: text(),
      nodeSelector: {
        ...mapOf(text(), 'Labels that the node must have.'),
        'x-kubernetes-map-type': 'atomic',
      },
      serviceAccountName: text('Service account whose token the containers get.'),
      serviceAccount: text(),
      automountServiceAccountToken: flag(),
      nodeName: text('Node that runs the pod; the scheduler sets it.'),
      hostNetwork: flag(),
      hostPID: flag(),
      hostIPC: flag(),
      hostUsers: flag(),
      shareProcessNamespace: flag(),
      securityContext: open('Security of the pod and the default of its containers.'),
      imagePullSecrets: keyedList(record({ name: text() }), 'name'),
      hostname: text(),
      hostnameOverride: text(),
      subdomain: text(),
      setHostnameAsFQDN: flag(),
      affinity: record({ nodeAffinity, podAffinity: open(), podAntiAffinity: open() }),
      schedulerName: text(),
      tolerations: atomicList(toleration, 'Taints that the pod tolerates.'),
      hostAliases: keyedList(record({ ip: text(), hostnames: atomicList(text()) }, ['ip']), 'ip'),
      priorityClassName: text(),
      priority: integer(),
      preemptionPolicy: text(),
      dnsConfig: record({
        nameservers: atomicList(text()),
        searches: atomicList(text()),
        options: atomicList(record({ name: text(), value: text() })),
      }),
      readinessGates: atomicList(record({ conditionType: text() }, ['conditionType'])),
      runtimeClassName: text(),
      enableServiceLinks: flag(),
      overhead: mapOf(intOrString()),
      topologySpreadConstraints: keyedList(open(), 'topologyKey', {
        mapKeys: ['topologyKey', 'whenUnsatisfiable'],
      }),
      os: record({ name: text() }, ['name']),
      schedulingGates: keyedList(record({ name: text() }, ['name']), 'name'),
      resourceClaims: keyedList(open(), 'name', { strategy: 'merge,retainKeys' }),
      resources: resourcesSchema,
    },
    ['containers'],
  ),
};

/** A condition of a pod or a node. */
export const conditionSchema: Schema = record(
  {
    type: text(),
    status: text(),
    reason: text(),
    message: text(),
    lastProbeTime: time(),
    lastHeartbeatTime: time(),
    lastTransitionTime: time(),
    observedGeneration: integer(),
  },
  ['type', 'status'],
);

const address = record({ ip: text() }, ['ip']);
const statuses = (): Schema => atomicList(open());

const podStatusSchema: Schema = {
  description: 'What the node reports.',
  ...record({
    observedGeneration: integer(),
    phase: text('Pending, Running, Succeeded, Failed or Unknown.'),
    conditions: keyedList(conditionSchema, 'type'),
    message: text(),
    reason: text(),
    nominatedNodeName: text(),
    hostIP: text(),
    hostIPs: atomicList(address),
    podIP: text(),
    podIPs: keyedList(address, 'ip'),
    startTime: time(),
    initContainerStatuses: statuses(),
    containerStatuses: statuses(),
    ephemeralContainerStatuses: statuses(),
    qosClass: text(),
    resize: text(),
    resourceClaimStatuses: keyedList(open(), 'name', { strategy: 'merge,retainKeys' }),
    extendedResourceClaimStatus: open(),
    allocatedResources: mapOf(intOrString()),
    resources: resourcesSchema,
  }),
};

export const podSchema: Schema = kindSchema('A group of containers that run together on one node.', {
  spec: podSpecSchema,
  status: podStatusSchema,
});

const taint = record({ key: text(), value: text(), effect: text(), timeAdded: time() }, ['key', 'effect']);

/** @source Kubernetes API reference v1.32, Node v1 core */
export const nodeSchema: Schema = kindSchema('A machine that runs pods.', {
  spec: record({
    podCIDR: text(),
    podCIDRs: setList(text()),
    providerID: text(),
    unschedulable: flag('Whether new pods are kept away.'),
    taints: atomicList(taint, 'What pods must tolerate.'),
    configSource: open(),
    externalID: text(),
  }),
  status: record({
    capacity: mapOf(intOrString()),
    allocatable: mapOf(intOrString()),
    phase: text(),
    conditions: keyedList(conditionSchema, 'type'),
    addresses: keyedList(record({ type: text(), address: text() }, ['type', 'address']), 'type'),
    daemonEndpoints: record({ kubeletEndpoint: record({ Port: integer() }, ['Port']) }),
    nodeInfo: open(),
    images: atomicList(open()),
    volumesInUse: atomicList(text()),
    volumesAttached: atomicList(open()),
    config: open(),
    runtimeHandlers: atomicList(open()),
    features: open(),
    declaredFeatures: atomicList(text()),
  }),
});
