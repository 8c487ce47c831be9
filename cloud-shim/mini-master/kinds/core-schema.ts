import { kindSchema } from '../schema/meta-schema.ts';
import {
  atomicList,
  flag,
  integer,
  keyedList,
  mapOf,
  open,
  record,
  type Schema,
  text,
  time,
} from '../schema/schema.ts';
import { conditionSchema } from './pod-schema.ts';

/** The small kinds. @source Kubernetes API reference v1.32 */

export const namespaceSchema: Schema = kindSchema('A scope for names.', {
  spec: record({ finalizers: atomicList(text()) }),
  status: record({ phase: text('Active or Terminating.'), conditions: keyedList(conditionSchema, 'type') }),
});

export const configMapSchema: Schema = kindSchema('Configuration for pods.', {
  data: mapOf(text(), 'Keys and texts.'),
  binaryData: mapOf(text(), 'Keys and bytes, base64.'),
  immutable: flag('Whether the data can no longer change.'),
});

export const secretSchema: Schema = kindSchema('Confidential data for pods.', {
  type: text('What the data is for; it cannot be changed.'),
  data: mapOf(text(), 'Keys and bytes, base64.'),
  stringData: mapOf(text(), 'Keys and texts, merged into data when written.'),
  immutable: flag('Whether the data can no longer change.'),
});

const objectReference: Schema = record({
  apiVersion: text(),
  kind: text(),
  namespace: text(),
  name: text(),
  uid: text(),
  resourceVersion: text(),
  fieldPath: text(),
});

export const serviceAccountSchema: Schema = kindSchema('An identity for the processes of a pod.', {
  secrets: keyedList(objectReference, 'name'),
  imagePullSecrets: atomicList(record({ name: text() })),
  automountServiceAccountToken: flag(),
});

export const leaseSchema: Schema = kindSchema('Who holds something, and until when.', {
  spec: record({
    holderIdentity: text('Who holds the lease.'),
    leaseDurationSeconds: integer('Seconds after the last renewal when it may be taken.'),
    acquireTime: time(),
    renewTime: time('When it was last renewed.'),
    leaseTransitions: integer(),
    strategy: text(),
    preferredHolder: text(),
  }),
});

const series = record({ count: integer(), lastObservedTime: time() });

export const eventSchema: Schema = kindSchema(
  'Something that happened to an object.',
  {
    involvedObject: objectReference,
    reason: text('Why, in one word.'),
    message: text('What happened.'),
    type: text('Normal or Warning.'),
    count: integer(),
    firstTimestamp: time(),
    lastTimestamp: time(),
    eventTime: time(),
    series,
    source: record({ component: text(), host: text() }),
    action: text(),
    related: objectReference,
    reportingComponent: text(),
    reportingInstance: text(),
  },
  ['involvedObject'],
);

/** events.k8s.io/v1; the same objects under other names. */
export const newEventSchema: Schema = kindSchema('Something that happened to an object.', {
  eventTime: time('When it happened.'),
  series,
  reportingController: text('Who reports it.'),
  reportingInstance: text(),
  action: text(),
  reason: text('Why, in one word.'),
  regarding: objectReference,
  related: objectReference,
  note: text('What happened.'),
  type: text('Normal or Warning.'),
  deprecatedSource: record({ component: text(), host: text() }),
  deprecatedFirstTimestamp: time(),
  deprecatedLastTimestamp: time(),
  deprecatedCount: integer(),
});

/** For kinds that are only stored: everything in them is kept. */
export function storedSchema(description: string): Schema {
  return { ...kindSchema(description, {}), 'x-kubernetes-preserve-unknown-fields': true };
}

const versionSchema: Schema = record(
  {
    name: text(),
    served: flag(),
    storage: flag(),
    deprecated: flag(),
    deprecationWarning: text(),
    schema: record({ openAPIV3Schema: open() }),
    subresources: record({ status: open(), scale: open() }),
    additionalPrinterColumns: atomicList(
      record(
        {
          name: text(),
          type: text(),
          format: text(),
          description: text(),
          priority: integer(),
          jsonPath: text(),
        },
        ['name', 'type', 'jsonPath'],
      ),
    ),
    selectableFields: atomicList(record({ jsonPath: text() }, ['jsonPath'])),
  },
  ['name', 'served', 'storage'],
);

const names = record(
  {
    plural: text(),
    singular: text(),
    shortNames: atomicList(text()),
    kind: text(),
    listKind: text(),
    categories: atomicList(text()),
  },
  ['plural', 'kind'],
);

export const crdSchema: Schema = kindSchema(
  'A kind of objects that the server then serves.',
  {
    spec: record(
      {
        group: text('API group.'),
        names,
        scope: text('Namespaced or Cluster.'),
        versions: atomicList(versionSchema),
        conversion: record({ strategy: text(), webhook: open() }, ['strategy']),
        preserveUnknownFields: flag(),
      },
      ['group', 'names', 'scope', 'versions'],
    ),
    status: record({
      conditions: keyedList(conditionSchema, 'type'),
      acceptedNames: names,
      storedVersions: atomicList(text()),
    }),
  },
  ['spec'],
);
