import { type MessageRecord, readRecord, recordStarts, seqOf } from './record.ts';

/** The messages of one row, each decoded when it is asked for: the objects of a whole row would outlive V8's young
 * generation, and fill the old one with what is done a moment later. */
export class RecordPage {
  private readonly body: Buffer;
  private readonly epoch: number;
  private readonly starts: readonly number[];

  /** @param bytes what {@link encodeRecords} made of messages whose numbers rise
   * @param epoch ms since epoch minus monotonic ms
   * @throws Error when the row is cut */
  constructor(bytes: Uint8Array, epoch: number) {
    this.body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.epoch = epoch;
    this.starts = recordStarts(this.body);
  }

  /** @returns undefined when there is none of that number */
  find(seq: number): MessageRecord | undefined {
    let [low, high] = [0, this.starts.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const there = seqOf(this.body, this.starts, middle);
      if (there === seq) return this.read(middle, seq);
      if (there < seq) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  *[Symbol.iterator](): Generator<MessageRecord> {
    for (const i of this.starts.keys()) yield this.read(i, seqOf(this.body, this.starts, i));
  }

  private read(i: number, seq: number): MessageRecord {
    return readRecord(this.body, this.starts[i] as number, seq, this.epoch);
  }
}
