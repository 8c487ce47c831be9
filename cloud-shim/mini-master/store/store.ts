import type { ApiObject } from '../json.ts';

/** One change, as watchers see it. `previous` is what the object was before, absent for ADDED. */
export type Change = {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly revision: number;
  /** Key of the collection, `pods` or `devices.devices.kubeedge.io`. */
  readonly collection: string;
  readonly object: ApiObject;
  readonly previous?: ApiObject;
};

export type Listener = (change: Change) => void;

/** What a store is made from: the content of a snapshot. */
export type StoreContent = {
  readonly revision: number;
  readonly objects: Readonly<Record<string, readonly ApiObject[]>>;
};

type Collection = {
  readonly objects: Map<string, ApiObject>;
  /** The latest changes, oldest first. */
  history: Change[];
  /** Changes up to this revision are forgotten. */
  compacted: number;
};

/** Every object in memory, with one growing resourceVersion for all and a bounded history for watches. */
export class Store {
  private readonly collections = new Map<string, Collection>();
  private readonly listeners = new Set<{ collection: string | undefined; listener: Listener }>();
  private readonly historyLimit: number;
  private readonly oldest: number;
  private current: number;

  /** @param historyLimit changes kept per collection; at most twice as many are held for a while */
  constructor(content: StoreContent, historyLimit: number) {
    this.current = content.revision;
    this.oldest = content.revision;
    this.historyLimit = historyLimit;
    for (const [name, objects] of Object.entries(content.objects)) {
      const { objects: map } = this.collection(name);
      for (const object of objects) map.set(keyOf(object), object);
    }
  }

  get revision(): number {
    return this.current;
  }

  get(collection: string, namespace: string, name: string): ApiObject | undefined {
    return this.collections.get(collection)?.objects.get(`${namespace}/${name}`);
  }

  /** All objects of a collection, or those of one namespace, in order of namespace and name. */
  list(collection: string, namespace?: string): ApiObject[] {
    const objects = this.collections.get(collection)?.objects;
    if (!objects) return [];
    const prefix = namespace === undefined ? '' : `${namespace}/`;
    const keys = [...objects.keys()].filter((key) => key.startsWith(prefix)).sort();
    return keys.flatMap((key) => objects.get(key) ?? []);
  }

  /** The names of the collections that hold something. */
  names(): string[] {
    return [...this.collections].filter(([, c]) => c.objects.size > 0).map(([name]) => name);
  }

  /** Adds or replaces; the stored object, which is returned, carries its new resourceVersion. */
  put(name: string, object: ApiObject): ApiObject {
    const collection = this.collection(name);
    const key = keyOf(object);
    const previous = collection.objects.get(key);
    const stored = this.stamped(object);
    collection.objects.set(key, stored);
    const change: Change = { type: 'ADDED', revision: this.current, collection: name, object: stored };
    this.record(collection, previous ? { ...change, type: 'MODIFIED', previous } : change);
    return stored;
  }

  /** Takes an object out; `object` is its last state, which watchers see with the revision of the removal. */
  remove(name: string, object: ApiObject): ApiObject {
    const collection = this.collection(name);
    const key = keyOf(object);
    const previous = collection.objects.get(key);
    if (!previous) return object;
    collection.objects.delete(key);
    const last = this.stamped(object);
    const revision = this.current;
    this.record(collection, { type: 'DELETED', revision, collection: name, object: last, previous });
    return last;
  }

  /** Changes up to this revision are no longer known. */
  compacted(name: string): number {
    return this.collections.get(name)?.compacted ?? this.oldest;
  }

  /** The changes after `revision`, or undefined when some of them are forgotten. */
  since(name: string, revision: number): readonly Change[] | undefined {
    if (revision < this.compacted(name)) return undefined;
    const history = this.collections.get(name)?.history ?? [];
    const first = history.findIndex((change) => change.revision > revision);
    return first < 0 ? [] : history.slice(first);
  }

  /** What `list` gave at an earlier revision, or undefined when some of the changes since are forgotten. */
  listAt(name: string, namespace: string | undefined, revision: number): ApiObject[] | undefined {
    const changes = this.since(name, revision);
    if (!changes) return undefined;
    const then = new Map(this.list(name, namespace).map((object) => [keyOf(object), object]));
    for (const { object, previous } of [...changes].reverse()) {
      if (namespace !== undefined && object.metadata.namespace !== namespace) continue;
      if (previous) then.set(keyOf(object), previous);
      else then.delete(keyOf(object));
    }
    return [...then].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  /** Calls `listener` for every later change, of one collection or of all; returns what ends that. */
  watch(collection: string | undefined, listener: Listener): () => void {
    const entry = { collection, listener };
    this.listeners.add(entry);
    return () => {
      this.listeners.delete(entry);
    };
  }

  /** Forgets a collection's history, so that watches from an older revision are answered 410. */
  compact(name: string): void {
    const collection = this.collection(name);
    collection.history = [];
    collection.compacted = this.current;
  }

  content(): StoreContent {
    const objects = Object.fromEntries(this.names().map((name) => [name, this.list(name)]));
    return { revision: this.current, objects };
  }

  private collection(name: string): Collection {
    const known = this.collections.get(name);
    if (known) return known;
    const made = { objects: new Map<string, ApiObject>(), history: [], compacted: this.oldest };
    this.collections.set(name, made);
    return made;
  }

  private stamped(object: ApiObject): ApiObject {
    this.current++;
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(this.current) } };
  }

  private record(collection: Collection, change: Change): void {
    collection.history.push(change);
    // Cutting half at a time keeps a write cheap.
    if (collection.history.length > this.historyLimit * 2) {
      const dropped = collection.history.length - this.historyLimit;
      collection.compacted = collection.history[dropped - 1]?.revision ?? collection.compacted;
      collection.history = collection.history.slice(dropped);
    }
    for (const entry of [...this.listeners]) {
      if (entry.collection === undefined || entry.collection === change.collection) entry.listener(change);
    }
  }
}

/** `namespace/name`. */
export function keyOf(object: ApiObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`;
}
