import type { Duplex } from 'node:stream';
import type { Clock } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { MetricSource } from '../core/metrics.ts';
import { type Authority, localOnly } from './auth.ts';
import { Bridge, type BridgeDeps } from './bridge/bridge.ts';
import { dial } from './bridge/dial.ts';
import type { BridgeOptions } from './bridge/options.ts';
import { type BrokerLimits, defaultBrokerLimits } from './config.ts';
import { Connection } from './connection.ts';
import { type BrokerCounters, Hub } from './hub.ts';
import type { ListenerConfig } from './listeners/config.ts';
import { createListener } from './listeners/create.ts';
import type { Listener } from './listeners/listener.ts';
import type { WebSocketRoute } from './listeners/web-socket-route.ts';
import { memoryBrokerStore } from './memory-store.ts';
import { type Message, makeMessage, type QoS } from './message.ts';
import type { Peer } from './peer.ts';
import type { BrokerStore } from './persistence.ts';
import { reason } from './reason.ts';
import type { LocalHandler } from './subscription.ts';
import { isTopic, parseFilter } from './topics.ts';

export type BrokerDeps = {
  readonly listeners: readonly ListenerConfig[];
  readonly limits?: Partial<BrokerLimits>;
  readonly authority?: Authority;
  /** Without one everything ends with the process. */
  readonly store?: BrokerStore;
  /** Says `unspecified` where a client would learn that a rule forbids it a topic. */
  readonly concealDenials?: boolean;
  /** What `$SYS/broker/version` says. */
  readonly version?: string;
  readonly bridges?: readonly BridgeOptions[];
  /** How their connections are opened, if not over the network. */
  readonly dial?: BridgeDeps['dial'];
  /** [0, 1) */
  readonly random?: () => number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricSource;
};

/** An MQTT 3.1, 3.1.1 and 5.0 broker for clients on sockets and modules in this process. It knows nothing of KubeEdge. */
export class Broker {
  readonly name = 'broker';
  private readonly hub: Hub;
  private readonly listeners: readonly Listener[];
  private readonly limits: BrokerLimits;
  private readonly bridges: readonly Bridge[];

  constructor(deps: BrokerDeps) {
    this.limits = { ...defaultBrokerLimits, ...deps.limits };
    const { clock, metrics } = deps;
    const authority = deps.authority ?? localOnly;
    const store = deps.store ?? memoryBrokerStore();
    const log = deps.log.child('broker');
    const denial = deps.concealDenials ? reason.unspecified : reason.notAuthorized;
    const version = deps.version ?? 'edgecore';
    this.hub = new Hub({ limits: this.limits, authority, denial, version, store, clock, log, metrics });
    const { hub } = this;
    const links = { hub, metrics, random: deps.random ?? Math.random, dial: deps.dial ?? dial };
    this.bridges = (deps.bridges ?? []).map((options) => new Bridge({ ...links, options }));
    const shared = { clock, log: deps.log, metrics, packetBytes: this.limits.packetBytes };
    this.listeners = deps.listeners.map((config) => createListener(config, shared));
  }

  get clients(): number {
    return this.hub.clients;
  }

  get counters(): BrokerCounters {
    return this.hub.counters;
  }

  /** Paths of an HTTP server on which clients come as WebSockets. */
  get routes(): WebSocketRoute[] {
    return this.listeners.flatMap(({ route }) => route ?? []);
  }

  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE, MQTT_CERT_UNUSABLE */
  async start(): Promise<void> {
    this.hub.load();
    for (const bridge of this.bridges) bridge.start();
    for (const listener of this.listeners) {
      await listener.start((stream, peer) => this.attach(stream, peer));
    }
  }

  /** Reads the files of the listeners again, without touching a connection. */
  async reload(): Promise<void> {
    for (const listener of this.listeners) await listener.reload?.();
  }

  async stop(): Promise<void> {
    const stopped = this.listeners.map((listener) => listener.stop());
    this.hub.closeAll();
    await Promise.all([...stopped, ...this.bridges.map((bridge) => bridge.stop())]);
  }

  /** Serves a client on any byte stream. */
  attach(stream: Duplex, peer: Peer): void {
    new Connection({ hub: this.hub, stream, peer });
  }

  /** The bridge of that name, one of those that it was made with. */
  bridge(name: string): Bridge | undefined {
    return this.bridges.find((bridge) => bridge.name === name);
  }

  /** Whether what is published on a topic, and not retained, would reach anybody now. */
  hears(topic: string): boolean {
    return this.hub.router.hears(topic);
  }

  /** Publishes from this process. */
  publish(message: { topic: string; payload: Buffer; qos: QoS; retain: boolean }): void {
    // Handlers of this process answer to the publisher; here there is none who waits.
    this.hub.publish(this.made(message));
  }

  /** The same, for who must know that it is safe.
   * @returns resolves once every session that waits for it has it on disk
   * @throws EdgeError MQTT_TOPIC_INVALID, STORE_WRITE_FAILED */
  async publishSafely(message: Parameters<Broker['publish']>[0]): Promise<void> {
    const made = this.made(message);
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: unknown): void => (error === undefined ? resolve() : reject(error));
      if (!this.hub.publish(made, () => ({ settle }))) resolve();
    });
  }

  /** What is retained on a topic. */
  retained(topic: string): Buffer | undefined {
    const [message] = this.hub.retained.matching(topic.split('/'), this.hub.clock.monotonic());
    return message?.payload;
  }

  /** Subscribes from this process; what is retained does not come.
   * @returns how to end it
   * @throws EdgeError MQTT_TOPIC_INVALID */
  subscribe(filter: string, handler: LocalHandler): () => void {
    const parsed = parseFilter(filter, this.limits.topicLevels);
    if (!parsed) throw new EdgeError('MQTT_TOPIC_INVALID', { detail: JSON.stringify(filter) });
    const subscription = { kind: 'local', filter: parsed, handler } as const;
    this.hub.router.add(subscription);
    return () => this.hub.router.remove(subscription);
  }

  private made(message: Parameters<Broker['publish']>[0]): Message {
    if (isTopic(message.topic, this.limits.topicLevels)) return makeMessage(message);
    throw new EdgeError('MQTT_TOPIC_INVALID', { detail: JSON.stringify(message.topic) });
  }
}
