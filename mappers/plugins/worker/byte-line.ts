import type { Connection } from '../../kit/driver.ts';
import { WireError } from '../../kit/wire-error.ts';

/** What carries bytes: a socket, a serial line in the main thread. */
export type Carrier = {
  /** Takes bytes; rejects when they do not leave. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly close: () => void;
};

/** Bytes that wait for somebody to read them; the oldest give way. */
const MOST_WAITING = 64 * 1024;
const DEFAULT_TIMEOUT = 1000;

type Reader = { readonly take: () => boolean; readonly fail: (error: WireError) => void };

/** An open line to a device: bytes both ways, read as lines or by count. One question at a time: its owner is a bus. */
export class ByteLine implements Connection {
  /** `host:port` or the serial device, for texts. */
  readonly name: string;
  /** Resolves with the reason when it is gone without having been closed. */
  readonly lost: Promise<string>;
  private readonly carrier: Carrier;
  private waiting: Buffer = Buffer.alloc(0);
  private reader: Reader | undefined;
  private heard: (() => void) | undefined;
  private brokenBy: WireError | undefined;
  private tell: (why: string) => void = () => {};

  constructor(name: string, carrier: Carrier) {
    this.name = name;
    this.carrier = carrier;
    this.lost = new Promise((resolve) => {
      this.tell = resolve;
    });
  }

  /** Sends text (latin1) or bytes.
   * @throws WireError `unreachable` */
  async write(data: string | Uint8Array): Promise<void> {
    if (this.brokenBy) throw this.brokenBy;
    try {
      await this.carrier.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data);
    } catch (error) {
      throw this.broke(error instanceof Error ? error.message : String(error));
    }
  }

  /** Drops what came before, sends, and waits for one line.
   * @param end what lines end with, `\n` by default; it is cut off, as is a `\r` before it
   * @param timeout ms
   * @throws WireError `timeout`, `unreachable` */
  async ask(
    request: string | Uint8Array,
    { end = '\n', timeout = DEFAULT_TIMEOUT }: { end?: string; timeout?: number } = {},
  ): Promise<string> {
    this.discard();
    await this.write(request);
    return this.readLine({ end, timeout });
  }

  /** Waits for the next line.
   * @throws WireError `timeout`, `unreachable` */
  readLine({
    end = '\n',
    timeout = DEFAULT_TIMEOUT,
  }: {
    end?: string;
    timeout?: number;
  } = {}): Promise<string> {
    return this.read(() => this.takeLine(end), timeout);
  }

  /** Waits for so many bytes.
   * @throws WireError `timeout`, `unreachable` */
  readBytes(count: number, { timeout = DEFAULT_TIMEOUT }: { timeout?: number } = {}): Promise<Buffer> {
    return this.read(() => this.takeBytes(count), timeout);
  }

  /** Calls `heard` with every line that comes from now on: for a device that speaks unasked. */
  onLine(heard: (line: string) => void, { end = '\n' }: { end?: string } = {}): void {
    this.heard = () => {
      for (let line = this.takeLine(end); line !== undefined; line = this.takeLine(end)) heard(line);
    };
    this.heard();
  }

  /** Drops what came and was not read. */
  discard(): void {
    this.waiting = Buffer.alloc(0);
  }

  /** Lets go; safe at any time. */
  close(): void {
    this.tell = () => {};
    this.broke('closed');
    this.carrier.close();
  }

  /** Bytes came: the carrier's side. */
  received(bytes: Uint8Array): void {
    this.waiting = Buffer.concat([this.waiting, bytes]);
    if (this.waiting.length > MOST_WAITING) this.waiting = this.waiting.subarray(-MOST_WAITING);
    if (this.reader?.take()) this.reader = undefined;
    this.heard?.();
  }

  /** The carrier is gone: the carrier's side. @returns what everybody who asks is told */
  broke(why: string): WireError {
    this.brokenBy ??= new WireError('unreachable', `${this.name}: ${why}`);
    this.reader?.fail(this.brokenBy);
    this.reader = undefined;
    this.tell(this.brokenBy.message);
    return this.brokenBy;
  }

  private read<T>(take: () => T | undefined, timeout: number): Promise<T> {
    const there = take();
    if (there !== undefined) return Promise.resolve(there);
    if (this.brokenBy) return Promise.reject(this.brokenBy);
    if (this.reader) throw new Error(`${this.name}: two reads at once`);
    return new Promise((resolve, reject) => {
      const fail = (error: WireError): void => {
        clearTimeout(timer);
        reject(error);
      };
      const timer = setTimeout(() => {
        this.reader = undefined;
        reject(new WireError('timeout', `${this.name}: no answer in ${timeout} ms`));
      }, timeout);
      const tryTake = (): boolean => {
        const taken = take();
        if (taken === undefined) return false;
        clearTimeout(timer);
        resolve(taken);
        return true;
      };
      this.reader = { take: tryTake, fail };
    });
  }

  private takeLine(end: string): string | undefined {
    const at = this.waiting.indexOf(end, 0, 'latin1');
    if (at < 0) return undefined;
    const line = this.waiting.toString('latin1', 0, at);
    this.waiting = this.waiting.subarray(at + end.length);
    return end === '\n' && line.endsWith('\r') ? line.slice(0, -1) : line;
  }

  private takeBytes(count: number): Buffer | undefined {
    if (this.waiting.length < count) return undefined;
    const taken = this.waiting.subarray(0, count);
    this.waiting = this.waiting.subarray(count);
    return taken;
  }
}
