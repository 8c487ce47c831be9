/** Why a byte stream is not MQTT. */
export type FrameFault = 'malformed' | 'too-large';

const MAX_LENGTH_BYTES = 4;

/** Cuts a byte stream into exact control packets. mqtt-packet's own parser can read past the end of a packet into the
 * next one, so it only ever gets one packet at a time.
 * @source MQTT-2.1.4 (v5), MQTT-2.2.3 (v3.1.1): remaining length is a variable byte integer of at most four bytes */
export class FrameReader {
  private readonly limit: number;
  private rest: Buffer | undefined;

  /** @param limit largest packet in bytes, fixed header included */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Takes a chunk and calls `onFrame` for every packet that is complete; a false from it ends the reading.
   * @returns what is wrong with the stream, or undefined */
  push(chunk: Buffer, onFrame: (frame: Buffer) => boolean): FrameFault | undefined {
    let data = this.rest ? Buffer.concat([this.rest, chunk]) : chunk;
    this.rest = undefined;
    while (data.length > 0) {
      const size = frameSize(data);
      if (size === 'malformed') return 'malformed';
      if (size === undefined) break;
      if (size > this.limit) return 'too-large';
      if (data.length < size) break;
      if (!onFrame(data.subarray(0, size))) return undefined;
      data = data.subarray(size);
    }
    // Copied, so that a few bytes do not hold a whole socket buffer.
    if (data.length > 0) this.rest = Buffer.from(data);
    return undefined;
  }
}

/** Whole size of the packet that `data` begins with; undefined while its length is not all there. */
function frameSize(data: Buffer): number | 'malformed' | undefined {
  let length = 0;
  for (let i = 0; i < MAX_LENGTH_BYTES; i++) {
    const byte = data[1 + i];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 128 ** i;
    if ((byte & 0x80) === 0) return 2 + i + length;
  }
  return 'malformed';
}
