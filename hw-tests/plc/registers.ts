import { MemoryBank } from '../../mappers/modbus/memory-bank.ts';

/** The memory of the simulated PLC, and how it moves. Addresses:
 *
 * | what | area | address | form |
 * |---|---|---|---|
 * | temperature | input | 0 | int16, 0.1 °C |
 * | counter | input | 2 | uint32 ABCD, one more each second |
 * | switch | coil | 0 | writable |
 * | setpoint | holding | 0 | float32 ABCD, writable |
 * | mode | holding | 2 | uint16, writable |
 *
 * Each area has 256 places; what lies beyond answers with exception 2. */
export class PlcRegisters extends MemoryBank {
  private step = 0;

  constructor(places = PLACES) {
    super(places);
    this.holding.writeFloatBE(21.5, 0);
    for (const [id, text] of ['edgecore', 'PLC-1', '1.0', '', 'Simulated PLC'].entries())
      if (text) this.identification.set(id, text);
    this.move();
  }

  /** One second passes: the temperature wanders between 15.0 and 25.0 °C, the counter counts. */
  move(): void {
    const temperature = 20 + 5 * Math.sin(this.step / 10);
    this.input.writeInt16BE(Math.round(temperature * 10), 0);
    this.input.writeUInt32BE(this.step >>> 0, 4);
    this.step++;
  }
}

export const PLACES = 256;
