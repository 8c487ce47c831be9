import { createServer, type Server, type Socket } from 'node:net';
import { EdgeError, errorCode } from '../../core/errors.ts';
import type { Peer } from '../peer.ts';

/** Listens for MQTT over TCP.
 * @param port 0 picks a free one
 * @throws EdgeError PORT_TAKEN */
export function listenTcp(
  address: { readonly host: string; readonly port: number },
  accept: (socket: Socket, peer: Peer) => void,
): Promise<Server> {
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }, (socket) => {
    const remote = socket.remoteAddress ?? '';
    accept(socket, { address: `${remote}:${socket.remotePort}`, local: isLoopback(remote) });
  });
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const where = `MQTT ${address.host}:${address.port}`;
      const code = errorCode(cause) === 'EADDRINUSE' ? 'PORT_TAKEN' : 'PORT_UNUSABLE';
      reject(new EdgeError(code, { detail: where, cause }));
    });
    server.listen(address.port, address.host, () => resolve(server));
  });
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.');
}
