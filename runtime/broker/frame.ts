/** Why a byte stream is not MQTT. */
export type FrameFault = 'malformed' | 'too-large';

/** Longest fixed header: the first byte and four of the remaining length. */
const HEADER = 5;
const MALFORMED = -1;
/** What is set aside at first for a packet whose rest has not come: its length is only a claim so far. */
const FIRST_ROOM = 4096;

/** Takes whole packets out of what came. */
export interface FrameTaker {
  /** @param data holds one packet at `[start, end)`, good until it returns
   * @returns where it has read up to, `end` unless it took the packets behind it along; -1 ends the reading */
  take(data: Buffer, start: number, end: number): number;
}

/** Cuts a byte stream into exact control packets, in place: whoever reads one cannot read into the next.
 * @source MQTT-2.1.4 (v5), MQTT-2.2.3 (v3.1.1): remaining length is a variable byte integer of at most four bytes */
export class FrameReader {
  /** Largest packet in bytes, fixed header included. */
  limit: number;
  /** Packets that it has cut. */
  count = 0;
  private readonly taker: FrameTaker;
  /** The beginning of a packet whose rest has not come. */
  private rest: Buffer | undefined;
  private restUsed = 0;
  private stopped = false;
  private isHeld = false;
  /** What came behind the packet that {@link hold} was called for. */
  private later: Buffer | undefined;

  constructor(limit: number, taker: FrameTaker) {
    this.limit = limit;
    this.taker = taker;
  }

  /** Takes a chunk.
   * @returns what is wrong with the stream, or undefined */
  push(chunk: Buffer): FrameFault | undefined {
    if (this.later) {
      this.later = Buffer.concat([this.later, chunk]);
      return undefined;
    }
    let at = 0;
    while (this.rest && at < chunk.length && !this.stopped && !this.isHeld) {
      const taken = this.complete(chunk, at);
      if (typeof taken === 'string') return taken;
      at = taken;
    }
    while (at < chunk.length && !this.stopped && !this.isHeld) {
      const size = frameSize(chunk, at, chunk.length);
      if (size === MALFORMED) return 'malformed';
      if (size > this.limit) return 'too-large';
      if (size === 0 || at + size > chunk.length) {
        // Copied, so that a few bytes do not hold a whole socket buffer.
        this.keep(chunk, at, chunk.length);
        break;
      }
      at = this.take(chunk, at, at + size);
    }
    if (this.isHeld && !this.stopped && at < chunk.length) this.later = chunk.subarray(at);
    return undefined;
  }

  /** Hands on no more packets until {@link goOn}; what comes meanwhile is kept, so its sender is to be slowed. */
  hold(): void {
    this.isHeld = true;
  }

  /** @returns what is wrong with the stream, or undefined */
  goOn(): FrameFault | undefined {
    this.isHeld = false;
    const { later } = this;
    this.later = undefined;
    return later && !this.stopped ? this.push(later) : undefined;
  }

  private take(data: Buffer, start: number, end: number): number {
    this.count++;
    const at = this.taker.take(data, start, end);
    if (at < 0) this.stopped = true;
    return at;
  }

  /** Adds to the unfinished packet what belongs to it, and hands it on when it is whole. */
  private complete(chunk: Buffer, at: number): number | FrameFault {
    const rest = this.rest as Buffer;
    let size = frameSize(rest, 0, this.restUsed);
    if (size === 0) {
      // Its length is not all there: byte by byte until it is.
      this.keep(chunk, at, at + 1);
      size = frameSize(this.rest as Buffer, 0, this.restUsed);
      if (size === MALFORMED) return 'malformed';
      if (size > this.limit) return 'too-large';
      if (size !== this.restUsed) return at + 1;
      this.finish(size);
      return at + 1;
    }
    const end = Math.min(chunk.length, at + size - this.restUsed);
    this.keep(chunk, at, end);
    if (this.restUsed === size) this.finish(size);
    return end;
  }

  private finish(size: number): void {
    // Behind it lies memory that was never written: nobody may take that for more packets.
    const whole = (this.rest as Buffer).subarray(0, size);
    this.rest = undefined;
    this.restUsed = 0;
    this.take(whole, 0, size);
  }

  private keep(chunk: Buffer, start: number, end: number): void {
    const needed = this.restUsed + end - start;
    if (!this.rest || this.rest.length < needed) {
      const room = Math.max(needed, HEADER, this.rest ? Math.min(this.rest.length * 2, this.limit) : 0);
      const larger = Buffer.allocUnsafeSlow(this.rest ? Math.max(room, FIRST_ROOM) : room);
      this.rest?.copy(larger, 0, 0, this.restUsed);
      this.rest = larger;
    }
    chunk.copy(this.rest, this.restUsed, start, end);
    this.restUsed = needed;
  }
}

/** Whole size of the packet at `at`; 0 while its length is not all there, -1 when it is none. */
export function frameSize(data: Buffer, at: number, end: number): number {
  let length = 0;
  for (let i = 1; i < HEADER; i++) {
    if (at + i >= end) return 0;
    const byte = data[at + i] as number;
    length |= (byte & 0x7f) << ((i - 1) * 7);
    if (byte < 0x80) return byte === 0 && i > 1 ? MALFORMED : 1 + i + length; // no needless bytes [MQTT-1.5.5-1]
  }
  return MALFORMED;
}
