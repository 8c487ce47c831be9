/** Which end gives way when a queue is full. */
export type DropRule = 'oldest' | 'newest';

export type QueueLimits = { readonly count: number; readonly bytes: number; readonly drop: DropRule };

/** A FIFO bounded in count and bytes; what does not fit is dropped by the stated rule and counted. */
export class BoundedQueue<T> {
  private readonly limits: QueueLimits;
  private readonly sizeOf: (item: T) => number;
  private readonly onDrop: (item: T) => void;
  private items: (T | undefined)[] = [];
  private head = 0;
  private used = 0;
  dropped = 0;

  constructor(limits: QueueLimits, sizeOf: (item: T) => number, onDrop: (item: T) => void = () => {}) {
    this.limits = limits;
    this.sizeOf = sizeOf;
    this.onDrop = onDrop;
  }

  get length(): number {
    return this.items.length - this.head;
  }

  get bytes(): number {
    return this.used;
  }

  /** Appends; false when the item itself was dropped. */
  push(item: T): boolean {
    const size = this.sizeOf(item);
    if (size > this.limits.bytes || (this.limits.drop === 'newest' && this.overflows(size))) {
      this.drop(item);
      return false;
    }
    while (this.overflows(size)) {
      const oldest = this.shift();
      if (oldest !== undefined) this.drop(oldest);
    }
    this.items.push(item);
    this.used += size;
    return true;
  }

  peek(): T | undefined {
    return this.items[this.head];
  }

  shift(): T | undefined {
    const item = this.items[this.head];
    if (item === undefined) return undefined;
    this.items[this.head++] = undefined;
    this.used -= this.sizeOf(item);
    // Amortised compaction: moving the tail once for every half emptied keeps shift O(1).
    if (this.head > 64 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return item;
  }

  private overflows(size: number): boolean {
    return this.length >= this.limits.count || this.used + size > this.limits.bytes;
  }

  private drop(item: T): void {
    this.dropped++;
    this.onDrop(item);
  }
}
