import type { KubeObject } from '../../core/k8s.ts';

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** One change of an object that is held here. */
export type Change = {
  readonly type: ChangeType;
  readonly collection: string;
  readonly object: KubeObject;
  /** As it was held before. */
  readonly previous: KubeObject | undefined;
  /** The highest resourceVersion known when it came, its own included. */
  readonly at: number;
  /** It came late, or was made here: who has seen `at` may not have seen it. */
  readonly late: boolean;
};

const MOST_CHANGES = 512;
/** Characters of JSON. */
const MOST_TEXT = 512 * 1024;

/** The newest changes, so that a watch that broke off goes on where it was.
 * The order is that of the cluster's resourceVersions as far as they are known here. */
export class Journal {
  private readonly changes: { readonly change: Change; readonly size: number }[] = [];
  private readonly listeners = new Map<string, Set<(change: Change) => void>>();
  private text = 0;
  private highest: number;
  private floor: number;

  /** @param revision the highest resourceVersion of what is held */
  constructor(revision: number) {
    this.highest = revision;
    this.floor = revision;
  }

  /** The resourceVersion of a list made now. */
  get revision(): number {
    return this.highest;
  }

  /** The oldest place from which a watch can go on. */
  get oldest(): number {
    return this.floor;
  }

  /** A list of the cloud's was of this version. */
  note(version: number): void {
    if (Number.isSafeInteger(version)) this.highest = Math.max(this.highest, version);
  }

  /** @param size of its JSON */
  add(change: Omit<Change, 'at' | 'late'>, version: number, size: number): void {
    const late = version <= this.highest;
    this.note(version);
    const whole = { ...change, at: this.highest, late };
    this.changes.push({ change: whole, size });
    this.text += size;
    while (this.changes.length > MOST_CHANGES || this.text > MOST_TEXT) {
      const gone = this.changes.shift();
      if (!gone) break;
      this.text -= gone.size;
      this.floor = gone.change.at;
    }
    for (const listener of this.listeners.get(change.collection) ?? []) listener(whole);
  }

  /** @returns what came after `version`, once more what may have been missed; undefined when that is forgotten */
  since(collection: string, version: number): Change[] | undefined {
    if (version < this.floor) return undefined;
    return this.changes
      .map(({ change }) => change)
      .filter(
        ({ collection: of, at, late }) => of === collection && (at > version || (late && at === version)),
      );
  }

  /** @returns how to stop listening */
  listen(collection: string, listener: (change: Change) => void): () => void {
    const listeners = this.listeners.get(collection) ?? new Set();
    this.listeners.set(collection, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.listeners.get(collection) === listeners)
        this.listeners.delete(collection);
    };
  }
}
