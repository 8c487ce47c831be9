/** Counts the objects that can be reached from one: what a structure holds on to. Buffers, functions and what only the
 * process has count for nothing. */
export function census(root: object): Map<string, number> {
  const seen = new Set<object>();
  const counts = new Map<string, number>();
  const open: { value: unknown; path: string }[] = [{ value: root, path: '' }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { value, path } = next;
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || seen.has(value)) continue;
    seen.add(value);
    counts.set(path, (counts.get(path) ?? 0) + 1);
    for (const [name, part] of partsOf(value))
      open.push({ value: part, path: name ? `${path}.${name}` : path });
  }
  return counts;
}

/** What a structure holds more of than before, by path. */
export function growth(before: Map<string, number>, after: Map<string, number>): [string, number][] {
  const grown = [...after].map(([path, count]): [string, number] => [path, count - (before.get(path) ?? 0)]);
  return grown.filter(([, more]) => more > 0);
}

function* partsOf(value: object): Generator<[string, unknown]> {
  if (value instanceof Map) {
    for (const [key, part] of value) {
      yield ['key', key];
      yield ['value', part];
    }
  } else if (value instanceof Set || Array.isArray(value)) {
    for (const part of value) yield ['item', part];
  } else {
    yield* Object.entries(value);
  }
}
