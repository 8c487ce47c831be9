import { ILLEGAL_ADDRESS, type RegisterBank } from './answer.ts';

/** Registers in plain memory, the same number of places in each area. */
export class MemoryBank implements RegisterBank {
  /** One byte each. */
  readonly coils: Buffer;
  readonly discrete: Buffer;
  readonly input: Buffer;
  readonly holding: Buffer;
  readonly identification = new Map<number, string>();
  private readonly places: number;

  constructor(places: number) {
    this.places = places;
    this.coils = Buffer.alloc(places);
    this.discrete = Buffer.alloc(places);
    this.input = Buffer.alloc(places * 2);
    this.holding = Buffer.alloc(places * 2);
  }

  readBits(area: 'coil' | 'discrete', address: number, count: number): Buffer | number {
    if (address + count > this.places) return ILLEGAL_ADDRESS;
    return (area === 'coil' ? this.coils : this.discrete).subarray(address, address + count);
  }

  readWords(area: 'holding' | 'input', address: number, count: number): Buffer | number {
    if (address + count > this.places) return ILLEGAL_ADDRESS;
    return this[area].subarray(address * 2, (address + count) * 2);
  }

  writeBits(address: number, bits: Buffer): number | undefined {
    if (address + bits.length > this.places) return ILLEGAL_ADDRESS;
    bits.copy(this.coils, address);
    return undefined;
  }

  writeWords(address: number, words: Buffer): number | undefined {
    if (address + words.length / 2 > this.places) return ILLEGAL_ADDRESS;
    words.copy(this.holding, address * 2);
    return undefined;
  }
}
