import type { Schema } from '../schema/schema.ts';
import {
  configMapColumns,
  crdColumns,
  eventColumns,
  leaseColumns,
  namespaceColumns,
  plainColumns,
  secretColumns,
  serviceAccountColumns,
  serviceColumns,
  volumeColumns,
} from '../table/builtin-columns.ts';
import type { Column } from '../table/column.ts';
import { nodeColumns } from '../table/node-columns.ts';
import { podColumns } from '../table/pod-columns.ts';
import {
  configMapSchema,
  crdSchema,
  eventSchema,
  leaseSchema,
  namespaceSchema,
  newEventSchema,
  secretSchema,
  serviceAccountSchema,
  storedSchema,
} from './core-schema.ts';
import { crdStrategy } from './crd.ts';
import { eventCodec } from './event-codec.ts';
import { nodeSchema, podSchema } from './pod-schema.ts';
import { podStrategy } from './pod-strategy.ts';
import {
  apiVersionOf,
  type Resource,
  type ResourceVersion,
  type Strategy,
  type Subresource,
} from './resource.ts';
import {
  configMapStrategy,
  eventStrategy,
  leaseStrategy,
  namespaceStrategy,
  nodeStrategy,
  secretStrategy,
} from './strategies.ts';

type Row = {
  readonly group?: string;
  readonly version?: string;
  readonly kind: string;
  readonly plural: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly cluster?: boolean;
  readonly schema: Schema;
  readonly columns?: readonly Column[];
  readonly status?: boolean;
  readonly strategy?: Strategy;
  readonly more?: Partial<Resource>;
  readonly codec?: ResourceVersion['codec'];
};

const POD_FIELDS = [
  'spec.nodeName',
  'spec.restartPolicy',
  'spec.schedulerName',
  'spec.serviceAccountName',
  'spec.hostNetwork',
  'status.phase',
  'status.podIP',
  'status.nominatedNodeName',
];
const EVENT_FIELDS = [
  ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
    (f) => `involvedObject.${f}`,
  ),
  'reason',
  'reportingComponent',
  'source',
  'type',
];
const NEW_EVENT_FIELDS = [
  'regarding.kind',
  'regarding.namespace',
  'regarding.name',
  'regarding.uid',
  'reason',
  'type',
];

const connect = (name: string, kind: string): Subresource => ({ name, kind, verbs: ['create', 'get'] });
const podSubresources: readonly Subresource[] = [
  { name: 'attach', kind: 'PodAttachOptions', verbs: ['create', 'get'] },
  { name: 'binding', kind: 'Binding', verbs: ['create'] },
  { name: 'ephemeralcontainers', kind: 'Pod', verbs: ['get', 'patch', 'update'] },
  { name: 'eviction', kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] },
  connect('exec', 'PodExecOptions'),
  { name: 'log', kind: 'Pod', verbs: ['get'] },
  connect('portforward', 'PodPortForwardOptions'),
];
const tokenSubresource: Subresource = {
  name: 'token',
  kind: 'TokenRequest',
  group: 'authentication.k8s.io',
  version: 'v1',
  verbs: ['create'],
};

