import { EventEmitter } from 'node:events';
import type { Millis } from '../../runtime/core/units.ts';
import { WireError } from '../kit/wire-error.ts';
import type { Endpoint } from './config-endpoint.ts';
import { type Framing, newFraming } from './framing.ts';
import { sealed } from './rtu-frame.ts';
import type { Wire } from './wire.ts';

/** An open wire in the form that modbus-serial wants of a port: requests go in and answers come out as RTU frames.
 * Differs: modbus-serial's own ports keep the bytes of an answer that came too late and take them for the next one, wait
 * for the rest of a frame that garbage announces, and do not let go of a serial device that is destroyed. */
export class ModbusPort extends EventEmitter {
  // modbus-serial files a request under one and looks for it under the other: there is one at a time.
  readonly _transactionIdRead = 1;
  readonly _transactionIdWrite = 1;
  isOpen = true;
  /** Bytes that ever came. */
  bytesRead = 0;
  /** True once a good answer came: the settings of the line are right. */
  isProven = false;
  /** Takes what makes a request hopeless before its time is up. */
  onFailure: (error: WireError) => void = () => {};
  /** The object with which an identification goes on, when it does. */
  follows: number | undefined;
  private readonly wire: Wire;
  private readonly framing: Framing;
  /** Milliseconds that a byte takes; 0 on a network. */
  private readonly byteTime: number;
  /** Silence that parts two frames, ms. */
  private readonly silence: number;
  private request: Buffer | undefined;
  /** When the last byte came or went. */
  private active = 0;
  /** Units that owe an answer, and since when; absent where answers have numbers. */
  private readonly owed: Map<number, number> | undefined;

  constructor(endpoint: Endpoint, wire: Wire) {
    super();
    this.wire = wire;
    this.framing = newFraming(endpoint.framing, endpoint.wire.kind === 'udp');
    this.owed = this.framing.isNumbered ? undefined : new Map();
    this.byteTime = byteTimeOf(endpoint);
    this.silence = silenceOf(endpoint);
    wire.onData = (chunk) => this.take(chunk);
    void wire.lost.then((reason) => {
      this.isOpen = false;
      this.onFailure(new WireError('unreachable', reason));
    });
  }

  /** It is open; modbus-serial asks for it once. */
  open(done: () => void): void {
    done();
  }

  destroy(): void {
    this.isOpen = false;
    this.request = undefined;
  }

  write(frame: Buffer): void {
    this.request = frame;
    this.owed?.set(frame[0] ?? 0, performance.now());
    this.active = performance.now();
    this.wire.send(this.framing.begin(frame));
  }

  /** How long a request and its answer, of so many bytes together, are under way at the speed of the line, ms; 0 on a
   * network. */
  airtime(bytes: number): number {
    return Math.ceil(bytes * this.byteTime);
  }

  /** Waits until a request to a unit may be sent: the line has been silent long enough, and an answer that the unit still
   * owes has come or has had the timeout once more. Without numbers a late answer to an equal request could not be told
   * apart.
   * @param delay silence that the device needs
   * @source MODBUS over Serial Line V1.02 §2.5.1.1 */
  async settle(unit: number, timeout: Millis, delay: Millis): Promise<void> {
    const since = this.owed?.get(unit);
    if (since !== undefined) await this.answered(unit, since + 2 * timeout - performance.now());
    this.owed?.delete(unit);
    const wait = this.active + Math.max(this.silence, delay) - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, Math.ceil(wait)));
  }

  private take(chunk: Buffer): void {
    this.bytesRead += chunk.length;
    this.active = performance.now();
    const { request } = this;
    const input = this.framing.take(chunk);
    if (!request || input.kind === 'none') return;
    if (input.kind === 'garbled') return this.onFailure(new WireError('garbled', input.why));
    this.request = undefined;
    this.owed?.delete(request[0] ?? 0);
    if (input.kind === 'corrupt') this.onFailure(new WireError('noise', 'CRC error'));
    else this.answer(input.frame);
    this.emit('answer');
  }

  private answer(frame: Buffer): void {
    this.isProven = true;
    this.follows = undefined;
    if (frame[1] !== IDENTIFY) return void this.emit('data', frame);
    // modbus-serial would ask on by itself, and end the process when that fails.
    if (frame[5] === MORE) this.follows = frame[6];
    const whole = Buffer.from(frame.subarray(0, -2));
    whole[5] = 0;
    this.emit('data', sealed(whole));
  }

  /** Resolves when the unit owes nothing any more, or after `limit` ms. */
  private answered(unit: number, limit: number): Promise<void> {
    if (limit <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const check = (): void => {
        if (!this.owed?.has(unit)) finish();
      };
      const finish = (): void => {
        clearTimeout(timer);
        this.off('answer', check);
        resolve();
      };
      const timer = setTimeout(finish, limit);
      this.on('answer', check);
    });
  }
}

const IDENTIFY = 43;
const MORE = 0xff;

/** Bits on the line for a byte of a message. */
function byteTimeOf({ wire, framing }: Endpoint): number {
  if (wire.kind !== 'serial') return 0;
  const bits = 1 + wire.dataBits + (wire.parity === 'none' ? 0 : 1) + wire.stopBits;
  return ((framing === 'ascii' ? 2 : 1) * bits * 1000) / wire.baudRate;
}

/** 3.5 characters; above 19200 baud the specification fixes it at 1.75 ms. A character is at most eleven bits. */
function silenceOf({ wire, framing }: Endpoint): number {
  if (wire.kind !== 'serial' || framing !== 'rtu') return 0;
  return wire.baudRate > 19_200 ? 1.75 : (3.5 * 11 * 1000) / wire.baudRate;
}
