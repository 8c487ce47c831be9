import type { DeviceId } from '../../runtime/core/units.ts';
import { decodeValue, type Encoding, encodeValue } from '../kit/convert.ts';
import { ILLEGAL_ADDRESS, ILLEGAL_VALUE, type RegisterBank } from './answer.ts';
import { type ServerRegister, sizeOf } from './server-config.ts';

/** The twins that a server offers. */
export interface TwinSource {
  /** @returns undefined for a property without a value */
  reported(
    device: DeviceId,
    property: string,
  ): { readonly value: string; readonly isOnline: boolean } | undefined;
  /** Makes a value the desired one.
   * @returns why that is not possible, or undefined */
  desire(device: DeviceId, property: string, value: string): string | undefined;
}

/** @source MODBUS Application Protocol V1.1b3 §7 */
const DEVICE_FAILURE = 4;

type Entry = ServerRegister & { readonly size: number; readonly encoding: Encoding };

/** The registers of one unit id, made of twins. Places between them read as 0, so that a master may read them all at once;
 * a value that is not there is never made up. */
export class TwinBank implements RegisterBank {
  readonly identification: ReadonlyMap<number, string>;
  private readonly entries: readonly Entry[];
  private readonly twins: TwinSource;
  private readonly whenAway: 'exception' | 'last';
  private readonly refused: (entry: ServerRegister, reason: string) => void;

  constructor(deps: {
    readonly registers: readonly ServerRegister[];
    readonly twins: TwinSource;
    readonly whenAway: 'exception' | 'last';
    readonly identification: ReadonlyMap<number, string>;
    /** A master has written what cannot be. */
    readonly refused: (entry: ServerRegister, reason: string) => void;
  }) {
    this.twins = deps.twins;
    this.whenAway = deps.whenAway;
    this.identification = deps.identification;
    this.refused = deps.refused;
    this.entries = deps.registers.map((register) => {
      const { type: format, order, scale, add } = register;
      return { ...register, size: sizeOf(register), encoding: { format, order, scale, add, bit: 0 } };
    });
  }

  readBits(area: 'coil' | 'discrete', address: number, count: number): Buffer | number {
    return this.read(area, address, count, 1, (_, value) =>
      Buffer.of(value === 'true' || value === '1' ? 1 : 0),
    );
  }

  readWords(area: 'holding' | 'input', address: number, count: number): Buffer | number {
    return this.read(area, address, count, 2, ({ encoding, size }, value) => {
      const bytes = encodeValue(value, encoding, size);
      return Buffer.isBuffer(bytes) ? bytes : undefined;
    });
  }

  writeBits(address: number, bits: Buffer): number | undefined {
    return this.write('coil', address, bits, 1, (_, bytes) => String(bytes[0] === 1));
  }

  writeWords(address: number, words: Buffer): number | undefined {
    return this.write('holding', address, words, 2, ({ encoding }, bytes) => decodeValue(bytes, encoding));
  }

  /** @param width bytes of a place */
  private read(
    area: Entry['register'],
    address: number,
    count: number,
    width: number,
    encode: (entry: Entry, value: string) => Buffer | undefined,
  ): Buffer | number {
    const found = this.within(area, address, count);
    if (found.length === 0) return ILLEGAL_ADDRESS;
    const answer = Buffer.alloc(count * width);
    for (const entry of found) {
      const now = this.twins.reported(entry.device as DeviceId, entry.property);
      const bytes = now && (now.isOnline || this.whenAway === 'last') ? encode(entry, now.value) : undefined;
      if (!bytes) return DEVICE_FAILURE;
      const at = (entry.address - address) * width;
      if (at < 0) bytes.copy(answer, 0, -at);
      else bytes.copy(answer, at);
    }
    return answer;
  }

  /** All of the request or nothing: each value whole, and every one may be written. */
  private write(
    area: Entry['register'],
    address: number,
    bytes: Buffer,
    width: number,
    decode: (entry: Entry, bytes: Buffer) => string | { fault: string },
  ): number | undefined {
    const count = bytes.length / width;
    const found = this.within(area, address, count);
    const places = found.reduce((sum, { size }) => sum + size, 0);
    if (places !== count || found.some(({ writable }) => !writable)) return ILLEGAL_ADDRESS;
    for (const entry of found) {
      const at = (entry.address - address) * width;
      const value = decode(entry, bytes.subarray(at, at + entry.size * width));
      const fault = typeof value === 'string' ? this.desire(entry, value) : value.fault;
      if (fault === undefined) continue;
      this.refused(entry, fault);
      return ILLEGAL_VALUE;
    }
    return undefined;
  }

  private desire({ device, property }: Entry, value: string): string | undefined {
    return this.twins.desire(device as DeviceId, property, value);
  }

  private within(area: Entry['register'], address: number, count: number): Entry[] {
    return this.entries.filter(
      (entry) =>
        entry.register === area && entry.address < address + count && entry.address + entry.size > address,
    );
  }
}
