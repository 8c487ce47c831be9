import { isUtf8 } from 'node:buffer';
import { type ReasonCode, reason } from '../reason.ts';

/** A packet breaks the protocol, and what MQTT 5 calls that. */
export class PacketFault extends Error {
  readonly code: ReasonCode;

  constructor(message: string, code: ReasonCode = reason.malformedPacket) {
    super(message);
    this.code = code;
  }
}

/** Reads the fields of one packet in order. @source MQTT 5 §1.5 */
export class PacketReader {
  readonly data: Buffer;
  /** Where the next field begins. */
  at: number;
  /** Where the packet ends. */
  readonly end: number;

  constructor(data: Buffer, at: number, end: number) {
    this.data = data;
    this.at = at;
    this.end = end;
  }

  get isAtEnd(): boolean {
    return this.at >= this.end;
  }

  byte(): number {
    return this.data[this.skip(1)] as number;
  }

  u16(): number {
    return this.data.readUInt16BE(this.skip(2));
  }

  u32(): number {
    return this.data.readUInt32BE(this.skip(4));
  }

  /** At most four bytes, no more than it takes. [MQTT-1.5.5-1] */
  varint(): number {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const byte = this.byte();
      value |= (byte & 0x7f) << (i * 7);
      if (byte >= 0x80) continue;
      if (byte === 0 && i > 0) break;
      return value;
    }
    throw new PacketFault('not a variable byte integer');
  }

  /** A length and so many bytes: a window on the packet, which the caller copies to keep. */
  binary(): Buffer {
    const length = this.u16();
    const start = this.skip(length);
    return this.data.subarray(start, start + length);
  }

  /** The same, well-formed UTF-8 without U+0000; a byte order mark stays. [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-1.5.4-3] */
  textBytes(): Buffer {
    const bytes = this.binary();
    if (!isUtf8(bytes)) throw new PacketFault('text that is not UTF-8');
    if (bytes.includes(0)) throw new PacketFault('U+0000 in a text');
    return bytes;
  }

  text(): string {
    return this.textBytes().toString();
  }

  /** [MQTT-2.2.1-3] [MQTT-2.2.1-4] */
  packetId(): number {
    const id = this.u16();
    if (id === 0) throw new PacketFault('packet id 0', reason.protocolError);
    return id;
  }

  /** Nothing may follow. */
  finish(): void {
    if (!this.isAtEnd) throw new PacketFault('longer than its fields');
  }

  private skip(length: number): number {
    const start = this.at;
    if (start + length > this.end) throw new PacketFault('shorter than its fields');
    this.at = start + length;
    return start;
  }
}
