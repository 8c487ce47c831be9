import { Plc } from '../../hw-tests/plc/plc.ts';

/** Answers that are remembered, so many that none is asked for later. */
const REMEMBERED = 64;
const APART = 1000;

/** A PLC whose input registers hold other values at every read, and that knows when it told which. */
export class SteppingPlc extends Plc {
  private readonly points: number;
  private readonly times = new Float64Array(REMEMBERED);
  private step = 0;

  constructor(points: number) {
    super({ moves: false });
    this.points = points;
    this.asked = () => this.next();
  }

  /** When it answered with this value of its first register, by performance.now(). */
  answeredAt(value: number): number | undefined {
    return this.step - value < REMEMBERED ? this.times[value % REMEMBERED] : undefined;
  }

  private next(): void {
    this.step = (this.step + 1) & 0xffff;
    for (let i = 0; i < this.points; i++)
      this.memory.input.writeUInt16BE((this.step + i * APART) & 0xffff, i * 2);
    this.times[this.step % REMEMBERED] = performance.now();
  }
}
