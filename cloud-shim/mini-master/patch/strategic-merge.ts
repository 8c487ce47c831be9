import { equal, isObject, type Json, type JsonObject } from '../json.ts';
import { fieldSchema, type Schema } from '../schema/schema.ts';
import { badRequest } from '../status.ts';
import { mergeOrder } from './element-order.ts';

const DIRECTIVE = '$patch';
const RETAIN = '$retainKeys';
const ORDER = '$setElementOrder/';
const REMOVE = '$deleteFromPrimitiveList/';

/** Applies a strategic merge patch; the input stays untouched. The schema says which lists merge, by which key;
 * lists and fields that it does not know are replaced and merged as by a JSON merge patch.
 * Throws a 400 refusal when the patch is malformed.
 * @source apimachinery util/strategicpatch */
export function applyStrategicMerge(
  document: JsonObject,
  patch: JsonObject,
  schema: Schema | undefined,
): JsonObject {
  const directive = patch[DIRECTIVE];
  if (directive === 'replace') return plain(patch) as JsonObject;
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge')
    throw badRequest(`unknown patch directive ${JSON.stringify(directive)}`);
  const result = retained(document, patch);
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$') || value === undefined) continue;
    if (value === null) delete result[key];
    else result[key] = mergeField(result[key], value, fieldSchema(schema, key));
  }
  applyListDirectives(document, result, patch, schema);
  return result;
}

function mergeField(target: Json | undefined, patch: Json, schema: Schema | undefined): Json {
  if (isObject(patch)) {
    const base = isObject(target) && !strategies(schema).includes('replace') ? target : {};
    return applyStrategicMerge(base, patch, schema);
  }
  if (Array.isArray(patch)) return mergeList(Array.isArray(target) ? target : [], patch, schema);
  return patch;
}

function strategies(schema: Schema | undefined): string[] {
  return schema?.['x-kubernetes-patch-strategy']?.split(',') ?? [];
}

function mergeList(target: Json[], patch: Json[], schema: Schema | undefined): Json[] {
  if (!strategies(schema).includes('merge')) return patch.map(plain);
  const key = schema?.['x-kubernetes-patch-merge-key'];
  if (key === undefined) return mergeOrder(mergeScalars(target, patch), patch, target, undefined);
  return mergeKeyed(target, patch, key, schema?.items);
}

function mergeScalars(target: Json[], patch: Json[]): Json[] {
  return [...target, ...patch].filter((item, i, all) => all.findIndex((each) => equal(each, item)) === i);
}

/** Merges a list of objects by their key. An entry with `$patch: replace` makes the others the whole list. */
function mergeKeyed(target: Json[], patch: Json[], key: string, items: Schema | undefined): Json[] {
  const directive = (item: Json): Json | undefined => (isObject(item) ? item[DIRECTIVE] : undefined);
  const content = patch.filter((item) => directive(item) === undefined);
  if (patch.some((item) => directive(item) === 'replace')) return content.map(plain);
  const deletions = patch.filter((item) => directive(item) !== undefined);
  for (const item of deletions) {
    if (directive(item) !== 'delete')
      throw badRequest(`unknown patch directive ${JSON.stringify(directive(item))} in a list`);
  }
  for (const item of patch) {
    if (!isObject(item) || item[key] === undefined)
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
  }
  const same = (a: Json, b: Json): boolean => isObject(a) && isObject(b) && equal(a[key], b[key]);
  const kept = target.filter((item) => !deletions.some((gone) => same(item, gone)));
  const result = [...kept];
  for (const item of content.filter(isObject)) {
    const position = result.findIndex((known) => same(known, item));
    const known = result[position];
    if (position < 0) result.push(applyStrategicMerge({}, item, items));
    else result[position] = applyStrategicMerge(isObject(known) ? known : {}, item, items);
  }
  return mergeOrder(result, content, kept, key);
}

/** Directives for lists that stand beside them: deletions of scalars, and the order of the whole list. */
function applyListDirectives(
  document: JsonObject,
  result: JsonObject,
  patch: JsonObject,
  schema: Schema | undefined,
): void {
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(REMOVE) && Array.isArray(value)) {
      const name = key.slice(REMOVE.length);
      const list = result[name];
      if (Array.isArray(list)) result[name] = list.filter((item) => !value.some((gone) => equal(gone, item)));
    }
    if (!key.startsWith(ORDER) || !Array.isArray(value)) continue;
    const name = key.slice(ORDER.length);
    const mergeKey = fieldSchema(schema, name)?.['x-kubernetes-patch-merge-key'];
    checkOrder(patch[name], value, mergeKey);
    const [list, before] = [result[name], document[name]];
    if (Array.isArray(list))
      result[name] = mergeOrder(list, value, Array.isArray(before) ? before : [], mergeKey);
  }
}

/** The list of a patch must have the order that stands beside it. */
function checkOrder(list: Json | undefined, order: Json[], key: string | undefined): void {
  const identity = (item: Json | undefined): Json | undefined =>
    key !== undefined && isObject(item) ? item[key] : item;
  let position = 0;
  for (const item of Array.isArray(list) ? list : []) {
    if (isObject(item) && item[DIRECTIVE] !== undefined) continue;
    while (position < order.length && !equal(identity(order[position]), identity(item))) position++;
    if (position++ === order.length)
      throw badRequest(`the order of the list ${JSON.stringify(list)} doesn't match $setElementOrder`);
  }
}

/** `$retainKeys` lists the only fields that may stay, and all that the patch sets. */
function retained(document: JsonObject, patch: JsonObject): JsonObject {
  const keep = patch[RETAIN];
  if (!Array.isArray(keep)) return { ...document };
  for (const [key, value] of Object.entries(patch)) {
    if (!key.startsWith('$') && value !== null && !keep.includes(key))
      throw badRequest('invalid patch format of retainKeys');
  }
  return Object.fromEntries(Object.entries(document).filter(([key]) => keep.includes(key)));
}

/** A patch value as it is stored: without directives, and without fields that are null. */
function plain(value: Json): Json {
  if (Array.isArray(value)) return value.map(plain);
  if (!isObject(value)) return value;
  const kept: JsonObject = {};
  for (const [key, field] of Object.entries(value)) {
    if (key.startsWith('$') || field === null || field === undefined) continue;
    kept[key] = plain(field);
  }
  return kept;
}
