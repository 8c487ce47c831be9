import type { Duplex } from 'node:stream';
import type { IConnackPacket } from 'mqtt-packet';
import { sleep } from '../../core/clock.ts';
import { EdgeError, errorText } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { MetricSource } from '../../core/metrics.ts';
import { backoffDelays } from '../../core/retry.ts';
import { seconds } from '../../core/units.ts';
import type { Waiter } from '../ack-queue.ts';
import type { DurableSession } from '../durable-session.ts';
import type { Hub } from '../hub.ts';
import { makeMessage, type QoS } from '../message.ts';
import { OWN_CLIENT } from '../sessions.ts';
import type { LocalHandler } from '../subscription.ts';
import { isTopic, parseFilter } from '../topics.ts';
import { type BridgeCounters, bridgeCounters } from './counters.ts';
import { EchoFilter } from './echo-filter.ts';
import { Exchange } from './exchange.ts';
import { connectPacket, readConnack } from './handshake.ts';
import type { Deliver } from './incoming.ts';
import { Inlet } from './inlet.ts';
import { sendVolatileRetained, subscribeLocally } from './local-subscriptions.ts';
import type { BridgeOptions, Dialect, RemoteOptions } from './options.ts';
import type { RemotePublish } from './packet-decoder.ts';
import { RemoteConnection } from './remote-connection.ts';
import { RemoteSubscriptions } from './remote-subscriptions.ts';
import { TopicMaps } from './topic-map.ts';

export type BridgeDeps = {
  readonly options: BridgeOptions;
  readonly hub: Hub;
  readonly metrics: MetricSource;
  /** [0, 1) */
  readonly random: () => number;
  readonly dial: (remote: RemoteOptions, signal: AbortSignal) => Promise<Duplex>;
};

export type BridgeState = 'online' | 'connecting' | 'offline';

/** What a bridge works with once it has its session. */
type Parts = {
  readonly session: DurableSession;
  readonly inlet: Inlet;
  readonly subscriptions: RemoteSubscriptions;
};

/** How long the remote broker may take to be reached and to answer CONNECT. */
const PATIENCE = seconds(20);
/** A connection that lived this long starts the back-off over. */
const STABLE = seconds(60);

/** Carries messages between this broker and another one.
 *
 * Its outgoing half is a durable session like a client's: what waits for the remote broker lies in the journal, and the
 * remote broker's acknowledgements are the client's. */
export class Bridge {
  readonly name: string;
  state: BridgeState = 'connecting';
  private readonly deps: BridgeDeps;
  private readonly log: Logger;
  private readonly maps: TopicMaps;
  private readonly counters: BridgeCounters;
  private readonly abort = new AbortController();
  private parts: Parts | undefined;
  private connection: RemoteConnection | undefined;
  private exchange: Exchange | undefined;
  /** For a remote broker that sends a bridge its own messages back. */
  private echoes: EchoFilter | undefined;
  /** Index of the dialect that is tried. */
  private dialect = 0;
  private running: Promise<void> | undefined;

  constructor(deps: BridgeDeps) {
    this.deps = deps;
    const { hub, options, metrics } = deps;
    this.name = options.name;
    this.log = hub.log.child('bridge');
    this.maps = new TopicMaps(options.maps);
    this.counters = bridgeCounters(metrics, this.name, {
      up: () => this.state === 'online',
      queued: () => this.parts?.session.queued ?? 0,
    });
    const { count: queueCount, bytes: queueBytes, drop: queueDrop } = options.queue;
    hub.sessions.declareOwn(this.clientId, {
      limits: { ...hub.limits, queueCount, queueBytes, queueDrop },
      dropped: this.counters.dropped,
    });
  }

  /** Takes up its session and starts connecting. The broker has loaded what the last process left. */
  start(): void {
    const { hub } = this.deps;
    const session = hub.sessions.ofProcess(this.clientId);
    const inlet = new Inlet({ hub, session, maps: this.maps, dropped: this.counters.dropped });
    const subscriptions = new RemoteSubscriptions({ session, log: this.log });
    this.parts = { session, inlet, subscriptions };
    subscribeLocally(hub, session, this.maps.outgoing);
    for (const { filter, qos } of this.maps.incoming) subscriptions.want(filter, qos);
    this.running = this.run(this.parts);
  }

  async stop(): Promise<void> {
    this.abort.abort();
    this.connection?.send({ cmd: 'disconnect' });
    this.connection?.close('stopped');
    await this.running;
  }

  /** Sends a message to the remote broker alone.
   * @throws EdgeError MQTT_TOPIC_INVALID */
  publish(message: { topic: string; payload: Buffer; qos: QoS; retain: boolean }): void {
    // A topic with wildcards would have the remote broker end the connection, again and again.
    if (!isTopic(message.topic, this.deps.hub.limits.topicLevels)) throw invalid(message.topic);
    const match = { qos: message.qos, retainAsPublished: true, ids: undefined };
    if (this.parts) this.deps.hub.router.deliverTo(this.parts.session, match, makeMessage(message));
  }

