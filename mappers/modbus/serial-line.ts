import { EventEmitter } from 'node:events';
import type { SerialPort } from 'serialport';
import type { Millis } from '../../runtime/core/units.ts';
import type { Endpoint } from './config.ts';
import { findAnswer } from './rtu-frame.ts';

export type SerialEndpoint = Extract<Endpoint, { kind: 'rtu' }>;

type Done = (error?: Error | null) => void;

/** A serial line in the form that modbus-serial wants of a port: requests go in as frames, answers come out as frames.
 * Differs: modbus-serial's own port keeps the bytes of an answer that came too late and takes them for the next one,
 * and its `destroy` does not close the device. */
export class SerialLine extends EventEmitter {
  /** Bytes that ever came. */
  bytesRead = 0;
  private readonly endpoint: SerialEndpoint;
  private port: SerialPort | undefined;
  /** Resolves when the device is free. */
  closed: Promise<void> = Promise.resolve();
  private request: Buffer | undefined;
  private data: Buffer = Buffer.alloc(0);
  /** When the last byte came or went. */
  private active = 0;
  /** Units that owe an answer, and since when. */
  private readonly owed = new Map<number, number>();

  constructor(endpoint: SerialEndpoint) {
    super();
    this.endpoint = endpoint;
  }

  get isOpen(): boolean {
    return this.port?.isOpen ?? false;
  }

  open(done: Done): void {
    this.openPort().then(() => done(), done);
  }

  /** Lets go, for good. */
  destroy(): void {
    const { port } = this;
    this.port = undefined;
    this.request = undefined;
    if (!port) return;
    port.removeAllListeners('data');
    if (port.isOpen) this.closed = new Promise((resolve) => port.close(() => resolve()));
  }

  /** Sends a request. Whatever came before it belongs to another one. */
  write(frame: Buffer): void {
    this.request = frame;
    this.data = Buffer.alloc(0);
    this.owed.set(frame[0] ?? 0, performance.now());
    this.active = performance.now();
    this.port?.write(frame);
  }

  /** Waits until a request to a unit may be sent: the line has been silent for 3.5 characters, and an answer that the
   * unit still owes has come or has had the timeout once more. RTU has no transaction numbers, so a late answer to an
   * equal request could not be told apart.
   * @source MODBUS over Serial Line V1.02 §2.5.1.1 */
  async settle(unit: number, timeout: Millis): Promise<void> {
    const since = this.owed.get(unit);
    if (since !== undefined) await this.answered(unit, since + 2 * timeout - performance.now());
    this.owed.delete(unit);
    const silence = this.active + silenceOf(this.endpoint.baudRate) - performance.now();
    if (silence > 0) await new Promise((resolve) => setTimeout(resolve, Math.ceil(silence)));
  }

  private async openPort(): Promise<void> {
    // Loaded when there is a line: its native part costs memory that a gateway without one can do without.
    const { SerialPort } = await import('serialport');
    const { path, baudRate, dataBits, parity, stopBits } = this.endpoint;
    const port = new SerialPort({ path, baudRate, dataBits, parity, stopBits, autoOpen: false });
    port.on('data', (chunk: Buffer) => this.take(chunk));
    port.on('error', () => {}); // shows as a request without answer, or as a port that is closed
    await new Promise<void>((resolve, reject) => {
      port.open((error) => (error ? reject(error) : resolve()));
    });
    this.port = port;
  }

  private take(chunk: Buffer): void {
    this.bytesRead += chunk.length;
    this.active = performance.now();
    const { request } = this;
    if (!request) return;
    this.data = Buffer.concat([this.data, chunk]);
    const found = findAnswer(this.data, request);
    if (found.kind === 'none') return;
    this.request = undefined;
    this.owed.delete(request[0] ?? 0);
    this.emit('data', found.frame);
    this.emit('answer');
  }

  /** Resolves when the unit owes nothing any more, or after `limit` ms. */
  private answered(unit: number, limit: number): Promise<void> {
    if (limit <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const check = (): void => {
        if (!this.owed.has(unit)) finish();
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

/** Above 19200 baud the specification fixes it at 1.75 ms. A character is at most eleven bits. */
function silenceOf(baudRate: number): number {
  return baudRate > 19_200 ? 1.75 : (3.5 * 11 * 1000) / baudRate;
}
