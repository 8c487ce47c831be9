const SHARE = '$share/';

/** A topic filter as it was subscribed to. */
export type Filter = {
  /** The filter proper, `$share/<group>/` removed. */
  readonly levels: readonly string[];
  /** Name of the share, for a shared subscription. */
  readonly share: string | undefined;
};

/** Reads a topic filter.
 * @returns undefined when it is none
 * @source [MQTT-4.7.1-1] [MQTT-4.7.1-2] wildcards stand alone in their level, `#` last; [MQTT-4.7.3-1] not empty;
 *   [MQTT-4.8.2-1] [MQTT-4.8.2-2] shared subscriptions */
export function parseFilter(filter: string, maxLevels: number): Filter | undefined {
  let share: string | undefined;
  let proper = filter;
  if (filter.startsWith(SHARE)) {
    const end = filter.indexOf('/', SHARE.length);
    share = filter.slice(SHARE.length, end);
    if (end < 0 || share === '' || /[+#]/.test(share)) return undefined;
    proper = filter.slice(end + 1);
  }
  if (proper === '' || proper.includes('\0')) return undefined;
  const levels = proper.split('/');
  if (levels.length > maxLevels) return undefined;
  for (const [i, level] of levels.entries()) {
    if (level === '+' || (level === '#' && i === levels.length - 1)) continue;
    if (/[+#]/.test(level)) return undefined;
  }
  return { levels, share };
}

/** True for a topic that can be published to. [MQTT-3.3.2-2] [MQTT-4.7.3-1] [MQTT-4.7.3-2] */
export function isTopic(topic: string, maxLevels: number): boolean {
  if (topic === '' || /[+#\0]/.test(topic)) return false;
  let levels = 1;
  for (let i = topic.indexOf('/'); i >= 0; i = topic.indexOf('/', i + 1)) levels++;
  return levels <= maxLevels;
}

/** The limit that a topic or filter is over.
 * @param limits levels and bytes that it may have */
export function overLimit(
  text: string,
  limits: { readonly topicLevels: number; readonly topicBytes: number },
): 'topicLevels' | 'topicBytes' | undefined {
  if (Buffer.byteLength(text) > limits.topicBytes) return 'topicBytes';
  let levels = 1;
  for (let i = text.indexOf('/'); i >= 0; i = text.indexOf('/', i + 1)) levels++;
  return levels > limits.topicLevels ? 'topicLevels' : undefined;
}

/** True when `levels`, a filter, matches `topic`. [MQTT-4.7.2-1] a leading wildcard does not match a topic with `$` */
export function matches(levels: readonly string[], topic: string): boolean {
  return matchesNames(levels, topic.split('/'));
}

/** The same for a topic that is cut into its levels, when many filters are tried on it. */
export function matchesNames(levels: readonly string[], names: readonly string[]): boolean {
  if ((levels[0] === '+' || levels[0] === '#') && names[0]?.startsWith('$')) return false;
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i];
    if (level === '#') return true;
    const name = names[i];
    if (name === undefined || (level !== '+' && level !== name)) return false;
  }
  return names.length === levels.length;
}

type TrieNode<T> = { readonly children: Map<string, TrieNode<T>>; readonly values: Set<T> };

/** Subscriptions by filter, level by level. */
export class TopicTrie<T> {
  private readonly root = newNode<T>();

  add(levels: readonly string[], value: T): void {
    let node = this.root;
    for (const level of levels) {
      let child = node.children.get(level);
      if (!child) {
        child = newNode();
        node.children.set(level, child);
      }
      node = child;
    }
    node.values.add(value);
  }

  remove(levels: readonly string[], value: T): void {
    removeFrom(this.root, levels, 0, value);
  }

  /** Whether there is a filter with this first level. */
  hasBelow(level: string): boolean {
    return this.root.children.has(level);
  }

  /** Calls `visit` for every value whose filter matches. */
  match(topic: string, visit: (value: T) => void): void {
    walk(this.root, topic.split('/'), 0, topic.startsWith('$'), visit);
  }
}

function newNode<T>(): TrieNode<T> {
  return { children: new Map(), values: new Set() };
}

/** @returns true when the node is empty afterwards, so that its parent forgets it */
function removeFrom<T>(node: TrieNode<T>, levels: readonly string[], at: number, value: T): boolean {
  const level = levels[at];
  if (level === undefined) node.values.delete(value);
  else {
    const child = node.children.get(level);
    if (child && removeFrom(child, levels, at + 1, value)) node.children.delete(level);
  }
  return node.values.size === 0 && node.children.size === 0;
}

function walk<T>(
  node: TrieNode<T>,
  names: string[],
  at: number,
  dollar: boolean,
  visit: (value: T) => void,
): void {
  const wild = at > 0 || !dollar;
  // `#` also matches the parent level: `sport/#` matches `sport` [MQTT-4.7.1.2].
  if (wild) node.children.get('#')?.values.forEach(visit);
  const name = names[at];
  if (name === undefined) {
    node.values.forEach(visit);
    return;
  }
  const exact = node.children.get(name);
  if (exact) walk(exact, names, at + 1, dollar, visit);
  const plus = wild ? node.children.get('+') : undefined;
  if (plus) walk(plus, names, at + 1, dollar, visit);
}
