import type { KubeObject } from '../../core/k8s.ts';
import { isRecord } from '../../core/message.ts';
import { collectionOfObject, keyOf } from './api-path.ts';
import { Journal } from './journal.ts';
import { mergePodStatus } from './pod-status.ts';
import type { Matcher } from './selectors.ts';

type Row = {
  readonly key: string;
  readonly collection: string;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: number;
  readonly value: string;
  readonly kept: boolean;
};

/** The part of the store that holds API objects. */
export interface ApiObjectStore {
  lazy(work: () => void): void;
  readonly objects: {
    put(row: Row): void;
    get(key: string): Row | undefined;
    list(collection: string, namespace?: string): Row[];
    remove(key: string): void;
    oldest(count: number): { readonly key: string; readonly bytes: number }[];
    figures(): { readonly version: number; readonly bytes: number };
    collections(): string[];
  };
}

export type ObjectCacheDeps = { readonly store: ApiObjectStore; readonly node: string };

/** Characters of what does not belong to this node; beyond that the longest unwritten goes. */
const MOST_CACHED = 16 * 1024 * 1024;
/** A larger answer of the cloud is passed on and not kept. */
export const LARGEST_KEPT = 4 * 1024 * 1024;
const MOST_TOMBSTONES = 512;
/** Rows that may go at a time; the next write goes on. */
const AT_ONCE = 256;
/** Documents have no version. */
const NONE = { collection: '', namespace: '', name: '', resourceVersion: 0, kept: false };

/** The API objects that this node holds, and their changes. What belongs to the node stays until the cloud takes it;
 * the rest is a bounded copy of what clients asked for. It can be had again, so it is written with the next batch. */
export class ObjectCache {
  readonly journal: Journal;
  private readonly store: ApiObjectStore;
  private readonly node: string;
  private bytes: number;
  /** resourceVersions of deletions: an answer that was under way must not bring the object back. */
  private readonly tombstones = new Map<string, number>();

  constructor({ store, node }: ObjectCacheDeps) {
    this.store = store;
    this.node = node;
    const { version, bytes } = store.objects.figures();
    this.journal = new Journal(version);
    this.bytes = bytes;
  }

  get(key: string): KubeObject | undefined {
    const row = this.store.objects.get(key);
    return row && objectOf(row);
  }

  /** @param namespace undefined for all */
  list(collection: string, namespace: string | undefined): KubeObject[] {
    return this.store.objects.list(collection, namespace).map(objectOf);
  }

  collections(): string[] {
    return this.store.objects.collections();
  }

  /** Takes an object of the cloud's, unless what is held is as new.
   * @param kept it belongs to this node
   * @returns whether it is an object */
  take(object: unknown, kept: boolean, collection?: string): boolean {
    if (!isApiObject(object)) return false;
    const into = collection ?? collectionOfObject(object);
    if (!into) return false;
    const { name, namespace, uid } = object.metadata;
    const key = keyOf(into, namespace, name);
    const version = versionOf(object);
    if ((this.tombstones.get(tombstone(key, uid)) ?? -1) >= version) return true;
    const row = this.store.objects.get(key);
    const before = row && objectOf(row);
    const same = before?.metadata.uid === uid;
    if (row && same && version <= row.resourceVersion) {
      if (kept && !row.kept) this.write({ ...row, kept }, row);
      return true;
    }
    // Another life of the name: an answer that was under way may tell of an earlier one.
    if (row && !same && !kept && version < row.resourceVersion) return true;
    if (before && !same) this.tell('DELETED', into, before, before, version, row?.value.length ?? 0);
    const mine = kept || (row?.kept ?? false);
    this.set(into, this.withStatus(object, same ? before : undefined), row, mine, same ? before : undefined);
    return true;
  }

  /** Takes a whole list of the cloud's: what it lacks is gone.
   * @param matches what it was to hold */
  takeList(
    collection: string,
    namespace: string | undefined,
    matches: Matcher,
    list: { readonly items: readonly KubeObject[]; readonly version: number; readonly complete: boolean },
  ): void {
    const present = new Set<string>();
    for (const object of list.items) {
      present.add(keyOf(collection, object.metadata.namespace, object.metadata.name));
      this.take(object, false, collection);
    }
    if (list.complete) {
      for (const row of this.store.objects.list(collection, namespace)) {
        // What came while the list was under way is newer than it.
        if (present.has(row.key) || row.resourceVersion > list.version) continue;
        if (matches(objectOf(row))) this.drop(row.key, undefined, list.version);
      }
    }
    this.journal.note(list.version);
  }

  /** An object is gone.
   * @param last how it was when it went, if that is known */
  remove(collection: string, namespace: string | undefined, name: string, last: unknown): void {
    this.drop(keyOf(collection, namespace, name), isApiObject(last) ? last : undefined, 0, collection);
  }