  /** Subscribes to the remote broker for a module of this process; the bridge has been started.
   * @returns how to end it
   * @throws EdgeError MQTT_TOPIC_INVALID */
  listen(filter: string, qos: QoS, handler: LocalHandler): () => void {
    if (!parseFilter(filter, this.deps.hub.limits.topicLevels)) throw invalid(filter);
    if (!this.parts) throw new Error(`the bridge ${this.name} is not started`);
    const { inlet, subscriptions } = this.parts;
    const end = inlet.listen(filter, handler);
    subscriptions.want(filter, qos);
    return () => {
      end();
      subscriptions.unwant(filter);
    };
  }

  private get clientId(): string {
    return OWN_CLIENT + this.deps.options.name;
  }

  private async run(parts: Parts): Promise<void> {
    const { hub, random, options } = this.deps;
    const { signal } = this.abort;
    const { retry, host, port } = options.remote;
    let delays = backoffDelays(retry, random);
    while (!signal.aborted) {
      const started = hub.clock.monotonic();
      const reason = await this.once(parts).catch(errorText);
      if (signal.aborted) return;
      if (hub.clock.monotonic() - started > STABLE) delays = backoffDelays(retry, random);
      const retryMs = delays.next().value;
      this.state = 'offline';
      const server = `${host}:${port}`;
      this.log.warn('no connection to the remote broker', { resource: this.name, server, reason, retryMs });
      await sleep(hub.clock, retryMs, signal);
    }
  }

  /** One connection from dial to end.
   * @returns why it ended */
  private async once(parts: Parts): Promise<string> {
    const { hub, dial, options } = this.deps;
    const late = new AbortController();
    const timer = hub.clock.after(PATIENCE, () => late.abort());
    try {
      const stream = await dial(options.remote, AbortSignal.any([this.abort.signal, late.signal]));
      const ended = new Promise<string>((resolve) => {
        const connection = this.open(parts, stream, () => timer.cancel(), resolve);
        late.signal.addEventListener('abort', () => connection.close('no answer to CONNECT'));
      });
      // Stopped in the moment in which it was reached.
      if (this.abort.signal.aborted) this.connection?.close('stopped');
      return await ended;
    } finally {
      timer.cancel();
    }
  }

  private open(
    parts: Parts,
    stream: Duplex,
    answered: () => void,
    ended: (why: string) => void,
  ): RemoteConnection {
    const { hub, options } = this.deps;
    const dialect = options.remote.dialects[this.dialect] ?? options.remote.dialects[0];
    const connection: RemoteConnection = new RemoteConnection({
      hub,
      stream,
      version: dialect === 'mqttv5' ? 5 : 4,
      events: {
        packet: (packet) => {
          if (this.exchange) return this.exchange.take(packet);
          if (packet.cmd !== 'connack') return connection.close(`${packet.cmd} before CONNACK`);
          answered();
          this.accept(parts, connection, dialect, packet);
        },
        drained: () => parts.session.pump(),
        closed: (why) => {
          this.exchange?.end();
          this.exchange = undefined;
          this.connection = undefined;
          ended(why);
        },
        // Without maps only modules of this process use it, and they know the names on the other side.
        rename: (topic) => (options.maps.length > 0 ? this.maps.toRemote(topic) : topic),
        sent: (topic, payload) => {
          this.counters.sent.add();
          if (this.echoes && this.maps.toLocal(topic) !== undefined)
            this.echoes.sent(topic, payload, hub.clock.monotonic());
        },
        skipped: () => this.counters.dropped.add(),
      },
    });
    this.connection = connection;
    connection.send(connectPacket(options.remote, dialect, hub.limits));
    return connection;
  }

  private accept(parts: Parts, connection: RemoteConnection, dialect: Dialect, packet: IConnackPacket): void {
    const { hub, options } = this.deps;
    const { remote } = options;
    const { inflight } = hub.limits;
    const terms = readConnack(packet, dialect, { keepAlive: remote.keepAlive, inflight });
    if ('refused' in terms) {
      if (terms.isVersion) this.dialect = (this.dialect + 1) % remote.dialects.length;
      return connection.close(terms.refused);
    }
    const { host, port } = remote;
    this.log.info('bridge up', { resource: this.name, server: `${host}:${port}`, dialect });
    this.state = 'online';
    this.counters.connected.add();
    this.echoes = dialect === 'mqttv311' ? (this.echoes ?? new EchoFilter()) : undefined;
    connection.accepted(terms);
    const { counters, log } = this;
    const deliver: Deliver = (publish, ticket) => this.deliver(parts.inlet, publish, ticket);
    this.exchange = new Exchange({ ...parts, connection, counters, deliver, log });
    this.exchange.begin(terms.present);
    sendVolatileRetained(hub, parts.session, this.maps.outgoing);
  }

  private deliver(inlet: Inlet, packet: RemotePublish, ticket?: () => Waiter): boolean {
    if (this.echoes?.isEcho(packet.topic, packet.payload, this.deps.hub.clock.monotonic())) return false;
    return inlet.deliver(packet, ticket);
  }
}

function invalid(topic: string): EdgeError {
  return new EdgeError('MQTT_TOPIC_INVALID', { detail: JSON.stringify(topic) });
}
