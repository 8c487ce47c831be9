import { SerialPort } from 'serialport';
import { PlcRegisters } from './registers.ts';
import { cutRequests, type Form } from './slave-frames.ts';
import { reply, Slave } from './slaves.ts';

export type LineOptions = {
  readonly form?: Exclude<Form, 'mbap'>;
  /** Bits a second of the line that is played: a request and its answer take the time that they would take. Absent = as
   * fast as the pseudo terminal. */
  readonly pace?: number;
  /** Of each area. */
  readonly places?: number;
  /** [0, 1), for damage. */
  readonly random?: () => number;
};

/** Slaves on one serial line, with a memory for each unit id. Requests of units that are not here pass unanswered. */
export class RtuSlaves {
  private readonly units: ReadonlyMap<number, Slave>;
  private readonly options: LineOptions;
  private port: SerialPort | undefined;
  private rest: Buffer = Buffer.alloc(0);

  constructor(units: readonly number[], options: LineOptions = {}) {
    this.units = new Map(units.map((unit) => [unit, new Slave(new PlcRegisters(options.places))]));
    this.options = options;
  }

  slave(unit: number): Slave {
    const slave = this.units.get(unit);
    if (!slave) throw new Error(`no unit ${unit} on this line`);
    return slave;
  }

  /** Takes its end of the line. */
  open(path: string, baudRate: number): Promise<void> {
    const port = new SerialPort({ path, baudRate, autoOpen: false });
    this.port = port;
    this.rest = Buffer.alloc(0);
    port.on('data', (chunk: Buffer) => this.take(chunk));
    port.on('error', () => {}); // a line that is gone is no news to a PLC
    return new Promise((resolve, reject) => port.open((error) => (error ? reject(error) : resolve())));
  }

  close(): Promise<void> {
    const { port } = this;
    this.port = undefined;
    return new Promise((resolve) => (port?.isOpen ? port.close(() => resolve()) : resolve()));
  }

  private take(chunk: Buffer): void {
    const { form = 'rtu', random = Math.random, pace } = this.options;
    const came = performance.now();
    const cut = cutRequests(form, Buffer.concat([this.rest, chunk]));
    this.rest = cut?.rest ?? Buffer.alloc(0);
    for (const request of cut?.requests ?? []) {
      const slave = this.units.get(request.unit);
      const answer = slave && reply(slave, form, request, random);
      if (!answer) continue;
      const bits = (request.frame.length + answer.bytes.length) * BITS + SILENCE;
      this.send(answer.bytes, came + answer.delay + (pace === undefined ? 0 : (bits * 1000) / pace));
    }
  }

  /** Sends at a time, to a fraction of a millisecond: a timer first, and the rest by turns of the event loop. */
  private send(bytes: Buffer, due: number): void {
    const left = due - performance.now();
    if (left <= 0) this.port?.write(bytes);
    else if (left > 2) setTimeout(() => this.send(bytes, due), Math.floor(left - 1));
    else setImmediate(() => this.send(bytes, due));
  }
}

/** Of a byte: start, eight of data, stop. */
const BITS = 10;
/** Bits between a request and its answer: 3.5 characters of eleven. @source MODBUS over Serial Line V1.02 §2.5.1.1 */
const SILENCE = 38.5;
