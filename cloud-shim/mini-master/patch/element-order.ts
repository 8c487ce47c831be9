import { equal, isObject, type Json } from '../json.ts';

/** Orders a merged list: the entries that `order` names follow it; each of the others stands before the first of
 * them that was behind it in the live list.
 * @param live the list before the patch
 * @param key merge key of a list of objects
 * @source apimachinery util/strategicpatch normalizeElementOrder */
export function mergeOrder(
  merged: readonly Json[],
  order: readonly Json[],
  live: readonly Json[],
  key: string | undefined,
): Json[] {
  const place = (list: readonly Json[], item: Json): number =>
    list.findIndex((entry) => equal(identity(entry, key), identity(item, key)));
  const named = merged
    .filter((item) => place(order, item) >= 0)
    .sort((a, b) => place(order, a) - place(order, b));
  const others = merged.filter((item) => place(order, item) < 0);
  const result: Json[] = [];
  for (const item of named) {
    const end = place(live, item);
    for (let first = others[0]; first !== undefined && isBefore(place(live, first), end); first = others[0])
      result.push(...others.splice(0, 1));
    result.push(item);
  }
  return [...result, ...others];
}

function isBefore(place: number, end: number): boolean {
  return place >= 0 && place < end;
}

function identity(item: Json, key: string | undefined): Json | undefined {
  return key !== undefined && isObject(item) ? item[key] : item;
}
