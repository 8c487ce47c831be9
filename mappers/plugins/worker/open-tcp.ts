import { connect } from 'node:net';
import { errorText } from '../../../runtime/core/errors.ts';
import { WireError } from '../../kit/wire-error.ts';
import { ByteLine } from './byte-line.ts';

export type TcpOptions = {
  readonly host: string;
  readonly port: number;
  /** ms until it counts as unreachable. */
  readonly timeout?: number;
};

const CONNECT_TIMEOUT = 3000;
const KEEPALIVE = 30_000;
/** Bytes that may wait for a peer that does not take them. */
const MOST_UNSENT = 64 * 1024;

/** Opens a TCP connection to a device.
 * @throws WireError `unreachable` */
export function openTcp({ host, port, timeout = CONNECT_TIMEOUT }: TcpOptions): Promise<ByteLine> {
  const name = `${host}:${port}`;
  const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE });
  const line = new ByteLine(name, {
    write: async (bytes) => {
      if (socket.writableLength + bytes.length > MOST_UNSENT)
        throw new Error('it does not take what is sent');
      socket.write(bytes);
    },
    close: () => socket.destroy(),
  });
  socket.on('data', (bytes) => line.received(bytes));
  socket.on('close', () => line.broke('connection lost'));
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      socket.destroy();
      reject(new WireError('unreachable', `${name}: ${errorText(error)}`));
    };
    const timer = setTimeout(() => fail(new Error(`no connection in ${timeout} ms`)), timeout);
    // Stays for good: an error of the socket later on shows as `close`, and must not end the worker.
    socket.on('error', (error) => {
      clearTimeout(timer);
      fail(error);
    });
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(line);
    });
  });
}
