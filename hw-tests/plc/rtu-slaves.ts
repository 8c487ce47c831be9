import { SerialPort } from 'serialport';
import { answerPdu } from '../../mappers/modbus/answer.ts';
import { crc16, isIntact } from '../../mappers/modbus/rtu-frame.ts';
import { PlcRegisters } from './registers.ts';

/** How a slave misbehaves, for tests. */
export type RtuFault = 'none' | 'silent' | 'exception' | 'crc';

/** One slave of a line. */
export class RtuSlave {
  readonly memory = new PlcRegisters();
  fault: RtuFault = 'none';
  /** How long the answer to its next request takes, in ms; those after it are answered at once. */
  nextDelay = 0;
  /** Requests that reached it. */
  requests = 0;
}

/** Slaves on one serial line, with a memory for each unit id. Requests of units that are not here pass unanswered. */
export class RtuSlaves {
  private readonly units: ReadonlyMap<number, RtuSlave>;
  private port: SerialPort | undefined;
  private rest: Buffer = Buffer.alloc(0);

  constructor(units: readonly number[]) {
    this.units = new Map(units.map((unit) => [unit, new RtuSlave()]));
  }

  slave(unit: number): RtuSlave {
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

  /** Cuts requests out of the bytes; one that is not intact is passed over byte by byte. */
  private take(chunk: Buffer): void {
    this.rest = Buffer.concat([this.rest, chunk]);
    for (let size = requestSize(this.rest); size !== undefined; size = requestSize(this.rest)) {
      const frame = this.rest.subarray(0, size);
      if (frame.length < size) return;
      const intact = isIntact(frame);
      this.rest = this.rest.subarray(intact ? size : 1);
      if (intact) this.answer(frame);
    }
  }

  private answer(frame: Buffer): void {
    const [unit = 0, code = 0] = frame;
    const slave = this.units.get(unit);
    if (!slave) return;
    slave.requests++;
    if (slave.fault === 'silent') return;
    const request = frame.subarray(1, -2);
    const pdu = slave.fault === 'exception' ? Buffer.of(code | 0x80, 4) : answerPdu(request, slave.memory);
    const answer = Buffer.concat([Buffer.of(unit), pdu, Buffer.alloc(2)]);
    const crc = crc16(answer.subarray(0, -2)) ^ (slave.fault === 'crc' ? 1 : 0);
    answer.writeUInt16LE(crc, answer.length - 2);
    const delay = slave.nextDelay;
    slave.nextDelay = 0;
    if (delay > 0) setTimeout(() => this.port?.write(answer), delay);
    else this.port?.write(answer);
  }
}

/** Whole size of the request that `data` begins with, by its function code; undefined while that cannot be told.
 * @source MODBUS Application Protocol V1.1b3 §6 */
function requestSize(data: Buffer): number | undefined {
  const code = data[1];
  if (code === undefined) return undefined;
  if (code !== 15 && code !== 16) return 8;
  const bytes = data[6];
  return bytes === undefined ? undefined : 9 + bytes;
}
