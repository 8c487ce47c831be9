import {
  atomicList,
  flag,
  integer,
  keyedList,
  mapOf,
  open,
  record,
  type Schema,
  setList,
  text,
  time,
} from './schema.ts';

const ownerReference = record(
  {
    apiVersion: text(),
    kind: text(),
    name: text(),
    uid: text(),
    controller: flag(),
    blockOwnerDeletion: flag(),
  },
  ['apiVersion', 'kind', 'name', 'uid'],
);

const managedFieldsEntry = record({
  manager: text(),
  operation: text(),
  apiVersion: text(),
  time: time(),
  fieldsType: text(),
  fieldsV1: open(),
  subresource: text(),
});

/** ObjectMeta. @source apimachinery meta/v1 types.go */
export const metaSchema: Schema = {
  description: 'What every object carries: name, namespace, labels, and what the server keeps about it.',
  ...record({
    name: text('Name, unique within a namespace and kind; it cannot be changed.'),
    generateName: text('Prefix of a name that the server completes when no name is given.'),
    namespace: text('Namespace that holds the object; empty for kinds that have none.'),
    selfLink: text(),
    uid: text('Identity of this object over all time, given by the server.'),
    resourceVersion: text('Version of the object, for conflict detection and watches.'),
    generation: integer('Counts the changes of the desired state.'),
    creationTimestamp: time('When the object was created.'),
    deletionTimestamp: time('When a graceful deletion comes due; set by the server.'),
    deletionGracePeriodSeconds: integer('Seconds that a graceful deletion gives.', { nullable: true }),
    labels: mapOf(text(), 'Keys and values that selectors choose by.'),
    annotations: mapOf(text(), 'Keys and values that tools keep with the object.'),
    ownerReferences: keyedList(ownerReference, 'uid', {
      description: 'Objects without which this one is removed.',
    }),
    finalizers: setList(text(), 'What must be removed from this list before the object is.'),
    managedFields: atomicList(managedFieldsEntry, 'Which manager set which fields.'),
  }),
};

/** The schema of a kind: its own fields, and those that every kind has. */
export function kindSchema(
  description: string,
  fields: Record<string, Schema>,
  required: readonly string[] = [],
): Schema {
  return {
    description,
    ...record(
      { apiVersion: text('Group and version.'), kind: text('Kind.'), metadata: metaSchema, ...fields },
      required,
    ),
  };
}
