import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** One block holds what a connection sends in one turn. */
const BLOCK = 16 * 1024;
/** Blocks that are used again and again. */
const POOLED = 64;

/** Sends what connections have gathered: at the end of the turn in which the first of it was written. */
export class Flusher {
  private readonly dirty: Outgoing[] = [];
  /** How many of them have written. */
  private flushed = 0;
  /** Made when first used. The pool is one piece of memory, which malloc maps by itself: single blocks would lie for ever
   * between the chunks that sockets read, and malloc gives back only what is free at the end of its heap. */
  private pool: Buffer | undefined;
  /** Blocks that were cut off the pool. */
  private cut = 0;
  private readonly free: Buffer[] = [];
  /** Blocks that the kernel did not take whole, until their stream has written all it has. */
  private lent: { readonly block: Buffer; readonly stream: Duplex }[] = [];
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
    const block = this.free.pop() ?? this.cutOff() ?? this.takeBack();
    if (block) return block;
    // Where many get the same message the first of them write before the last have gathered it.
    if (this.dirty.length >= POOLED / 2) this.flush();
    return this.free.pop() ?? Buffer.allocUnsafeSlow(BLOCK);
  }

  give(block: Buffer): void {
    if (block.buffer === this.pool?.buffer) this.free.push(block);
  }

  /** Gives a block to a stream, which has something to write, until it has not. */
  lend(block: Buffer, stream: Duplex): void {
    if (block.buffer === this.pool?.buffer) this.lent.push({ block, stream });
  }

  private cutOff(): Buffer | undefined {
    if (this.cut === POOLED) return undefined;
    this.pool ??= Buffer.allocUnsafeSlow(POOLED * BLOCK);
    return this.pool.subarray(this.cut * BLOCK, ++this.cut * BLOCK);
  }

  private takeBack(): Buffer | undefined {
    const isWriting = ({ stream }: { stream: Duplex }): boolean =>
      !stream.destroyed && stream.writableLength > 0;
    for (const loan of this.lent) if (!isWriting(loan)) this.free.push(loan.block);
    this.lent = this.lent.filter(isWriting);
    return this.free.pop();
  }

  private flush(): void {
    // A stream may answer while it is written to, and what it answers may flush.
    while (this.flushed < this.dirty.length) this.dirty[this.flushed++]?.flush();
    this.dirty.length = 0;
    this.flushed = 0;
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
  /** The kernel has copied what a plain socket says is written; any other stream may hold on to it, and gets a copy. */
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
    if (this.block && this.used + size > this.block.length) {
      this.write();
      if (this.block && size > BLOCK) this.release();
    }
    if (!this.block) this.block = size > BLOCK ? Buffer.allocUnsafeSlow(size) : this.flusher.take();
    // After a block was taken: whoever is dirty may be flushed for it.
    if (!this.isDirty) {
      this.isDirty = true;
      this.flusher.add(this);
    }
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
    this.release();
  }

  private release(): void {
    if (this.block?.length === BLOCK) this.flusher.give(this.block);
    this.block = undefined;
  }

  private write(): void {
    const { block, used, stream } = this;
    this.used = 0;
    if (!block || used === 0) return;
    if (stream.destroyed || stream.writableEnded) return;
    const bytes = block.subarray(0, used);
    if (block.length !== BLOCK) {
      stream.write(bytes);
      this.block = undefined;
    } else if (!this.copies || (stream.writableLength > 0 && used < BLOCK / 2))
      stream.write(Buffer.from(bytes));
    else {
      stream.write(bytes);
      if (stream.writableLength === 0) return;
      this.flusher.lend(block, stream);
      this.block = undefined;
    }
  }
}