  /** What this node says of one of its pods; its version in the cluster stays. */
  podStatus(namespace: string, name: string, uid: string, status: Readonly<Record<string, unknown>>): void {
    const collection = '/core/v1/pods';
    const row = this.store.objects.get(keyOf(collection, namespace, name));
    if (!row) return;
    const before = objectOf(row);
    if (before.metadata.uid !== uid) return;
    const object = {
      ...before,
      status: mergePodStatus((before as { status?: unknown }).status, status),
    } as KubeObject;
    if (JSON.stringify(object) !== row.value) this.set(collection, object, row, row.kept, before);
  }

  /** A document of the API server's own, such as its discovery. */
  document(key: string): string | undefined {
    return this.store.objects.get(key)?.value;
  }

  keepDocument(key: string, value: string): void {
    const row = this.store.objects.get(key);
    if (value.length <= LARGEST_KEPT && row?.value !== value) this.write({ ...NONE, key, value }, row);
  }

  private set(
    collection: string,
    object: KubeObject,
    row: Row | undefined,
    kept: boolean,
    previous: KubeObject | undefined,
  ): void {
    const { name, namespace = '' } = object.metadata;
    const value = JSON.stringify(object);
    const resourceVersion = versionOf(object);
    const key = keyOf(collection, namespace, name);
    this.write({ key, collection, namespace, name, resourceVersion, value, kept }, row);
    this.tell(previous ? 'MODIFIED' : 'ADDED', collection, object, previous, resourceVersion, value.length);
  }

  /** A pod of this node is in the state that this node says. */
  private withStatus(object: KubeObject, before: KubeObject | undefined): KubeObject {
    if (object.kind !== 'Pod' || !before) return object;
    const [next, held] = [object, before] as { spec?: { nodeName?: string }; status?: unknown }[];
    if (next?.spec?.nodeName !== this.node || held?.spec?.nodeName !== this.node) return object;
    return { ...object, status: mergePodStatus(next.status, held.status) } as KubeObject;
  }

  private drop(key: string, last: KubeObject | undefined, at: number, collection = ''): void {
    const row = this.store.objects.get(key);
    const held = row && objectOf(row);
    // The deletion of an earlier object of the name leaves the new one alone.
    if (held && last?.metadata.uid && last.metadata.uid !== held.metadata.uid) return;
    if (row) {
      this.store.lazy(() => this.store.objects.remove(key));
      if (!row.kept) this.bytes -= row.value.length;
    }
    const object = last && isComplete(last) ? last : held;
    if (!object) return;
    const version = Math.max(at, versionOf(object));
    const grave = tombstone(key, object.metadata.uid);
    // Not held, and told of before.
    if (!held && (this.tombstones.get(grave) ?? -1) >= version) return;
    this.bury(grave, version);
    // A watch goes on from the version of the last event.
    const gone = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    this.tell('DELETED', row?.collection ?? collection, gone, held, version, row?.value.length ?? 0);
  }

  private bury(key: string, version: number): void {
    this.tombstones.delete(key);
    this.tombstones.set(key, version);
    if (this.tombstones.size <= MOST_TOMBSTONES) return;
    for (const oldest of this.tombstones.keys()) {
      this.tombstones.delete(oldest);
      break;
    }
  }

  private write(row: Row, before: Row | undefined): void {
    this.store.lazy(() => this.store.objects.put(row));
    if (before && !before.kept) this.bytes -= before.value.length;
    if (!row.kept) this.bytes += row.value.length;
    if (this.bytes > MOST_CACHED) this.makeRoom();
  }

  private makeRoom(): void {
    const oldest = this.store.objects.oldest(AT_ONCE);
    this.store.lazy(() => {
      for (const { key, bytes } of oldest) {
        if (this.bytes <= 0.9 * MOST_CACHED) return;
        this.store.objects.remove(key);
        this.bytes -= bytes;
      }
    });
  }

  private tell(
    type: 'ADDED' | 'MODIFIED' | 'DELETED',
    collection: string,
    object: KubeObject,
    previous: KubeObject | undefined,
    version: number,
    size: number,
  ): void {
    this.journal.add({ type, collection, object, previous }, version, size);
  }
}

export function isApiObject(value: unknown): value is KubeObject {
  return isRecord(value) && isRecord(value.metadata) && typeof value.metadata.name === 'string';
}

/** A deletion may come with the name and the UID alone. */
function isComplete(object: KubeObject): boolean {
  return Boolean(object.apiVersion && object.kind && object.metadata.resourceVersion);
}

function objectOf(row: Row): KubeObject {
  return JSON.parse(row.value) as KubeObject;
}

function versionOf({ metadata }: KubeObject): number {
  const version = Number(metadata.resourceVersion);
  return Number.isSafeInteger(version) ? version : 0;
}

function tombstone(key: string, uid: string | undefined): string {
  return `${key} ${uid ?? ''}`;
}
