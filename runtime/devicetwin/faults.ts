/** What of a property is wrong: how the objects of the cluster describe it, what a mapper read, what is wanted of it, where its values
 * go. */
export type FaultKind = 'object' | 'reading' | 'desired' | 'push';

/** What the log says of each. */
export const faultLine: Readonly<Record<FaultKind, string>> = {
  object: 'a property cannot be served',
  reading: 'a reading was refused',
  desired: 'a desired value did not reach the device',
  push: 'a value cannot be pushed',
};

/** Why properties of a device cannot be read or written, as an operator is told. */
export class PropertyFaults {
  /** By property; absent until there is one, for most devices never have any. */
  private readonly kinds: Record<FaultKind, Map<string, string> | undefined> = {
    object: undefined,
    reading: undefined,
    desired: undefined,
    push: undefined,
  };

  /** @param fault undefined: nothing is wrong. @returns whether it is news */
  set(kind: FaultKind, property: string, fault: string | undefined): boolean {
    if (fault === undefined) return this.clear(kind, property);
    this.kinds[kind] ??= new Map();
    if (this.kinds[kind].get(property) === fault) return false;
    this.kinds[kind].set(property, fault);
    return true;
  }

  /** @returns whether there was one */
  clear(kind: FaultKind, property: string): boolean {
    return this.kinds[kind]?.delete(property) ?? false;
  }

  /** Puts all faults of a kind in place of those before. @returns whether that is news */
  replace(kind: FaultKind, faults: ReadonlyMap<string, string>): boolean {
    const before = JSON.stringify([...(this.kinds[kind] ?? [])]);
    this.kinds[kind] = faults.size > 0 ? new Map(faults) : undefined;
    return JSON.stringify([...faults]) !== before;
  }

  /** What of one kind is wrong with a property. */
  of(kind: FaultKind, property: string): string | undefined {
    return this.kinds[kind]?.get(property);
  }

  /** All that is wrong with a property. */
  get(property: string): string | undefined {
    const found = Object.values(this.kinds).flatMap((faults) => faults?.get(property) ?? []);
    return found.length > 0 ? found.join('; ') : undefined;
  }

  /** By property; undefined when nothing is wrong. */
  all(): Record<string, string> | undefined {
    const names = new Set(Object.values(this.kinds).flatMap((faults) => [...(faults?.keys() ?? [])]));
    if (names.size === 0) return undefined;
    return Object.fromEntries([...names].map((name) => [name, this.get(name) ?? '']));
  }
}
