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
export class PlcRegisters {
  readonly coils = Buffer.alloc(PLACES);
  readonly discrete = Buffer.alloc(PLACES);
  readonly input = Buffer.alloc(PLACES * 2);
  readonly holding = Buffer.alloc(PLACES * 2);
  private step = 0;

  constructor() {
    this.holding.writeFloatBE(21.5, 0);
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
