import { isObject, type Json, type JsonObject } from '../json.ts';
import { metaSchema } from './meta-schema.ts';
import { fieldSchema, keepsUnknown, type Schema } from './schema.ts';

/** A pruned value and the paths of the fields that were dropped from it. */
export type Pruned<T> = { readonly value: T; readonly unknown: readonly string[] };

/** Drops the fields that a structural schema does not name, as an API server does before it stores an object.
 * Values of a wrong type are left for validation to refuse.
 * @source apiextensions-apiserver pkg/apiserver/schema/pruning */
export function prune<T extends JsonObject>(object: T, schema: Schema): Pruned<T> {
  const unknown: string[] = [];
  const root: Schema = { ...schema, 'x-kubernetes-embedded-resource': true };
  return { value: pruneValue(object, root, '', unknown) as T, unknown };
}

function pruneValue(value: Json, schema: Schema, path: string, unknown: string[]): Json {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items ? value.map((item, i) => pruneValue(item, items, `${path}[${i}]`, unknown)) : value;
  }
  if (!isObject(value)) return value;
  const kept: JsonObject = {};
  for (const [key, field] of Object.entries(value)) {
    if (field === undefined) continue;
    const fieldPath = path ? `${path}.${key}` : key;
    const described = knownField(schema, key);
    if (described) kept[key] = pruneValue(field, described, fieldPath, unknown);
    else if (keepsUnknown(schema)) kept[key] = field;
    else unknown.push(fieldPath);
  }
  return kept;
}

/** The fields of every object are known wherever an object may stand. */
function knownField(schema: Schema, key: string): Schema | undefined {
  if (schema['x-kubernetes-embedded-resource']) {
    if (key === 'metadata') return metaSchema;
    if (key === 'apiVersion' || key === 'kind') return { type: 'string' };
  }
  return fieldSchema(schema, key);
}

/** Fills in the defaults of a structural schema. An explicit null of a field that is not nullable is defaulted too, or
 * dropped where there is no default.
 * @source apiextensions-apiserver pkg/apiserver/schema/defaulting */
export function applyDefaults<T extends Json>(value: T, schema: Schema): T {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items ? (value.map((item) => applyDefaults(item, items)) as T) : value;
  }
  if (!isObject(value)) return value;
  const filled: JsonObject = { ...value };
  for (const [key, field] of Object.entries(schema.properties ?? {})) {
    const missing = filled[key] === undefined || (filled[key] === null && !field.nullable);
    if (missing && field.default !== undefined) filled[key] = structuredClone(field.default);
  }
  for (const [key, field] of Object.entries(filled)) {
    const described = fieldSchema(schema, key);
    if (!described || field === undefined) continue;
    if (field !== null) filled[key] = applyDefaults(field, described);
    else if (!described.nullable) delete filled[key];
  }
  return filled as T;
}
