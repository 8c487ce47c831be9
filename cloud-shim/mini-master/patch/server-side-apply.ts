import { type ApiObject, equal, isObject, type Json, type JsonObject, without } from '../json.ts';
import { fieldSchema, type Schema } from '../schema/schema.ts';
import { Refusal } from '../status.ts';
import {
  entryElement,
  type FieldPath,
  type FieldSet,
  fieldsOf,
  isAssociative,
  minus,
  ownsBelow,
  union,
  valueAt,
  withoutField,
} from './field-set.ts';
import { type Managed, managedOf, sameWriter, type Writer, withManaged } from './managed-fields.ts';

/** Merges an applied configuration into the live object: what the manager applied before and left out now is
 * removed unless another manager holds it; a field that another manager set to something else is a conflict.
 * Throws a 409 refusal listing the conflicts unless `force`.
 * @source structured-merge-diff merge/update.go Apply */
export function applyConfiguration(
  live: ApiObject,
  config: ApiObject,
  writer: Writer,
  schema: Schema | undefined,
  force: boolean,
): ApiObject {
  const applied = fieldsOf(config, schema);
  const managers = managedOf(live);
  const others = managers.filter((m) => !sameWriter(m, writer));
  const disputed = conflicts(live, config, applied, others, schema);
  if (disputed.length > 0 && !force) throw conflictRefusal(disputed, live);
  const remaining = others.map((m) => ({ ...m, fields: minus(m.fields, pathsOf(disputed)) }));
  const previous = managers.find((m) => sameWriter(m, writer));
  const pruned = previous ? dropAbandoned(live, previous.fields, applied, remaining, schema) : live;
  const merged = mergeApplied(pruned, without(config, 'status'), schema) as ApiObject;
  const withStatus =
    config.status === undefined ? merged : (mergeApplied(merged, config, schema) as ApiObject);
  const metadata = { ...withStatus.metadata };
  const result: ApiObject = { ...withStatus, metadata };
  const time = previous && equal(withoutManaged(live), withoutManaged(result)) ? previous.time : writer.time;
  return withManaged(result, [...remaining, { ...writer, time, fields: applied }]);
}

function withoutManaged(object: ApiObject): JsonObject {
  return { ...object, metadata: without(object.metadata, 'managedFields') };
}

type Dispute = { readonly path: FieldPath; readonly owner: Managed };

function conflicts(
  live: ApiObject,
  config: ApiObject,
  applied: FieldSet,
  others: readonly Managed[],
  schema: Schema | undefined,
): Dispute[] {
  const found: Dispute[] = [];
  for (const [key, path] of applied) {
    if (path.at(-1)?.startsWith('k:')) continue;
    const owners = others.filter((m) => m.fields.has(key));
    if (owners.length > 0 && !equal(valueAt(live, path, schema), valueAt(config, path, schema)))
      found.push(...owners.map((owner) => ({ path, owner })));
  }
  return found;
}

function pathsOf(disputes: readonly Dispute[]): FieldSet {
  return new Map(disputes.map(({ path }) => [path.join('\u0000'), path]));
}

/** @source apimachinery util/managedfields/internal/conflict.go */
function conflictRefusal(disputes: readonly Dispute[], live: ApiObject): Refusal {
  const causes = disputes.map(({ path, owner }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${printedOwner(owner)}`,
    field: printed(path),
  }));
  const [only, ...more] = causes;
  const text =
    more.length === 0
      ? `1 conflict: ${only?.message}: ${only?.field}`
      : `${causes.length} conflicts: ${listed(disputes)}`;
  return new Refusal(409, 'Conflict', `Apply failed with ${text}`, {
    name: live.metadata.name ?? '',
    causes,
  });
}

/** The disputed fields below each owner. */
function listed(disputes: readonly Dispute[]): string {
  const fields = new Map<string, string[]>();
  for (const { path, owner } of disputes) {
    const name = printedOwner(owner);
    fields.set(name, [...(fields.get(name) ?? []), `- ${printed(path)}`]);
  }
  const sorted = [...fields].sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([name, lines]) => [`conflicts with ${name}:`, ...lines].join('\n')).join('\n');
}

function printedOwner({ manager, subresource, operation, apiVersion }: Managed): string {
  const name = JSON.stringify(manager);
  const part = subresource ? `${name} with subresource ${JSON.stringify(subresource)}` : name;
  return operation === 'Update' ? `${part} using ${apiVersion}` : part;
}

/** `.spec.containers[name="a"].image` */
function printed(path: FieldPath): string {
  return path
    .map((element) => {
      if (element.startsWith('f:')) return `.${element.slice(2)}`;
      if (element.startsWith('v:')) return `[=${element.slice(2)}]`;
      const keys = Object.entries(JSON.parse(element.slice(2)) as JsonObject);
      return `[${keys.map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(',')}]`;
    })
    .join('');
}

/** Removes what this manager no longer applies and nobody else holds. */
function dropAbandoned(
  live: ApiObject,
  before: FieldSet,
  applied: FieldSet,
  others: readonly Managed[],
  schema: Schema | undefined,
): ApiObject {
  const held = others.reduce<FieldSet>((all, m) => union(all, m.fields), new Map());
  let result: Json = live;
  for (const path of minus(before, applied).values()) {
    if (!ownsBelow(held, path) && !ownsBelow(applied, path)) result = withoutField(result, path, schema);
  }
  return result as ApiObject;
}

function mergeApplied(live: Json | undefined, config: Json, schema: Schema | undefined): Json {
  if (isObject(config) && schema?.['x-kubernetes-map-type'] !== 'atomic') {
    const result: JsonObject = isObject(live) ? { ...live } : {};
    for (const [key, value] of Object.entries(config)) {
      if (value === undefined || value === null) continue;
      result[key] = mergeApplied(result[key], value, fieldSchema(schema, key));
    }
    return result;
  }
  if (!Array.isArray(config) || !isAssociative(schema)) return config;
  const result = Array.isArray(live) ? [...live] : [];
  for (const item of config) {
    const element = entryElement(item, schema);
    const position = result.findIndex((known) => entryElement(known, schema) === element);
    if (position < 0) result.push(mergeApplied(undefined, item, schema?.items));
    else result[position] = mergeApplied(result[position], item, schema?.items);
  }
  return result;
}
