import type { Clock } from '../../runtime/core/clock.ts';
import { type Millis, millis } from '../../runtime/core/units.ts';
import type { Value } from '../kit/driver.ts';
import { WireError } from '../kit/wire-error.ts';
import { showBytes } from './bytes.ts';
import { readField } from './fields.ts';
import type { Cut } from './framing.ts';
import type { SerialPoint } from './points.ts';

export type EarDeps = {
  /** Of the port, for texts. */
  readonly name: string;
  /** Those that are heard. */
  readonly points: readonly SerialPoint[];
  readonly staleAfter: Millis;
  readonly clock: Clock;
};

/** The longest wait for a value that was written to be heard. */
const READ_BACK = millis(5000);

/** What is known of a device that speaks unasked, and how fresh it is. */
export class Ear {
  private readonly deps: EarDeps;
  /** When each property was heard since the port was opened. */
  private readonly heardAt = new Map<string, number>();
  private readonly latest = new Map<string, Value>();
  private readonly written = new Map<string, string>();
  private readonly waiting = new Set<() => void>();
  private since: number;
  private lastFrame: Buffer | undefined;
  private damaged = 0;
  private lastDamage = '';

  constructor(deps: EarDeps) {
    this.deps = deps;
    this.since = deps.clock.monotonic();
  }

  /** The port was opened: what was heard before says nothing of the device that is there now. */
  opened(): void {
    this.since = this.deps.clock.monotonic();
    this.heardAt.clear();
    this.lastFrame = undefined;
    this.damaged = 0;
  }

  /** True when it has neither spoken nor answered for `staleAfter`. */
  get isSilent(): boolean {
    return this.deps.clock.monotonic() - this.since > this.deps.staleAfter;
  }

  /** It answered a question. */
  answered(): void {
    this.since = this.deps.clock.monotonic();
  }

  /** @returns the values of the properties that the frames are about */
  hear(cuts: readonly Cut[]): Value[] {
    const values = cuts.flatMap((cut) => this.hearOne(cut));
    for (const value of values) this.latest.set(value.property, value);
    if (values.length > 0) for (const wake of [...this.waiting]) wake();
    return values;
  }

  /** What is wrong with the properties that are due.
   * @throws WireError `timeout` when the device has not been heard for `staleAfter` */
  check(points: readonly SerialPoint[]): Value[] {
    const { clock, staleAfter, name } = this.deps;
    if (this.isSilent)
      throw new WireError('timeout', `${name}: nothing heard for ${showMillis(staleAfter)}${this.damage()}`);
    return points.flatMap(({ property }) => {
      const at = this.heardAt.get(property);
      if (at !== undefined && clock.monotonic() - at <= staleAfter) return [];
      const fault = at === undefined ? 'nothing heard yet' : `not heard for ${showMillis(staleAfter)}`;
      return [{ property, fault: `${fault}${this.damage()}${this.last()}` }];
    });
  }

  /** A value was sent to the device; what it says next is what it has made of it. */
  wrote(property: string, value: string): void {
    this.latest.delete(property);
    this.written.set(property, value);
  }

  /** What has been heard of a property since it was written, as soon as that is the value or the wait is over.
   * @returns undefined when it was not written */
  async readBack(property: string): Promise<Value | undefined> {
    const wanted = this.written.get(property);
    if (wanted === undefined) return undefined;
    this.written.delete(property);
    await this.until(() => isSame(this.latest.get(property), wanted));
    return this.latest.get(property) ?? { property, fault: 'not heard since it was written' };
  }

  private hearOne(cut: Cut): Value[] {
    if (cut.kind === 'damaged') {
      this.damaged++;
      this.lastDamage = cut.why;
      return [];
    }
    const now = this.deps.clock.monotonic();
    this.since = now;
    this.lastFrame = cut.bytes;
    this.damaged = 0;
    return this.deps.points.flatMap(({ property, field }) => {
      const read = field && readField(cut.bytes, field);
      if (read === undefined) return [];
      this.heardAt.set(property, now);
      return [typeof read === 'string' ? { property, value: read } : { property, fault: read.fault }];
    });
  }

  private until(holds: () => boolean): Promise<void> {
    const { clock, staleAfter } = this.deps;
    return new Promise((resolve) => {
      const check = (): void => {
        if (!holds()) return;
        timer.cancel();
        this.waiting.delete(check);
        resolve();
      };
      const timer = clock.after(millis(Math.min(READ_BACK, staleAfter)), () => {
        this.waiting.delete(check);
        resolve();
      });
      this.waiting.add(check);
      check();
    });
  }

  private damage(): string {
    return this.damaged === 0 ? '' : `; ${this.damaged} damaged frames, the last: ${this.lastDamage}`;
  }

  private last(): string {
    return this.lastFrame ? `; the last frame was ${showBytes(this.lastFrame)}` : '';
  }
}

function isSame(value: Value | undefined, wanted: string): boolean {
  if (!value || !('value' in value)) return false;
  return value.value === wanted || (wanted.trim() !== '' && Number(value.value) === Number(wanted));
}

function showMillis(time: Millis): string {
  return time >= 1000 ? `${time / 1000} s` : `${time} ms`;
}
