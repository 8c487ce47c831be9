import { isRecord } from '../../runtime/core/message.ts';

/** Reads the free settings of an object (`configData`) and notes every fault with its path. A setting that is wrong gives
 * what it would be if it were absent, so that one pass finds all faults: use the result only when there are none. */
export class Settings {
  private readonly path: string;
  private readonly faults: string[];
  /** By key in lower case. */
  private readonly values: ReadonlyMap<string, { readonly key: string; readonly value: unknown }>;
  /** Keys that were asked for, in lower case and as the documentation writes them. */
  private readonly known = new Map<string, string>();

  /** Case does not count in keys: KubeEdge's tools spell them in several ways.
   * @param path of the object, as in `spec.protocol.configData`
   * @param faults where faults go, each `path.key: what is wrong` */
  constructor(raw: unknown, path: string, faults: string[]) {
    this.path = path;
    this.faults = faults;
    this.values = new Map(
      isRecord(raw) ? Object.entries(raw).map(([key, value]) => [key.toLowerCase(), { key, value }]) : [],
    );
  }

  has(key: string): boolean {
    return this.values.get(key.toLowerCase())?.value !== undefined;
  }

  fault(key: string, what: string): undefined {
    this.faults.push(`${this.path}.${key}: ${what}`);
    return undefined;
  }

  text(key: string): string | undefined {
    const value = this.take(key);
    if (value === undefined || typeof value === 'string') return value;
    if (typeof value === 'number') return String(value);
    return this.wrong(key, value, 'want a text');
  }

  /** A text that has to be there. @param want what it is, for the fault */
  need(key: string, want: string): string | undefined {
    return this.text(key) ?? (this.has(key) ? undefined : this.fault(key, `missing: want ${want}`));
  }

  /** A whole number, also as text (`"502"`). */
  whole(key: string, otherwise: number, [least, most]: readonly [number, number]): number {
    const value = this.take(key);
    if (value === undefined) return otherwise;
    const number = typeof value === 'boolean' || value === '' ? Number.NaN : Number(value);
    if (Number.isInteger(number) && number >= least && number <= most) return number;
    this.wrong(key, value, `want a whole number from ${least} to ${most}`);
    return otherwise;
  }

  decimal(key: string, otherwise: number): number {
    const value = this.take(key);
    if (value === undefined) return otherwise;
    const number = typeof value === 'boolean' || value === '' ? Number.NaN : Number(value);
    if (Number.isFinite(number)) return number;
    this.wrong(key, value, 'want a number');
    return otherwise;
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.take(key);
    if (value === undefined) return otherwise;
    if (value === true || value === 'true') return true;
    if (value !== false && value !== 'false') this.wrong(key, value, 'want true or false');
    return false;
  }

  choice<T extends string>(key: string, options: readonly T[], otherwise: T): T {
    const value = this.text(key);
    if (value === undefined) return otherwise;
    const found = options.find((option) => option.toLowerCase() === value.toLowerCase());
    if (found === undefined) this.wrong(key, value, `want ${options.join(', ')}`);
    return found ?? otherwise;
  }

  pattern(key: string): RegExp | undefined {
    const source = this.text(key);
    if (source === undefined) return undefined;
    try {
      return new RegExp(source);
    } catch (error) {
      return this.wrong(key, source, `no regular expression (${String(error).replace(/^.*: /, '')})`);
    }
  }

  /** Settings below a key; a text there stands for the object that has only `shorthand`. */
  part(key: string, shorthand?: string): Settings | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    const path = `${this.path}.${key}`;
    if (isRecord(value)) return new Settings(value, path, this.faults);
    if (shorthand && typeof value === 'string')
      return new Settings({ [shorthand]: value }, path, this.faults);
    return this.wrong(key, value, 'want an object');
  }

  /** The names below a key, with the settings of each. */
  parts(key: string, shorthand: string): Map<string, Settings> {
    const raw = this.take(key);
    const all = this.part(key);
    const found = new Map<string, Settings>();
    for (const name of all && isRecord(raw) ? Object.keys(raw) : []) {
      const settings = all?.part(name, shorthand);
      if (settings) found.set(name, settings);
    }
    return found;
  }

  /** Notes the keys that nobody has asked for: a misspelt one would be obeyed in silence otherwise.
   * @param what the object is, for the fault */
  refuseOthers(what: string): void {
    const known = [...this.known.values()].sort().join(', ');
    for (const [lower, { key }] of this.values) {
      if (!this.known.has(lower)) this.fault(key, `no setting of ${what}: there are ${known}`);
    }
  }

  private take(key: string): unknown {
    this.known.set(key.toLowerCase(), key);
    return this.values.get(key.toLowerCase())?.value ?? undefined;
  }

  private wrong(key: string, value: unknown, what: string): undefined {
    return this.fault(key, `${JSON.stringify(value)}: ${what}`);
  }
}
