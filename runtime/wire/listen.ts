import type { Server } from 'node:net';
import { EdgeError, errorCode } from '../core/errors.ts';

/** Listens, or says what is wrong with the address.
 * @param what names the server in the error
 * @throws EdgeError PORT_TAKEN, PORT_UNUSABLE */
export function listen(server: Server, what: string, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const code = errorCode(cause) === 'EADDRINUSE' ? 'PORT_TAKEN' : 'PORT_UNUSABLE';
      reject(new EdgeError(code, { detail: `${what} ${host}:${port}`, cause }));
    });
    server.listen(port, host, () => resolve());
  });
}

/** Closes an HTTP server and what is connected to it. */
export function closeServer(server: Server & { closeAllConnections(): void }): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
