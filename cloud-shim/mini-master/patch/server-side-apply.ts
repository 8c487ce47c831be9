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
  const disputed = conflicts(live, mergeApplied(live, config, schema), applied, others, schema);
  if (disputed.length > 0 && !force) throw conflictRefusal(disputed, live);
  const remaining = others.map((m) => ({ ...m, fields: minus(m.fields, pathsOf(disputed)) }));
  const previous = managers.find((m) => sameWriter(m, writer));
  const pruned = previous ? dropAbandoned(live, previous.fields, applied, remaining, schema) : live;
  const result = mergeApplied(pruned, config, schema) as ApiObject;
  const time = previous && equal(withoutManaged(live), withoutManaged(result)) ? previous.time : writer.time;
  return withManaged(result, [...remaining, { ...writer, time, fields: applied }]);
}

function withoutManaged(object: ApiObject): JsonObject {
  return { ...object, metadata: without(object.metadata, 'managedFields') };
}

type Dispute = { readonly path: FieldPath; readonly owner: Managed };

function conflicts(
  live: ApiObject,
  merged: Json,
  applied: FieldSet,
  others: readonly Managed[],
  schema: Schema | undefined,
): Dispute[] {
  const found: Dispute[] = [];
  for (const [key, path] of applied) {
    if (path.at(-1)?.startsWith('k:')) continue;
    const owners = others.filter((m) => m.fields.has(key));
    if (owners.length > 0 && !equal(valueAt(live, path, schema), valueAt(merged, path, schema)))
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
    message: `conflict with ${named(owner)}`,
    field: printed(path),
  }));
  const [first] = causes;
  const text =
    causes.length === 1
      ? `1 conflict: ${first?.message}: ${first?.field}`
      : `${causes.length} conflicts: ${byOwner(disputes).join('\n')}`;
  const details = { name: live.metadata.name ?? '', causes };
  return new Refusal(409, 'Conflict', `Apply failed with ${text}`, details);
}

/** @source apimachinery util/managedfields/internal/conflict.go */
function byOwner(disputes: readonly Dispute[]): string[] {
  const owners = [...new Set(disputes.map(({ owner }) => named(owner)))].sort();
  return owners.flatMap((owner) => [
    `conflicts with ${owner}:`,
    ...disputes.filter((d) => named(d.owner) === owner).map((d) => `- ${printed(d.path)}`),
  ]);
}

function named({ manager, subresource, operation, apiVersion }: Managed): string {
  const below = subresource ? ` with subresource ${JSON.stringify(subresource)}` : '';
  return `${JSON.stringify(manager)}${below}${operation === 'Update' ? ` using ${apiVersion}` : ''}`;
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
