import { MemoryRows } from './memory-store.ts';
import type { BrokerRows, BrokerStore } from './persistence.ts';

type Waiter = { resolve: () => void; reject: (error: Error) => void };
type Deferred = { prepare: () => (() => void) | undefined; waiter?: Waiter };
type Change = { name: string; args: readonly unknown[] };

/** A store for tests, which say when a commit comes and how it ends. What is not committed is gone after a kill. */
export class TestStore implements BrokerStore {
  patience = 0;
  /** Every change of a row since the start, committed or not. */
  readonly changes: Change[] = [];
  rows: BrokerRows;
  private committed: Change[];
  private open: Change[] = [];
  private waiters: Waiter[] = [];
  private bookkeeping: (() => void)[] = [];
  private deferred: Deferred[] = [];

  /** @param disk what an earlier process left */
  constructor(disk?: TestStore) {
    this.committed = [...(disk?.committed ?? [])];
    this.rows = this.recording(this.disk());
  }

  /** The rows that a kill leaves. */
  disk(): MemoryRows {
    const rows = new MemoryRows();
    for (const { name, args } of this.committed) call(rows, name, args);
    return rows;
  }

  durable(work: () => void): Promise<void> {
    work();
    return new Promise((resolve, reject) => this.waiters.push({ resolve, reject }));
  }

  lazy(work: () => void): void {
    work();
    this.bookkeeping.push(work);
  }

  atCommit(prepare: () => (() => void) | undefined): Promise<void> {
    return new Promise((resolve, reject) => this.deferred.push({ prepare, waiter: { resolve, reject } }));
  }

  arrived(): void {}

  withCommit(work: () => void): void {
    this.deferred.push({ prepare: () => work });
  }

  /** Commits; what waits for the sync is told by the function that this returns. */
  begin(): (outcome: 'kept' | 'refused') => Promise<void> {
    for (const { prepare, waiter } of this.deferred.splice(0)) {
      const work = prepare();
      work?.();
      if (waiter) work ? this.waiters.push(waiter) : waiter.resolve();
      else if (work) this.bookkeeping.push(work);
    }
    const waiters = this.waiters.splice(0);
    this.committed.push(...this.open.splice(0));
    this.bookkeeping = [];
    return async (outcome) => {
      for (const { resolve, reject } of waiters)
        outcome === 'kept' ? resolve() : reject(new Error('disk full'));
      await settled();
    };
  }

  async commit(): Promise<void> {
    await settled();
    await this.begin()('kept');
  }

  /** A commit that the disk does not take: bookkeeping alone begins the next one. */
  async refuse(): Promise<void> {
    await settled();
    const before = [...this.committed];
    const again: (() => void)[] = [];
    const { bookkeeping } = this;
    const deferred = this.deferred.filter(({ waiter }) => !waiter).map(({ prepare }) => prepare);
    again.push(...bookkeeping);
    const end = this.begin();
    this.committed = before;
    this.rows = this.recording(this.disk());
    for (const prepare of deferred) again.push(() => prepare()?.());
    for (const work of again) {
      work();
      this.bookkeeping.push(work);
    }
    await end('refused');
  }

  /** How often rows were changed by `name`. */
  count(name?: string): number {
    return this.changes.filter((change) => name === undefined || change.name === name).length;
  }

  private recording(rows: MemoryRows): BrokerRows {
    return new Proxy(rows, {
      get: (target, name: string) => {
        if (!/^(put|remove|trim)/.test(name)) {
          const value = Reflect.get(target, name) as unknown;
          return typeof value === 'function' ? value.bind(target) : value;
        }
        return (...args: readonly unknown[]) => {
          const change = { name, args };
          this.changes.push(change);
          this.open.push(change);
          call(target, name, args);
        };
      },
    });
  }
}

function call(rows: MemoryRows, name: string, args: readonly unknown[]): void {
  const method = Reflect.get(rows, name) as (...args: readonly unknown[]) => void;
  method.apply(rows, [...args]);
}

/** Everything that can happen without a commit has happened. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}
