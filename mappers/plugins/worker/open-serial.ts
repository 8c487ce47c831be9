import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { WireError } from '../../kit/wire-error.ts';
import type { SerialOptions } from '../messages.ts';
import { ByteLine } from './byte-line.ts';

/** Hands an end of a channel to the main thread, which opens the line: see serial-desk.ts. */
export type AskForSerial = (options: SerialOptions, port: MessagePort) => void;

type Told = {
  readonly fault?: string;
  readonly open?: true;
  readonly bytes?: Uint8Array;
  readonly sent?: number;
};

/** Bytes that may wait for the line. */
const MOST_UNSENT = 16 * 1024;
const OPEN_TIMEOUT = 5000;

/** Makes the kit's `openSerial`. */
export function serialOpener(ask: AskForSerial) {
  /** Opens a serial line; 8 data bits, no parity, 1 stop bit unless said otherwise.
   * @throws WireError `unreachable` */
  return (options: Partial<SerialOptions> & Pick<SerialOptions, 'path'>): Promise<ByteLine> => {
    const { port1: port, port2 } = new MessageChannel();
    ask({ baudRate: 9600, dataBits: 8, parity: 'none', stopBits: 1, ...options }, port2);
    let unsent = 0;
    const line = new ByteLine(options.path, {
      write: async (bytes) => {
        if (unsent + bytes.length > MOST_UNSENT) throw new Error('the line is slower than what is sent');
        unsent += bytes.length;
        port.postMessage({ bytes });
      },
      close: () => port.close(),
    });
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        clearTimeout(timer);
        port.close();
        reject(line.broke(why));
      };
      const timer = setTimeout(() => fail(`not open in ${OPEN_TIMEOUT} ms`), OPEN_TIMEOUT);
      port.on('message', ({ fault, open, bytes, sent = 0 }: Told) => {
        unsent -= sent;
        if (fault !== undefined) fail(fault);
        if (open) {
          clearTimeout(timer);
          resolve(line);
        }
        if (!bytes) return;
        line.received(bytes);
        port.postMessage({ took: bytes.length });
      });
      port.on('close', () => fail('connection lost'));
    });
  };
}

/** The kit outside of edgecore, in a plugin's own tests: there is nobody who opens lines. */
export function noSerial(): Promise<never> {
  return Promise.reject(new WireError('unreachable', 'serial lines are opened by edgecore: test over TCP'));
}
