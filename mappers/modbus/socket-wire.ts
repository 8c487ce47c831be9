import { createSocket } from 'node:dgram';
import { connect as connectTcp, type Socket } from 'node:net';
import { errorText } from '../../runtime/core/errors.ts';
import type { NetworkAddress } from './config-endpoint.ts';
import type { Wire } from './wire.ts';

const CONNECT_TIMEOUT = 3000;
/** Finds out that a silent peer is gone while nothing is asked of it. */
const KEEPALIVE = 30_000;

/** What has come, until its socket has taken it, which is at once: so one will do for all sockets. Otherwise node would make
 * 64 KB for every answer. */
const incoming = Buffer.allocUnsafeSlow(2048);

/** Connects over TCP.
 * @throws Error when that is refused or takes longer than 3 s */
export async function openTcpWire({ host, port }: NetworkAddress): Promise<Wire> {
  const socket = await openSocket(host, port, (chunk) => wire.onData(chunk));
  let reason = 'connection lost';
  const wire: Wire = {
    onData: () => {},
    lost: new Promise((resolve) => {
      socket.on('error', (error) => {
        reason = `connection lost: ${errorText(error)}`;
      });
      socket.once('close', () => resolve(reason));
      // A PLC that says goodbye answers nothing more.
      socket.once('end', () => socket.destroy());
    }),
    send: (bytes) => void socket.write(bytes),
    close: () => {
      socket.destroy();
      return Promise.resolve();
    },
  };
  return wire;
}

/** @param take gets what comes, as bytes of its own */
function openSocket(host: string, port: number, take: (chunk: Buffer) => void): Promise<Socket> {
  const socket = connectTcp({
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE,
    onread: {
      buffer: incoming,
      callback: (size) => {
        const chunk = Buffer.allocUnsafe(size);
        incoming.copy(chunk, 0, 0, size);
        take(chunk);
        return true;
      },
    },
  });
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    const stop = (): void => clearTimeout(timer);
    const timer = setTimeout(
      () => fail(new Error(`no connection in ${CONNECT_TIMEOUT} ms`)),
      CONNECT_TIMEOUT,
    );
    socket.once('error', fail);
    socket.once('close', stop);
    socket.once('connect', () => {
      stop();
      socket.off('error', fail);
      socket.off('close', stop);
      resolve(socket);
    });
  });
}

/** Makes a socket whose datagrams go to one place and come from there only.
 * @throws Error when the host has no address */
export async function openUdpWire({ host, port }: NetworkAddress): Promise<Wire> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.connect(port, host, () => {
      socket.off('error', reject);
      resolve();
    });
  });
  let isOpen = true;
  const close = (): void => {
    if (isOpen) socket.close();
    isOpen = false;
  };
  const wire: Wire = {
    onData: () => {},
    lost: new Promise((resolve) => {
      // Nobody listens there: the network said so to an earlier datagram.
      socket.on('error', (error) => {
        close();
        resolve(errorText(error));
      });
    }),
    send: (bytes) => {
      if (isOpen) socket.send(bytes);
    },
    close: () => {
      close();
      return Promise.resolve();
    },
  };
  socket.on('message', (datagram) => wire.onData(datagram));
  return wire;
}
