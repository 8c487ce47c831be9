/** A level name that stands in no filter: MQTT forbids NUL. */
const UNUSED_NAME = '\0';

/** The filter of the topics that two filters both match; undefined when there are none.
 * @source MQTT 5 §4.7; [MQTT-4.7.2-1] a leading wildcard does not match a topic with `$` */
export function overlapOf(a: readonly string[], b: readonly string[]): string[] | undefined {
  if ((isWild(a[0]) && b[0]?.startsWith('$')) || (isWild(b[0]) && a[0]?.startsWith('$'))) return undefined;
  const both: string[] = [];
  for (let i = 0; ; i++) {
    const [x, y] = [a[i], b[i]];
    // `#` also matches the parent level: the rest of the other one may be nothing.
    if (x === '#') return [...both, ...b.slice(i)];
    if (y === '#') return [...both, ...a.slice(i)];
    if (x === undefined || y === undefined) return x === y ? both : undefined;
    if (x !== y && x !== '+' && y !== '+') return undefined;
    both.push(x === '+' ? y : x);
  }
}

/** Topics that a filter matches and that other filters match least: its wildcards stand for a name that no filter
 * mentions, so that whichever filter matches one of them matches every topic of that many levels that `filter` does.
 * @param levels how far `#` is followed; one more than the longest of the other filters has shows all there is */
export function leastMatchedTopics(filter: readonly string[], levels: number): string[] {
  const names = filter.map((level) => (isWild(level) ? UNUSED_NAME : level));
  if (filter.at(-1) !== '#') return [names.join('/')];
  const topics: string[] = [];
  const stem = names.slice(0, -1);
  if (stem.length > 0) topics.push(stem.join('/'));
  do {
    stem.push(UNUSED_NAME);
    topics.push(stem.join('/'));
  } while (stem.length < levels);
  return topics;
}

function isWild(level: string | undefined): boolean {
  return level === '+' || level === '#';
}
