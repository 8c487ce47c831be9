import { type ApiObject, asText, equal, isObject, type JsonObject, listAt } from '../json.ts';
import type { Schema } from '../schema/schema.ts';
import {
  changedFields,
  type FieldSet,
  fieldsOf,
  fromFieldsV1,
  minus,
  ownsBelow,
  toFieldsV1,
  union,
} from './field-set.ts';

/** Who writes: the manager's name, and how. */
export type Writer = {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  /** RFC 3339. */
  readonly time: string;
};

/** One entry of metadata.managedFields. */
export type Managed = Writer & { readonly fields: FieldSet };

export function managedOf(object: ApiObject): Managed[] {
  const list = object.metadata.managedFields;
  return (Array.isArray(list) ? list : []).filter(isObject).map((entry) => ({
    manager: asText(entry.manager),
    operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
    apiVersion: asText(entry.apiVersion),
    subresource: asText(entry.subresource),
    time: asText(entry.time),
    fields: fromFieldsV1(entry.fieldsV1),
  }));
}

/** The object with these managers; without the field when nobody manages anything. */
export function withManaged(object: ApiObject, managers: readonly Managed[]): ApiObject {
  const entries = managers
    .filter((m) => m.fields.size > 0)
    .sort(inOrder)
    .map(managedEntry);
  const metadata = { ...object.metadata };
  delete metadata.managedFields;
  return { ...object, metadata: entries.length > 0 ? { ...metadata, managedFields: entries } : metadata };
}

/** Appliers first, then the oldest: the same managers are always listed the same way. */
function inOrder(a: Managed, b: Managed): number {
  const rank = ({ operation, time, manager, apiVersion, subresource }: Managed): string =>
    [operation, time, manager, apiVersion, subresource].join('\u0000');
  return rank(a) < rank(b) ? -1 : 1;
}

function managedEntry(managed: Managed): JsonObject {
  const { manager, operation, apiVersion, time, subresource } = managed;
  return {
    manager,
    operation,
    apiVersion,
    time,
    fieldsType: 'FieldsV1',
    fieldsV1: toFieldsV1(managed.fields),
    ...(subresource ? { subresource } : {}),
  };
}

export function sameWriter(a: Writer, b: Writer): boolean {
  return a.manager === b.manager && a.operation === b.operation && a.subresource === b.subresource;
}

/** Records an update: what it changed now belongs to the writer, what is gone belongs to nobody.
 * @source apimachinery util/managedfields/internal/buildmanagerinfo, structured-merge-diff merge/update.go */
export function trackUpdate(
  old: ApiObject | undefined,
  next: ApiObject,
  writer: Writer,
  schema: Schema | undefined,
): ApiObject {
  const changed = changedFields(old ?? {}, next, schema);
  const present = fieldsOf(next, schema);
  const before = recordsBefore(old, next, writer.subresource);
  const others = before
    .filter((m) => !sameWriter(m, writer))
    .map((m) => ({ ...m, fields: minus(stillThere(m.fields, present), changed) }));
  const own = before.find((m) => sameWriter(m, writer));
  const kept = own ? stillThere(own.fields, present) : new Map();
  const time = changed.size > 0 || !own ? writer.time : own.time;
  return withManaged(next, [...others, { ...writer, time, fields: union(kept, changed) }]);
}

/** The records that an update starts from: a writer may edit them, or reset them with one empty entry; one that does
 * not know them and leaves them out loses nothing.
 * @source apimachinery util/managedfields/internal/fieldmanager.go decodeLiveOrNew */
function recordsBefore(old: ApiObject | undefined, next: ApiObject, subresource: string): Managed[] {
  const live = old ? managedOf(old) : [];
  if (subresource) return live;
  const sent = listAt(next, 'metadata', 'managedFields');
  if (sent.length === 1 && equal(sent[0], {})) return [];
  const edited = managedOf(next).filter((m) => m.fields.size > 0);
  return edited.length > 0 ? edited : live;
}

function stillThere(fields: FieldSet, present: FieldSet): FieldSet {
  return new Map([...fields].filter(([key, path]) => present.has(key) || ownsBelow(present, path)));
}
