import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/log.ts';
import type { MetricSource } from '../../core/metrics.ts';
import type { Bytes } from '../../core/units.ts';
import type { Peer } from '../peer.ts';
import type { WebSocketRoute } from './web-socket-route.ts';

/** Takes a client in: the broker's side of a listener. */
export type Accept = (stream: Duplex, peer: Peer) => void;

/** A place where clients come in. */
export interface Listener {
  /** For people: `tls 0.0.0.0:8883`. */
  readonly name: string;
  /** What an HTTP server has to know, when the listener has no socket of its own. */
  readonly route?: WebSocketRoute;
  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE, MQTT_CERT_UNUSABLE */
  start(accept: Accept): Promise<void>;
  /** Reads its files again; what cannot be used is logged, and what was in use stays. */
  reload?(): Promise<void>;
  /** Takes nobody any more and drops who has not said CONNECT; resolves when the last one has gone. */
  stop(): Promise<void>;
}

/** What one listener lets in, so that none can use up what the others need. */
export type ListenerRules = {
  readonly maxConnections: number;
  /** Connections that have not had a CONNECT accepted; beyond it the oldest of them gives way. */
  readonly maxPending: number;
  /** New connections a second, in the long run. */
  readonly connectionsPerSecond: number;
  /** New connections at once, as after a restart. */
  readonly connectionBurst: number;
  readonly packetBytes?: number | undefined;
  readonly allowAnonymous?: boolean | undefined;
};

export type ListenerDeps = {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricSource;
  /** The broker's own limit of a packet, for listeners without one. */
  readonly packetBytes: Bytes;
};
