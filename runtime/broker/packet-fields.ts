import { isUtf8 } from 'node:buffer';
import { type ReasonCode, reason } from './reason.ts';

/** Why a packet is not what the specification says. */
export type PacketFault = { readonly code: ReasonCode; readonly fault: string };

/** Reads the fields of a packet one after the other; the first that is not there or not right is its fault. */
export class PacketFields {
  readonly data: Buffer;
  fault: PacketFault | undefined;
  private at: number;
  private readonly end: number;

  /** @param start behind the fixed header */
  constructor(data: Buffer, start: number, end: number) {
    this.data = data;
    this.at = start;
    this.end = end;
  }

  /** Bytes that were not read. */
  get left(): number {
    return this.end - this.at;
  }

  byte(): number {
    return this.number(1);
  }

  /** An unsigned number; 0 when it is not there. */
  number(bytes: 1 | 2 | 4): number {
    const at = this.take(bytes);
    return at < 0 ? 0 : this.data.readUIntBE(at, bytes);
  }

  /** [MQTT-2.2.1-3] never 0 */
  id(): void {
    if (this.number(2) === 0) this.fail('packet id 0');
  }

  /** A variable byte integer in as few bytes as it needs. [MQTT-1.5.5-1] */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) this.fail('a number with needless bytes');
        return value;
      }
    }
    this.fail('a number of more than four bytes');
    return value;
  }

  /** [MQTT-1.5.4-1] UTF-8, [MQTT-1.5.4-2] without U+0000 */
  string(): string {
    const bytes = this.binary();
    if (!isUtf8(bytes) || bytes.includes(0)) this.fail('a string that is not UTF-8');
    return bytes.length <= MOST_SHOWN ? bytes.toString() : '';
  }

  binary(): Buffer {
    const size = this.number(2);
    const at = this.take(size);
    return this.data.subarray(Math.max(at, 0), at < 0 ? 0 : at + size);
  }

  /** The next `bytes` as fields of their own. */
  part(bytes: number): PacketFields {
    const at = this.take(bytes);
    return new PacketFields(this.data, Math.max(at, 0), at < 0 ? 0 : at + bytes);
  }

  skipRest(): void {
    this.at = this.end;
  }

  /** Notes a fault; the first one counts. */
  fail(fault: string, code: ReasonCode = reason.malformedPacket): void {
    this.fault ??= { code, fault };
  }

  /** @returns where the bytes begin, -1 when there are not as many */
  private take(bytes: number): number {
    const { at } = this;
    if (at + bytes > this.end) {
      this.fail('it is shorter than its fields');
      this.at = this.end;
      return -1;
    }
    this.at += bytes;
    return at;
  }
}

/** Longest string that anyone compares: the protocol's name. */
const MOST_SHOWN = 6;