const rows: readonly Row[] = [
  {
    kind: 'Namespace',
    plural: 'namespaces',
    shortNames: ['ns'],
    cluster: true,
    schema: namespaceSchema,
    columns: namespaceColumns,
    status: true,
    strategy: namespaceStrategy,
    more: {
      selectable: ['status.phase'],
      answersDeleted: true,
      nameRule: 'label',
      subresources: [{ name: 'finalize', kind: 'Namespace', verbs: ['update'] }],
    },
  },
  {
    kind: 'Node',
    plural: 'nodes',
    shortNames: ['no'],
    cluster: true,
    schema: nodeSchema,
    columns: nodeColumns,
    status: true,
    strategy: nodeStrategy,
    more: { selectable: ['spec.unschedulable'], statusOnCreate: true },
  },
  {
    kind: 'Pod',
    plural: 'pods',
    shortNames: ['po'],
    categories: ['all'],
    schema: podSchema,
    columns: podColumns,
    status: true,
    strategy: podStrategy,
    more: { selectable: POD_FIELDS, answersDeleted: true, subresources: podSubresources, generation: 'spec' },
  },
  {
    kind: 'ConfigMap',
    plural: 'configmaps',
    shortNames: ['cm'],
    schema: configMapSchema,
    columns: configMapColumns,
    strategy: configMapStrategy,
  },
  {
    kind: 'Secret',
    plural: 'secrets',
    schema: secretSchema,
    columns: secretColumns,
    strategy: secretStrategy,
    more: { selectable: ['type'] },
  },
  {
    kind: 'ServiceAccount',
    plural: 'serviceaccounts',
    shortNames: ['sa'],
    schema: serviceAccountSchema,
    columns: serviceAccountColumns,
    more: { answersDeleted: true, subresources: [tokenSubresource] },
  },
  {
    kind: 'Event',
    plural: 'events',
    shortNames: ['ev'],
    schema: eventSchema,
    columns: eventColumns,
    strategy: eventStrategy,
    more: { selectable: EVENT_FIELDS, createOnUpdate: true },
  },
  {
    group: 'events.k8s.io',
    kind: 'Event',
    plural: 'events',
    shortNames: ['ev'],
    schema: newEventSchema,
    columns: eventColumns,
    codec: eventCodec,
    strategy: eventStrategy,
    more: { selectable: NEW_EVENT_FIELDS, createOnUpdate: true, collection: 'events', storedVersion: 'v1' },
  },
  {
    group: 'coordination.k8s.io',
    kind: 'Lease',
    plural: 'leases',
    schema: leaseSchema,
    columns: leaseColumns,
    strategy: leaseStrategy,
    more: { createOnUpdate: true, unconditionalUpdate: false },
  },
  {
    group: 'apiextensions.k8s.io',
    kind: 'CustomResourceDefinition',
    plural: 'customresourcedefinitions',
    shortNames: ['crd', 'crds'],
    categories: ['api-extensions'],
    cluster: true,
    schema: crdSchema,
    columns: crdColumns,
    status: true,
    strategy: crdStrategy,
    more: { unconditionalUpdate: false, generation: 'spec' },
  },
  {
    kind: 'Service',
    plural: 'services',
    shortNames: ['svc'],
    categories: ['all'],
    schema: storedSchema('A name for a set of pods.'),
    columns: serviceColumns,
    status: true,
    more: { answersDeleted: true, nameRule: 'label' },
  },
  {
    kind: 'Endpoints',
    plural: 'endpoints',
    shortNames: ['ep'],
    schema: storedSchema('Addresses behind a service.'),
    more: { createOnUpdate: true },
  },
  {
    kind: 'PersistentVolume',
    plural: 'persistentvolumes',
    shortNames: ['pv'],
    cluster: true,
    schema: storedSchema('A piece of storage.'),
    columns: volumeColumns,
    status: true,
    more: { answersDeleted: true },
  },
  {
    kind: 'PersistentVolumeClaim',
    plural: 'persistentvolumeclaims',
    shortNames: ['pvc'],
    schema: storedSchema('A request for storage.'),
    columns: volumeColumns,
    status: true,
    more: { answersDeleted: true },
  },
];

/** The resources that every cluster has. */
export const builtinResources: readonly Resource[] = rows.map(resource);

function resource(row: Row): Resource {
  const group = row.group ?? '';
  const name = row.version ?? 'v1';
  const version: ResourceVersion = {
    name,
    schema: row.schema,
    hasStatus: row.status ?? false,
    columns: row.columns ?? plainColumns,
    ...(row.codec ? { codec: row.codec } : {}),
  };
  return {
    group,
    plural: row.plural,
    singular: row.kind.toLowerCase(),
    kind: row.kind,
    listKind: `${row.kind}List`,
    shortNames: row.shortNames ?? [],
    categories: row.categories ?? [],
    namespaced: !row.cluster,
    nameRule: 'subdomain',
    collection: group ? `${row.plural}.${group}` : row.plural,
    storedVersion: apiVersionOf(group, name),
    versions: [version],
    custom: false,
    strategy: row.strategy ?? {},
    selectable: [],
    subresources: [],
    createOnUpdate: false,
    statusOnCreate: false,
    unconditionalUpdate: true,
    answersDeleted: false,
    generation: 'none',
    ...row.more,
  };
}
