import type { MessagePort } from 'node:worker_threads';
import type { SerialPort } from 'serialport';
import { errorText } from '../../runtime/core/errors.ts';
import { openSerialPort } from '../kit/serial-port.ts';
import type { SerialOptions } from './messages.ts';

type Said = { readonly bytes?: unknown; readonly took?: unknown };

/** Bytes on their way to a worker; a line that brings more is not read until it has taken some. */
const MOST_UNTAKEN = 32 * 1024;
/** Of all plugins; more than a gateway has, fewer than a plugin that asks without end could take. */
const MOST_LINES = 64;

/** Opens serial lines for the workers of plugins. In the main thread, because the native part of serialport waits on the
 * process's first event loop whichever thread asks it: in a worker two threads would be in one loop at once.
 * A line is closed when its worker ends. */
export class SerialDesk {
  /** Lines that are being closed, by path: the device is taken until then. */
  private readonly closing = new Map<string, Promise<void>>();
  /** Lines that are open or being opened. */
  private lines = 0;

  /** @param port the worker's end: it says `{bytes}` and `{took}`, and hears `{open}`, `{bytes}`, `{sent}` or `{fault}` */
  async open(options: SerialOptions, port: MessagePort): Promise<void> {
    let line: SerialPort | undefined;
    let gone = false;
    if (this.lines >= MOST_LINES) return port.close();
    this.lines++;
    port.once('close', () => {
      gone = true;
      this.lines--;
      if (line) this.close(options.path, line);
    });
    try {
      line = await this.openLine(options);
    } catch (error) {
      port.postMessage({ fault: errorText(error) });
      return port.close();
    }
    if (gone) return this.close(options.path, line);
    join(line, port);
    port.postMessage({ open: true });
  }

  private async openLine({ path, ...settings }: SerialOptions): Promise<SerialPort> {
    await this.closing.get(path);
    return openSerialPort(path, settings);
  }

  private close(path: string, line: SerialPort): void {
    if (!line.isOpen) return;
    const closed = new Promise<void>((resolve) => line.close(() => resolve())).then(() => {
      if (this.closing.get(path) === closed) this.closing.delete(path);
    });
    this.closing.set(path, closed);
  }
}

function join(line: SerialPort, port: MessagePort): void {
  let untaken = 0;
  line.on('data', (bytes: Buffer) => {
    untaken += bytes.length;
    if (untaken > MOST_UNTAKEN) line.pause();
    // A copy of its own: Node's buffers share one memory, and all of it would go along.
    port.postMessage({ bytes: Uint8Array.from(bytes) });
  });
  line.once('close', () => port.close());
  port.on('message', ({ bytes, took }: Said) => {
    if (typeof took === 'number') untaken = Math.max(0, untaken - took);
    if (line.isPaused() && untaken <= MOST_UNTAKEN / 2) line.resume();
    if (!(bytes instanceof Uint8Array)) return;
    line.write(Buffer.from(bytes), () => port.postMessage({ sent: bytes.length }));
  });
}
