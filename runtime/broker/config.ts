import { type Bytes, kibibytes, type Millis, mebibytes, seconds } from '../core/units.ts';

/** What a client may cost the broker. */
export type BrokerLimits = {
  /** Largest packet that is read; told to MQTT 5 clients as Maximum Packet Size. */
  readonly packetBytes: Bytes;
  readonly clients: number;
  readonly subscriptionsPerClient: number;
  readonly topicLevels: number;
  /** How long a connection may take to send CONNECT. */
  readonly connectTimeout: Millis;
  /** QoS 1 and 2 messages under way to a client at a time, and from it (Receive Maximum). */
  readonly inflight: number;
  /** QoS 1 and 2 messages that wait for a client. */
  readonly queueCount: number;
  readonly queueBytes: Bytes;
  /** Which end gives way when that queue is full. */
  readonly queueDrop: 'oldest' | 'newest';
  /** Bytes that a socket may hold back before QoS 0 to it is dropped. */
  readonly socketBytes: Bytes;
  /** Longest keep-alive in seconds; MQTT 5 clients that want more, or none, are told this one. */
  readonly keepAlive: number;
  /** Topic aliases that a client may set, and most that it is sent. */
  readonly topicAliases: number;
  /** Topics that hold a retained message. */
  readonly retainedCount: number;
  /** Longest life of a session without connection. */
  readonly sessionExpiry: Millis;
};

export const defaultBrokerLimits: BrokerLimits = {
  packetBytes: mebibytes(1),
  clients: 1000,
  subscriptionsPerClient: 1000,
  topicLevels: 64,
  connectTimeout: seconds(10),
  inflight: 32,
  queueCount: 1000,
  queueBytes: mebibytes(1),
  queueDrop: 'oldest',
  socketBytes: kibibytes(256),
  keepAlive: 65_535,
  topicAliases: 32,
  retainedCount: 10_000,
  sessionExpiry: seconds(7 * 86_400),
};
