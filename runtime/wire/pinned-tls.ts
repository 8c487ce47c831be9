import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';

export type PinnedOptions = {
  readonly host: string;
  readonly port: number;
  /** Whom to believe, PEM. */
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
};

/** Connects to who has a certificate of this CA for this name, whatever the dates in it say.
 *
 * For machines whose clock is wrong: without a clock a certificate is neither expired nor not yet valid. Signature and name
 * are checked as ever, and nothing is written before they are.
 * @returns the socket, its handshake done; rejects when the other end is not the one that was meant */
export async function pinnedSocket(options: PinnedOptions, signal: AbortSignal): Promise<TLSSocket> {
  const { port, ca, cert, key } = options;
  const host = options.host.replace(/^\[|\]$/g, '');
  const tls: ConnectionOptions = { host, port, ca, minVersion: 'TLSv1.2', rejectUnauthorized: false };
  const identity = cert && key ? { cert, key } : {};
  const socket = connect({ ...tls, ...identity, ...(isIP(host) ? {} : { servername: host }) });
  try {
    await once(socket, 'secureConnect', { signal });
    const fault = faultOf(socket, host, ca);
    if (fault) throw fault;
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function faultOf(socket: TLSSocket, host: string, ca: string): Error | undefined {
  const peer = socket.getPeerX509Certificate();
  if (!peer) return new Error('the other end has no certificate');
  if (!isSigned(peer, new X509Certificate(ca)))
    return Object.assign(new Error('unable to verify the first certificate'), {
      code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    });
  const fits = isIP(host) ? peer.checkIP(host) : peer.checkHost(host);
  return fits === undefined ? new Error(`its certificate is not for ${host}`) : undefined;
}

/** KubeEdge's certificates are signed by the CA itself, without any between. */
function isSigned(peer: X509Certificate, ca: X509Certificate): boolean {
  return peer.checkIssued(ca) && peer.verify(ca.publicKey);
}
