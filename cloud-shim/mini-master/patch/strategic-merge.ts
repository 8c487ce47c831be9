import { equal, isObject, type Json, type JsonObject } from '../json.ts';
import { fieldSchema, type Schema } from '../schema/schema.ts';
import { badRequest } from '../status.ts';

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
  const result: JsonObject = { ...document };
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$') || value === undefined) continue;
    if (value === null) delete result[key];
    else result[key] = mergeField(result[key], value, fieldSchema(schema, key), patch[ORDER + key]);
    if (isObject(value) && value[DIRECTIVE] === 'delete') delete result[key];
  }
  applyListDirectives(result, patch, schema);
  return retained(result, patch);
}

function mergeField(
  target: Json | undefined,
  patch: Json,
  schema: Schema | undefined,
  order: Json | undefined,
): Json {
  const mapped = schema?.['x-kubernetes-map-type'] === 'atomic';
  if (isObject(patch)) {
    const base = isObject(target) && !mapped && !replacesKeys(schema, patch) ? target : {};
    return applyStrategicMerge(base, patch, schema);
  }
  if (Array.isArray(patch)) return mergeList(Array.isArray(target) ? target : [], patch, schema, order);
  return patch;
}

function replacesKeys(schema: Schema | undefined, patch: JsonObject): boolean {
  return schema?.['x-kubernetes-patch-strategy'] === 'replace' && patch[RETAIN] === undefined;
}

function mergeList(
  target: Json[],
  patch: Json[],
  schema: Schema | undefined,
  order: Json | undefined,
): Json[] {
  const strategy = schema?.['x-kubernetes-patch-strategy']?.split(',') ?? [];
  if (!strategy.includes('merge')) return patch.map(plain);
  const key = schema?.['x-kubernetes-patch-merge-key'];
  if (key === undefined) return ordered(mergeScalars(target, patch), order, undefined);
  return ordered(mergeKeyed(target, patch, key, schema?.items), order, key);
}

function mergeScalars(target: Json[], patch: Json[]): Json[] {
  return [...target, ...patch.filter((item) => !target.some((known) => equal(known, item)))];
}

/** Merges a list of objects by their key. An entry `{$patch: replace}` makes the rest of the patch the whole list. */
function mergeKeyed(target: Json[], patch: Json[], key: string, items: Schema | undefined): Json[] {
  const isDirective = (item: Json): boolean =>
    isObject(item) && item[DIRECTIVE] === 'replace' && item[key] === undefined;
  if (patch.some(isDirective)) return patch.filter((item) => !isDirective(item)).map(plain);
  const result = [...target];
  for (const item of patch) {
    if (!isObject(item) || item[key] === undefined) {
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    }
    const position = result.findIndex((known) => isObject(known) && equal(known[key], item[key]));
    const known = result[position];
    if (item[DIRECTIVE] === 'delete') {
      if (position >= 0) result.splice(position, 1);
    } else if (position < 0) {
      result.push(applyStrategicMerge({}, item, items));
    } else {
      result[position] = applyStrategicMerge(isObject(known) ? known : {}, item, items);
    }
  }
  return result;
}

/** Directives for lists that stand beside them: deletions, and an order where the list itself is not patched. */
function applyListDirectives(result: JsonObject, patch: JsonObject, schema: Schema | undefined): void {
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(REMOVE) && Array.isArray(value)) {
      const name = key.slice(REMOVE.length);
      const list = result[name];
      if (Array.isArray(list)) result[name] = list.filter((item) => !value.some((gone) => equal(gone, item)));
    }
    if (key.startsWith(ORDER)) {
      const name = key.slice(ORDER.length);
      const list = result[name];
      const mergeKey = fieldSchema(schema, name)?.['x-kubernetes-patch-merge-key'];
      if (Array.isArray(list) && patch[name] === undefined) result[name] = ordered(list, value, mergeKey);
    }
  }
}

/** Sorts the entries that `order` names into its order; others keep their place relative to the entry before them. */
function ordered(list: Json[], order: Json | undefined, key: string | undefined): Json[] {
  if (!Array.isArray(order)) return list;
  const identity = (item: Json | undefined): Json | undefined =>
    key !== undefined && isObject(item) ? item[key] : item;
  const rank = (item: Json): number => order.findIndex((entry) => equal(identity(entry), identity(item)));
  let last = -1;
  const ranked = list.map((item, position) => {
    const own = rank(item);
    if (own >= 0) last = own;
    return { item, position, named: own >= 0, rank: own >= 0 ? own : last };
  });
  ranked.sort((a, b) => a.rank - b.rank || Number(b.named) - Number(a.named) || a.position - b.position);
  return ranked.map((entry) => entry.item);
}

/** `$retainKeys` lists the only fields that may stay. */
function retained(result: JsonObject, patch: JsonObject): JsonObject {
  const keep = patch[RETAIN];
  if (!Array.isArray(keep)) return result;
  return Object.fromEntries(Object.entries(result).filter(([key]) => keep.includes(key)));
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
