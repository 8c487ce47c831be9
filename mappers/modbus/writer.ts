import { encodeValue, fieldMask, mergeField } from '../kit/convert.ts';
import { WireError } from '../kit/wire-error.ts';
import type { ModbusConfig } from './config.ts';
import type { Point } from './config-points.ts';
import type { ModbusConnection, Slave, WriteRequest } from './connection.ts';

const ILLEGAL_FUNCTION = 1;
/** Registers in one request. @source MODBUS Application Protocol V1.1b3 §6.12 */
const MOST_WRITTEN = 123;

/** Writes the points of one device, with the functions that it takes: one that it does not know is not tried again. */
export class Writer {
  private readonly config: ModbusConfig;
  private readonly slave: Slave;
  /** Functions that the device has refused with exception 1. */
  private readonly unknown = new Set<WriteRequest['kind']>();

  constructor(config: ModbusConfig, slave: Slave) {
    this.config = config;
    this.slave = slave;
  }

  /** @throws WireError `refused` for a value that the point cannot hold, and those of the connection */
  async write(connection: ModbusConnection, point: Point, value: string): Promise<void> {
    const { address, area } = point;
    if (area === 'coil') {
      if (value !== 'true' && value !== 'false' && value !== '1' && value !== '0')
        throw new WireError('refused', 'want true or false');
      const on = value === 'true' || value === '1';
      return this.firstTaken(
        connection,
        this.ordered(['coil', 'coils']).map((kind) => [{ kind, address, on }]),
      );
    }
    const bytes = encodeValue(value, point.encoding, point.count);
    if ('fault' in bytes) throw new WireError('refused', bytes.fault);
    const mask = fieldMask(point.encoding);
    if (!mask) return this.writeRegisters(connection, address, bytes);
    await this.writeField(connection, point, bytes, mask);
  }

  private writeRegisters(connection: ModbusConnection, address: number, bytes: Buffer): Promise<void> {
    const single = Array.from({ length: bytes.length / 2 }, (_, i) => ({
      kind: 'register' as const,
      address: address + i,
      bytes: bytes.subarray(i * 2, i * 2 + 2),
    }));
    const multiple = Array.from({ length: Math.ceil(single.length / MOST_WRITTEN) }, (_, i) => ({
      kind: 'registers' as const,
      address: address + i * MOST_WRITTEN,
      bytes: bytes.subarray(i * MOST_WRITTEN * 2, (i + 1) * MOST_WRITTEN * 2),
    }));
    // Several registers belong together: one by one only when the device takes them in no other way.
    const prefersMultiple =
      this.config.write === 'multiple' || (this.config.write === 'auto' && single.length > 1);
    const ways: (readonly WriteRequest[])[] = prefersMultiple ? [multiple, single] : [single, multiple];
    if (this.config.write === 'readWrite' && multiple.length === 1)
      ways.unshift([{ kind: 'readWrite', address, bytes }]);
    return this.firstTaken(connection, ways);
  }

  /** Bits that share their registers with others: those keep their values. */
  private async writeField(
    connection: ModbusConnection,
    { address, count }: Point,
    bytes: Buffer,
    mask: Buffer,
  ): Promise<void> {
    if (this.config.bitWrite === 'mask' && count === 1 && !this.unknown.has('mask')) {
      const and = ~mask.readUInt16BE() & 0xffff;
      const request = { kind: 'mask' as const, address, and, or: bytes.readUInt16BE() };
      if (await this.isTaken(connection, [request])) return;
    }
    const now = await connection.read(this.slave, { area: 'holding', address, count });
    await this.writeRegisters(connection, address, mergeField(now, bytes, mask));
  }

  private ordered(kinds: readonly ['coil', 'coils']): readonly ('coil' | 'coils')[] {
    return this.config.write === 'multiple' ? kinds.toReversed() : kinds;
  }

  /** Tries the ways to write that the device is not known to refuse. */
  private async firstTaken(
    connection: ModbusConnection,
    ways: readonly (readonly WriteRequest[])[],
  ): Promise<void> {
    for (const way of ways) if (await this.isTaken(connection, way)) return;
    // It knows none of them, or did not: a device may have been exchanged.
    this.unknown.clear();
    throw new WireError(
      'exception',
      'exception 1, illegal function: the device takes no write',
      ILLEGAL_FUNCTION,
    );
  }

  /** @returns false when the device does not know the function */
  private async isTaken(connection: ModbusConnection, way: readonly WriteRequest[]): Promise<boolean> {
    if (way.some(({ kind }) => this.unknown.has(kind))) return false;
    try {
      for (const request of way) await connection.write(this.slave, request);
      return true;
    } catch (error) {
      if (!(error instanceof WireError) || error.code !== ILLEGAL_FUNCTION) throw error;
      for (const { kind } of way) this.unknown.add(kind);
      return false;
    }
  }
}
