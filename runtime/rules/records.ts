import type { Clock, Timer } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import { seconds } from '../core/units.ts';

/** The part of the store that rules use. */
export interface RuleStore {
  durable(work: () => void): Promise<void>;
  readonly meta: {
    put(row: { key: string; type: string; value: string }): void;
    list(type: string): { key: string; value: string }[];
    remove(key: string): void;
  };
}

/** What outlives a restart of a rule. */
export type RuleRecord = {
  readonly fingerprint: string;
  readonly active: boolean;
  /** By condition. */
  readonly holds: readonly boolean[];
  /** Why it was stopped. */
  readonly stopped?: string;
  readonly fired: number;
  /** ms since epoch. */
  readonly firedAt?: number;
};

export const STATE_TYPE = 'localrulestate';
/** A rule that changes all the time is written about once in so long. */
const PAUSE = seconds(1);

/** What is known of rules, on disk: the first change at once, those that follow closely together. */
export class RuleRecords {
  private readonly deps: { readonly store: RuleStore; readonly clock: Clock; readonly log: Logger };
  private readonly changed = new Map<string, () => RuleRecord>();
  private timer: Timer | undefined;
  private writtenAt = Number.NEGATIVE_INFINITY;

  constructor(deps: RuleRecords['deps']) {
    this.deps = deps;
  }

  /** What was kept, by key; what cannot be read is passed over. */
  load(): Map<string, RuleRecord> {
    const records = new Map<string, RuleRecord>();
    for (const { key, value } of this.deps.store.meta.list(STATE_TYPE)) {
      try {
        records.set(key.slice(STATE_TYPE.length + 1), JSON.parse(value) as RuleRecord);
      } catch {
        // It begins anew.
      }
    }
    return records;
  }

  /** @param read gives it as it is when it is written */
  note(key: string, read: () => RuleRecord): void {
    this.changed.set(key, read);
    const { clock } = this.deps;
    const wait = this.writtenAt + PAUSE - clock.monotonic();
    if (wait <= 0) this.flush();
    else this.timer ??= clock.after(seconds(wait / 1000), () => this.flush());
  }

  remove(key: string): void {
    this.changed.delete(key);
    this.write(() => this.deps.store.meta.remove(rowKey(key)));
  }

  /** Writes what waits. */
  flush(): void {
    this.timer?.cancel();
    this.timer = undefined;
    if (this.changed.size === 0) return;
    this.writtenAt = this.deps.clock.monotonic();
    const rows = [...this.changed].map(([key, read]) => {
      return { key: rowKey(key), type: STATE_TYPE, value: JSON.stringify(read()) };
    });
    this.changed.clear();
    this.write(() => {
      for (const row of rows) this.deps.store.meta.put(row);
    });
  }

  /** Nobody was promised anything: rules go on without a disk. */
  private write(work: () => void): void {
    this.deps.store.durable(work).catch((error: unknown) => {
      this.deps.log.warn('the state of rules could not be kept', { error });
    });
  }
}

function rowKey(key: string): string {
  return `${STATE_TYPE}/${key}`;
}
