import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type RemoteOptions, readTlsFiles } from './options.ts';

/** Opens the connection to a remote broker.
 * @param signal gives up, as does its time limit
 * @throws Error when it cannot be opened */
export function dial(remote: RemoteOptions, signal: AbortSignal): Promise<Socket> {
  const { host, port, tls } = remote;
  const socket = tls ? dialTls(remote) : connectTcp({ host, port, noDelay: true });
  return new Promise((resolve, reject) => {
    const give = (work: () => void): void => {
      signal.removeEventListener('abort', aborted);
      socket.removeListener('error', failed);
      work();
    };
    const failed = (error: Error): void => {
      give(() => reject(error));
      socket.destroy();
    };
    const aborted = (): void => failed(new Error('no connection in time'));
    if (signal.aborted) return aborted();
    signal.addEventListener('abort', aborted, { once: true });
    socket.once('error', failed);
    socket.once(tls ? 'secureConnect' : 'connect', () => give(() => resolve(socket)));
  });
}

function dialTls({ host, port, tls }: RemoteOptions): Socket {
  if (!tls) throw new Error('no TLS is wanted');
  // A name for SNI is not an address. [RFC 6066 §3]
  const servername = tls.serverName ?? (isIP(host) ? undefined : host);
  const socket = connectTls({
    host,
    port,
    ...(servername === undefined ? {} : { servername }),
    ...readTlsFiles(tls),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: !tls.insecure,
  });
  socket.setNoDelay(true);
  return socket;
}
