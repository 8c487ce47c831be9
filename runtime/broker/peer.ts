import type { Bytes } from '../core/units.ts';

/** Where a connection comes from, and what its listener says of it. */
export type Peer = {
  /** For logs: `192.0.2.7:4711`, `unix:/run/edgecore/mqtt.sock`. */
  readonly address: string;
  /** True for loopback and a unix socket. */
  readonly local: boolean;
  /** Common name of the certificate that a TLS listener has verified. */
  readonly certificateName?: string;
  /** Whether a client without a name is let in; undefined: only a local one. */
  readonly allowAnonymous?: boolean;
  /** Largest packet that is read from it; undefined: the broker's limit. */
  readonly packetBytes?: Bytes;
  /** Told once, when its CONNECT has been accepted. */
  readonly accepted?: () => void;
};

/** True for an address that only this machine can have. */
export function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.');
}
