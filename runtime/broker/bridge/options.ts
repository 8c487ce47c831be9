import { readFileSync } from 'node:fs';
import type { Backoff } from '../../core/retry.ts';
import type { Bytes } from '../../core/units.ts';
import type { TopicMap } from './topic-map.ts';

/** How a remote broker is spoken to. `mqttv311-bridge`: as 3.1.1 with the highest bit of the protocol level set, by which
 * mosquitto and others tell a bridge from a client. */
export type Dialect = 'mqttv5' | 'mqttv311-bridge' | 'mqttv311';

/** PEM files; they are read anew for each connection, so that they may be exchanged. */
export type TlsFiles = {
  /** Undefined: what Node.js trusts. */
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  /** Name in the certificate of the remote broker; undefined: the host that is dialled. */
  readonly serverName: string | undefined;
  /** Takes any certificate. */
  readonly insecure: boolean;
};

/** The broker at the other end. */
export type RemoteOptions = {
  readonly host: string;
  readonly port: number;
  /** Undefined: plain TCP. */
  readonly tls: TlsFiles | undefined;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Tried in this order: the next one when the remote broker refuses the version. */
  readonly dialects: readonly [Dialect, ...Dialect[]];
  /** Whether the remote broker forgets the bridge when the connection ends. */
  readonly cleanSession: boolean;
  /** Seconds of silence after which one side asks whether the other is there. */
  readonly keepAlive: number;
  readonly retry: Backoff;
};

/** What waits while the remote broker is away. */
export type BridgeQueue = {
  readonly count: number;
  readonly bytes: Bytes;
  readonly drop: 'oldest' | 'newest';
};

export type BridgeOptions = {
  /** Tells the bridges of a broker apart, also over restarts. */
  readonly name: string;
  readonly remote: RemoteOptions;
  readonly maps: readonly TopicMap[];
  readonly queue: BridgeQueue;
};

/** @throws Error of the file system */
export function readTlsFiles({ caFile, certFile, keyFile }: TlsFiles): {
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
} {
  return {
    ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }),
    ...(certFile === undefined ? {} : { cert: readFileSync(certFile) }),
    ...(keyFile === undefined ? {} : { key: readFileSync(keyFile) }),
  };
}
