import type { ListenOptions, Server, Socket } from 'node:net';
import { EdgeError, errorCode, errorText } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { seconds } from '../../core/units.ts';
import { isLoopback } from '../peer.ts';
import type { Arrival } from './door.ts';

/** For every socket: small packets leave at once, and the kernel notices a peer that is gone for good. */
export const socketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: seconds(60) } as const;

/** Listens. A fault of a server that listens already is logged.
 * @param name says in the error what is listened on
 * @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
export function listen(server: Server, options: ListenOptions, name: string, log: Logger): Promise<void> {
  return new Promise((resolve, reject) => {
    server.on('error', (cause) => {
      const code = errorCode(cause) === 'EADDRINUSE' ? 'PORT_TAKEN' : 'PORT_UNUSABLE';
      if (server.listening) log.warn('a listener has a fault', { listener: name, reason: errorText(cause) });
      else reject(new EdgeError(code, { detail: `MQTT ${name}`, cause }));
    });
    server.listen(options, () => resolve());
  });
}

/** Stops listening; resolves when the last connection has ended, at once for one that never listened. */
export function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

/** Who is at the other end of a TCP socket. */
export function arrivalOf(socket: Socket): Arrival {
  const remote = socket.remoteAddress ?? '';
  return { address: `${remote}:${socket.remotePort}`, local: isLoopback(remote) };
}
