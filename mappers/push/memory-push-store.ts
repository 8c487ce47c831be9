import type { PushRow, PushStore } from './box.ts';

/** The store in memory, for tests: each write is on disk after `sync`, and `broken` makes it take none. */
export class MemoryPushStore implements PushStore {
  readonly rows = new Map<number, PushRow>();
  broken = false;
  writes = 0;
  readonly push: PushStore['push'] = {
    put: (row) => void this.rows.set(row.seq, row),
    list: (target, after, limit) =>
      this.sorted()
        .filter((row) => row.target === target && row.seq > after)
        .slice(0, limit),
    oldest: (limit) => this.sorted().slice(0, limit),
    remove: (seq) => void this.rows.delete(seq),
    last: () => Math.max(0, ...this.rows.keys()),
    totals: () => {
      const totals = new Map<string, { target: string; count: number; bytes: number }>();
      for (const { target, count, bytes } of this.rows.values()) {
        const total = totals.get(target) ?? { target, count: 0, bytes: 0 };
        total.count += count;
        total.bytes += bytes;
        totals.set(target, total);
      }
      return [...totals.values()];
    },
  };

  async durable(work: () => void): Promise<void> {
    await Promise.resolve();
    if (this.broken) throw new Error('the disk is full');
    this.writes++;
    work();
    await Promise.resolve();
  }

  lazy(work: () => void): void {
    work();
  }

  private sorted(): PushRow[] {
    return [...this.rows.values()].sort((a, b) => a.seq - b.seq);
  }
}
