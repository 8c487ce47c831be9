/** Numbers that follow each other are one run, up to so many: within a run only the sum of the sizes is known. */
const RUN = 64;
/** A run is its first number, how many there are, and the sum of their sizes. */
const FIELDS = 3;

/** A FIFO of message numbers with their sizes, a few bytes for each that waits: a long outage costs the disk its messages
 * and the memory next to nothing. */
export class SeqQueue {
  private runs = new Float64Array(4 * FIELDS);
  private head = 0;
  private count = 0;
  private messages = 0;
  /** Sum of the sizes. */
  bytes = 0;

  get length(): number {
    return this.messages;
  }

  /** Appends a number, larger than all before it. */
  push(seq: number, size: number): void {
    this.messages++;
    this.bytes += size;
    const { runs } = this;
    const last = this.at(this.count - 1);
    if (
      this.count > 0 &&
      (runs[last + 1] as number) < RUN &&
      runs[last] === seq - (runs[last + 1] as number)
    ) {
      runs[last + 1] = (runs[last + 1] as number) + 1;
      runs[last + 2] = (runs[last + 2] as number) + size;
      return;
    }
    if ((this.count + 1) * FIELDS > runs.length) this.grow();
    this.runs.set([seq, 1, size], this.at(this.count));
    this.count++;
  }

  /** Puts one back before the oldest, smaller than all that are there. */
  unshift(seq: number, size: number): void {
    this.messages++;
    this.bytes += size;
    const { runs } = this;
    const first = this.at(0);
    if (this.count > 0 && (runs[first + 1] as number) < RUN && runs[first] === seq + 1) {
      runs[first] = seq;
      runs[first + 1] = (runs[first + 1] as number) + 1;
      runs[first + 2] = (runs[first + 2] as number) + size;
      return;
    }
    if ((this.count + 1) * FIELDS > runs.length) this.grow();
    this.head = (this.head + this.runs.length - FIELDS) % this.runs.length;
    this.runs.set([seq, 1, size], this.head);
    this.count++;
  }

  /** The oldest, -1 when there is none. */
  peek(): number {
    return this.count > 0 ? (this.runs[this.at(0)] as number) : -1;
  }

  /** Takes the oldest, -1 when there is none. */
  shift(): number {
    if (this.count === 0) return -1;
    const { runs } = this;
    const run = this.at(0);
    const [seq, left, size] = [runs[run] as number, runs[run + 1] as number, runs[run + 2] as number];
    const share = left === 1 ? size : Math.floor(size / left);
    this.messages--;
    this.bytes -= share;
    runs[run] = seq + 1;
    runs[run + 1] = left - 1;
    runs[run + 2] = size - share;
    if (left === 1) {
      this.head = (this.head + FIELDS) % runs.length;
      this.count--;
    }
    return seq;
  }

  private at(run: number): number {
    return (this.head + run * FIELDS) % this.runs.length;
  }

  private grow(): void {
    const larger = new Float64Array(this.runs.length * 2);
    larger.set(this.runs.subarray(this.head));
    larger.set(this.runs.subarray(0, this.head), this.runs.length - this.head);
    this.runs = larger;
    this.head = 0;
  }
}
