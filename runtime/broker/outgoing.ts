import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** One block holds what a connection sends in one turn. */
const BLOCK = 16 * 1024;
/** Blocks that are kept for the next turn. */
const MOST_FREE = 64;

/** Sends what connections have gathered: at the end of the turn in which the first of it was written. */
export class Flusher {
  private readonly dirty: Outgoing[] = [];
  private readonly free: Buffer[] = [];
  private depth = 0;
  private scheduled = false;

  /** Everything that is written until {@link end} leaves together. */
  begin(): void {
    this.depth++;
  }

  end(): void {
    if (--this.depth === 0) this.flush();
  }

  add(outgoing: Outgoing): void {
    this.dirty.push(outgoing);
    if (this.depth > 0 || this.scheduled) return;
    this.scheduled = true;
    process.nextTick(() => {
      this.scheduled = false;
      this.flush();
    });
  }

  take(): Buffer {
    return this.free.pop() ?? Buffer.allocUnsafeSlow(BLOCK);
  }

  give(block: Buffer): void {
    if (this.free.length < MOST_FREE) this.free.push(block);
  }

  private flush(): void {
    for (let i = 0; i < this.dirty.length; i++) this.dirty[i]?.flush();
    this.dirty.length = 0;
  }
}

/** Gathers the bytes for one connection, so that a turn of the event loop costs one system call and no garbage. */
export class Outgoing {
  /** Where {@link reserve} made room. */
  block: Buffer | undefined;
  private used = 0;
  private isDirty = false;
  private readonly stream: Duplex;
  private readonly flusher: Flusher;
  /** The kernel has copied what a plain socket says is written; any other stream may hold on to it. */
  private readonly copies: boolean;

  constructor(stream: Duplex, flusher: Flusher) {
    this.stream = stream;
    this.flusher = flusher;
    this.copies = stream instanceof Socket && !('encrypted' in stream);
  }

  /** Bytes that the peer has not taken. */
  get pending(): number {
    return this.stream.writableLength + this.used;
  }

  /** Makes room for `size` bytes in {@link block}, which the caller fills.
   * @returns where they begin */
  reserve(size: number): number {
    if (!this.isDirty) {
      this.isDirty = true;
      this.flusher.add(this);
    }
    if (this.block && this.used + size > this.block.length) this.write();
    if (!this.block) this.block = size > BLOCK ? Buffer.allocUnsafeSlow(size) : this.flusher.take();
    const at = this.used;
    this.used += size;
    return at;
  }

  append(bytes: Buffer, start = 0, end = bytes.length): void {
    const at = this.reserve(end - start);
    bytes.copy(this.block as Buffer, at, start, end);
  }

  /** A packet of type and id alone: PUBACK, PUBREC, PUBREL, PUBCOMP. */
  appendAck(first: number, id: number): void {
    const at = this.reserve(4);
    const block = this.block as Buffer;
    block[at] = first;
    block[at + 1] = 2;
    block[at + 2] = id >> 8;
    block[at + 3] = id & 0xff;
  }

  flush(): void {
    this.isDirty = false;
    if (this.used > 0) this.write();
    const { block } = this;
    this.block = undefined;
    if (block?.length === BLOCK) this.flusher.give(block);
  }

  private write(): void {
    const { block, used, stream } = this;
    this.used = 0;
    if (!block || used === 0) return;
    if (!stream.destroyed && !stream.writableEnded) stream.write(block.subarray(0, used));
    // What is still under way belongs to the stream now.
    if (!this.copies || stream.writableLength > 0 || block.length !== BLOCK) this.block = undefined;
  }
}
