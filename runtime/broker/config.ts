import { type Bytes, kibibytes, type Millis, mebibytes, seconds } from '../core/units.ts';

/** What a client may cost the broker. */
export type BrokerLimits = {
  /** Largest packet that is read; told to MQTT 5 clients as Maximum Packet Size. */
  readonly packetBytes: Bytes;
  /** Largest CONNECT: until then nobody knows who it is. */
  readonly connectBytes: Bytes;
  /** Connected clients; beside them as many connections may be closing. */
  readonly clients: number;
  /** Connections that have not sent CONNECT yet; the one that has waited longest gives way. */
  readonly connecting: number;
  /** Sessions, with or without connection, when one more is to outlive its connection. */
  readonly sessions: number;
  /** Longest client id and user name. */
  readonly clientIdBytes: Bytes;
  readonly subscriptionsPerClient: number;
  /** Subscriptions of all clients. */
  readonly subscriptions: number;
  readonly topicLevels: number;
  /** Longest topic and filter. */
  readonly topicBytes: Bytes;
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
  /** What they hold, topics and properties included. */
  readonly retainedBytes: Bytes;
  /** Longest life of a session without connection. */
  readonly sessionExpiry: Millis;
};

export const defaultBrokerLimits: BrokerLimits = {
  packetBytes: mebibytes(1),
  connectBytes: kibibytes(64),
  clients: 1000,
  connecting: 1000,
  sessions: 2000,
  clientIdBytes: kibibytes(1),
  subscriptionsPerClient: 1000,
  subscriptions: 50_000,
  topicLevels: 64,
  topicBytes: kibibytes(4),
  connectTimeout: seconds(10),
  inflight: 32,
  queueCount: 1000,
  queueBytes: mebibytes(1),
  queueDrop: 'oldest',
  socketBytes: kibibytes(256),
  keepAlive: 65_535,
  topicAliases: 32,
  retainedCount: 10_000,
  retainedBytes: mebibytes(64),
  sessionExpiry: seconds(7 * 86_400),
};
