import { isRecord } from '../../runtime/core/message.ts';

/** Reads the free settings of a device or a visitor (`configData`), and collects what is wrong with them, each with its
 * path. KubeEdge's tools spell keys in several ways (`slaveID`, `slaveId`) and numbers as text, so neither counts. */
export class ConfigReader {
  readonly path: string;
  private readonly values: Readonly<Record<string, unknown>>;
  protected readonly faults: string[];
  /** Keys that were asked for, in lower case and as the documentation writes them. */
  private readonly known = new Map<string, string>();

  /** @param faults takes what is wrong
   * @param layers later ones win */
  constructor(path: string, faults: string[], ...layers: readonly unknown[]) {
    this.path = path;
    this.faults = faults;
    this.values = Object.assign({}, ...layers.map(lowerKeys));
  }

  /** Notes a fault of a key. */
  fault(key: string, what: string): undefined {
    this.faults.push(`${this.path}.${key}: ${what}`);
    return undefined;
  }

  /** The same settings with those under `key` over them. */
  within(key: string): ConfigReader {
    return new ConfigReader(this.path, this.faults, this.values, this.values[key.toLowerCase()]);
  }

  has(key: string): boolean {
    return this.values[key.toLowerCase()] !== undefined;
  }

  isTrue(key: string): boolean {
    const value = this.get(key);
    return value === true || value === 'true';
  }

  /** Text or a number as text, under the first of `keys` that is there. */
  text(...keys: readonly string[]): string | undefined {
    for (const key of keys) {
      const value = this.get(key);
      if (typeof value === 'string' || typeof value === 'number') return String(value).trim();
    }
    return undefined;
  }

  /** Settings within the settings, their keys as they are spelled. */
  record(key: string): Readonly<Record<string, unknown>> | undefined {
    const value = this.get(key);
    if (value === undefined || isRecord(value)) return value;
    return this.fault(key, `${shown(value)}: want keys and values`);
  }

  /** One of several words, whatever their case.
   * @returns `otherwise` when it is not there, undefined when it is none of them */
  choice<T extends string>(key: string, options: readonly T[], otherwise: T): T | undefined {
    const value = this.get(key);
    if (value === undefined) return otherwise;
    const found = options.find((option) => option.toLowerCase() === String(value).trim().toLowerCase());
    return found ?? this.fault(key, `${shown(value)}: want ${listed(options)}`);
  }

  /** A whole number within bounds, under the first of `keys` that is there; the first one names a fault.
   * @param otherwise when none is there; undefined makes that a fault */
  whole(keys: readonly string[], range: readonly [number, number], otherwise?: number): number | undefined {
    for (const k of keys) this.get(k);
    const key = keys.find((k) => this.has(k));
    const name = key ?? keys[0] ?? '';
    if (key === undefined) return otherwise ?? this.fault(name, 'missing');
    const raw = this.values[key.toLowerCase()];
    const value =
      typeof raw === 'number' || (typeof raw === 'string' && raw.trim() !== '') ? Number(raw) : Number.NaN;
    const [least, most] = range;
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    return this.fault(name, `${shown(raw)}: want a whole number from ${least} to ${most}`);
  }

  decimal(key: string, otherwise: number): number | undefined {
    const raw = this.get(key);
    if (raw === undefined) return otherwise;
    const value =
      typeof raw === 'number' || (typeof raw === 'string' && raw.trim() !== '') ? Number(raw) : Number.NaN;
    return Number.isFinite(value) ? value : this.fault(key, `${shown(raw)}: want a number`);
  }

  /** Notes the keys that nobody has asked for: a misspelt one would be passed over in silence otherwise.
   * @param what the settings are of */
  refuseOthers(what: string): void {
    const known = [...this.known.values()].sort().join(', ');
    for (const key of Object.keys(this.values)) {
      if (!this.known.has(key)) this.fault(key, `no setting of ${what}: there are ${known}`);
    }
  }

  protected get(key: string): unknown {
    const lower = key.toLowerCase();
    this.known.set(lower, key);
    return this.values[lower];
  }
}

function lowerKeys(value: unknown): Record<string, unknown> {
  if (!isRecord(value)) return {};
  const given = Object.entries(value).filter(([, v]) => v !== undefined && v !== null);
  return Object.fromEntries(given.map(([key, v]) => [key.toLowerCase(), v]));
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function listed(options: readonly string[]): string {
  return options.length < 2 ? options.join() : `${options.slice(0, -1).join(', ')} or ${options.at(-1)}`;
}
