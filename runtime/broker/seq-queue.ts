/** A FIFO of message numbers with their sizes: sixteen bytes for each that waits, so that a long outage costs the disk
 * its messages and the memory next to nothing. */
export class SeqQueue {
  private seqs = new Float64Array(16);
  private sizes = new Float64Array(16);
  private head = 0;
  private count = 0;
  /** Sum of the sizes. */
  bytes = 0;

  get length(): number {
    return this.count;
  }

  push(seq: number, size: number): void {
    if (this.count === this.seqs.length) this.grow();
    const at = (this.head + this.count) % this.seqs.length;
    this.seqs[at] = seq;
    this.sizes[at] = size;
    this.count++;
    this.bytes += size;
  }

  /** Puts one back before the oldest. */
  unshift(seq: number, size: number): void {
    if (this.count === this.seqs.length) this.grow();
    this.head = (this.head + this.seqs.length - 1) % this.seqs.length;
    this.seqs[this.head] = seq;
    this.sizes[this.head] = size;
    this.count++;
    this.bytes += size;
  }

  /** The oldest, -1 when there is none. */
  peek(): number {
    return this.count > 0 ? (this.seqs[this.head] as number) : -1;
  }

  shift(): number {
    const seq = this.peek();
    if (seq < 0) return seq;
    this.bytes -= this.sizes[this.head] as number;
    this.head = (this.head + 1) % this.seqs.length;
    this.count--;
    return seq;
  }

  private grow(): void {
    const { length } = this.seqs;
    for (const name of ['seqs', 'sizes'] as const) {
      const larger = new Float64Array(length * 2);
      larger.set(this[name].subarray(this.head));
      larger.set(this[name].subarray(0, this.head), length - this.head);
      this[name] = larger;
    }
    this.head = 0;
  }
}
