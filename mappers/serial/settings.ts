import { isRecord } from '../../runtime/core/message.ts';
import { ConfigReader } from '../kit/config-reader.ts';

/** Free settings of which none is used when one of them has a fault: one that is wrong gives what it would be if it were
 * absent, so that one pass finds all faults. */
export class Settings extends ConfigReader {
  /** Text as it is written: blanks and line ends are part of it. */
  verbatim(key: string): string | undefined {
    const value = this.get(key);
    if (value === undefined || typeof value === 'string') return value;
    return typeof value === 'number'
      ? String(value)
      : this.fault(key, `${JSON.stringify(value)}: want a text`);
  }

  /** Notes it when a key is not there. @param want what it is */
  need(key: string, want: string): void {
    if (this.get(key) === undefined) this.fault(key, `missing: want ${want}`);
  }

  count(key: string, otherwise: number, range: readonly [number, number]): number {
    return this.whole([key], range, otherwise) ?? otherwise;
  }

  real(key: string, otherwise: number): number {
    return this.decimal(key, otherwise) ?? otherwise;
  }

  word<T extends string>(key: string, options: readonly T[], otherwise: T): T {
    return this.choice(key, options, otherwise) ?? otherwise;
  }

  flag(key: string, otherwise: boolean): boolean {
    return this.word(key, ['true', 'false'], otherwise ? 'true' : 'false') === 'true';
  }

  pattern(key: string): RegExp | undefined {
    const source = this.verbatim(key);
    if (source === undefined) return undefined;
    try {
      return new RegExp(source);
    } catch (error) {
      return this.fault(key, `${source}: no regular expression (${String(error).replace(/^.*: /, '')})`);
    }
  }

  /** Settings below a key; a text there stands for an object that has only `shorthand`. */
  part(key: string, shorthand?: string): Settings | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    const path = `${this.path}.${key}`;
    if (isRecord(value)) return new Settings(path, this.faults, value);
    if (shorthand && typeof value === 'string')
      return new Settings(path, this.faults, { [shorthand]: value });
    return this.fault(key, `${JSON.stringify(value)}: want an object`);
  }

  /** The names below a key, with the settings of each. */
  parts(key: string, shorthand: string): Map<string, Settings> {
    const named = this.get(key);
    const found = new Map<string, Settings>();
    if (named !== undefined && !isRecord(named)) this.fault(key, `${JSON.stringify(named)}: want an object`);
    for (const [name, raw] of isRecord(named) ? Object.entries(named) : []) {
      const settings = new Settings(`${this.path}.${key}`, this.faults, { [name]: raw }).part(
        name,
        shorthand,
      );
      if (settings) found.set(name, settings);
    }
    return found;
  }
}
