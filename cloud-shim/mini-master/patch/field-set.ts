import { equal, isObject, type Json, type JsonObject } from '../json.ts';
import { fieldSchema, type Schema } from '../schema/schema.ts';

/** A path to a field: `f:<name>`, `k:<json of the keys of a list entry>`, `v:<json of a set member>`. */
export type FieldPath = readonly string[];

/** A set of fields, by the text of their path. */
export type FieldSet = ReadonlyMap<string, FieldPath>;

/** Fields that the server owns, whatever a manager sends. */
const SERVER_META = new Set([
  'name',
  'namespace',
  'generateName',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
  'managedFields',
]);

const keyText = (path: FieldPath): string => path.join('\u0000');

/** The fields that an object sets, as leaves of its schema: atomic lists and maps are one leaf. */
export function fieldsOf(object: JsonObject, schema: Schema | undefined): FieldSet {
  const paths = new Map<string, FieldPath>();
  for (const [key, value] of Object.entries(object)) {
    if (key === 'apiVersion' || key === 'kind' || value === undefined) continue;
    if (key !== 'metadata') {
      collect(value, fieldSchema(schema, key), [`f:${key}`], paths);
      continue;
    }
    for (const [name, field] of Object.entries(isObject(value) ? value : {})) {
      if (SERVER_META.has(name) || field === undefined) continue;
      const known = fieldSchema(fieldSchema(schema, 'metadata'), name);
      collect(field, known, ['f:metadata', `f:${name}`], paths);
    }
  }
  return paths;
}

function collect(
  value: Json,
  schema: Schema | undefined,
  path: FieldPath,
  into: Map<string, FieldPath>,
): void {
  if (isObject(value) && schema?.['x-kubernetes-map-type'] !== 'atomic' && Object.keys(value).length > 0) {
    for (const [key, field] of Object.entries(value)) {
      if (field !== undefined) collect(field, fieldSchema(schema, key), [...path, `f:${key}`], into);
    }
    return;
  }
  if (Array.isArray(value) && isAssociative(schema)) {
    for (const item of value) collectEntry(item, schema, path, into);
    return;
  }
  into.set(keyText(path), path);
}

function collectEntry(
  item: Json,
  schema: Schema | undefined,
  path: FieldPath,
  into: Map<string, FieldPath>,
): void {
  const entry = [...path, entryElement(item, schema)];
  into.set(keyText(entry), entry);
  if (isObject(item)) collect(item, schema?.items, entry, into);
}

/** Whether entries of a list are known by their keys or value. */
export function isAssociative(schema: Schema | undefined): boolean {
  const type = schema?.['x-kubernetes-list-type'];
  return type === 'map' || type === 'set';
}

/** The path element of a list entry. */
export function entryElement(item: Json, schema: Schema | undefined): string {
  if (schema?.['x-kubernetes-list-type'] !== 'map' || !isObject(item)) return `v:${JSON.stringify(item)}`;
  const keys: JsonObject = {};
  for (const key of [...(schema['x-kubernetes-list-map-keys'] ?? [])].sort()) {
    const value = item[key] ?? schema.items?.properties?.[key]?.default;
    if (value !== undefined) keys[key] = value;
  }
  return `k:${JSON.stringify(keys)}`;
}

/** The value at a path, undefined where it does not lead. */
export function valueAt(
  object: Json | undefined,
  path: FieldPath,
  schema: Schema | undefined,
): Json | undefined {
  let here = object;
  let known = schema;
  for (const element of path) {
    if (element.startsWith('f:')) {
      const key = element.slice(2);
      here = isObject(here) && Object.hasOwn(here, key) ? here[key] : undefined;
      known = fieldSchema(known, key);
    } else {
      here = Array.isArray(here) ? here.find((item) => entryElement(item, known) === element) : undefined;
      known = known?.items;
    }
    if (here === undefined) return undefined;
  }
  return here;
}

/** The fields of `next` that are new or differ from `old`. Entries of lists count when they are new. */
export function changedFields(old: JsonObject, next: JsonObject, schema: Schema | undefined): FieldSet {
  const changed = new Map<string, FieldPath>();
  for (const [key, path] of fieldsOf(next, schema)) {
    const before = valueAt(old, path, schema);
    const entry = path.at(-1)?.startsWith('k:') === true;
    if (entry ? before === undefined : !equal(before, valueAt(next, path, schema))) changed.set(key, path);
  }
  return changed;
}

export function minus(a: FieldSet, b: FieldSet): FieldSet {
  return new Map([...a].filter(([key]) => !b.has(key)));
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  return new Map([...a, ...b]);
}

/** Whether `set` holds the path itself or something below it. */
export function ownsBelow(set: FieldSet, path: FieldPath): boolean {
  const own = keyText(path);
  for (const key of set.keys()) if (key === own || key.startsWith(`${own}\u0000`)) return true;
  return false;
}

/** The set as managedFields write it. @source structured-merge-diff fieldpath/serialize.go */
export function toFieldsV1(set: FieldSet): JsonObject {
  const root: JsonObject = {};
  const ends: { readonly node: JsonObject; readonly entry: boolean }[] = [];
  for (const path of set.values()) {
    let node = root;
    for (const element of path) {
      const next = node[element];
      const child: JsonObject = isObject(next) ? next : {};
      node[element] = child;
      node = child;
    }
    ends.push({ node, entry: path.at(-1)?.startsWith('k:') === true });
  }
  // What is a member and has members below it, says so with a dot.
  for (const { node, entry } of ends) if (entry || Object.keys(node).length > 0) node['.'] = {};
  return root;
}

/** Reads what `toFieldsV1`, or another API server, wrote. */
export function fromFieldsV1(fields: Json | undefined): FieldSet {
  const paths = new Map<string, FieldPath>();
  const visit = (node: Json | undefined, path: FieldPath): void => {
    const children = isObject(node) ? Object.entries(node) : [];
    if ((children.length === 0 || children.some(([key]) => key === '.')) && path.length > 0) {
      paths.set(keyText(path), path);
    }
    for (const [key, child] of children) if (key !== '.') visit(child, [...path, key]);
  };
  visit(fields, []);
  return paths;
}

/** A copy of the object without the field at `path`; an entry of a list goes as a whole. */
export function withoutField(object: Json, path: FieldPath, schema: Schema | undefined): Json {
  const [element = '', ...rest] = path;
  if (element.startsWith('f:')) {
    const key = element.slice(2);
    if (!isObject(object) || object[key] === undefined) return object;
    const copy: JsonObject = { ...object };
    if (rest.length === 0) delete copy[key];
    else copy[key] = withoutField(object[key], rest, fieldSchema(schema, key));
    return copy;
  }
  if (!Array.isArray(object)) return object;
  return object.flatMap((item) => {
    if (entryElement(item, schema) !== element) return [item];
    return rest.length === 0 ? [] : [withoutField(item, rest, schema?.items)];
  });
}
