import { matches } from '../broker/topics.ts';
import { errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { MessageDraft } from '../core/message.ts';
import type { DeviceId } from '../core/units.ts';
import { busFilters, routeTopic } from './topics.ts';

type QoS = 0 | 1 | 2;

/** A broker, the one in this process or another one, as far as the bus uses it. */
export interface BusBroker {
  /** Whether a message on a topic would reach anybody; absent where that cannot be known. */
  hears?(topic: string): boolean;
  publish(message: { topic: string; payload: Buffer; qos: QoS; retain: boolean }): void;
  /** The handler's promise holds back the acknowledgement of a QoS 1 or 2 message. */
  subscribe(
    filter: string,
    handler: (topic: string, payload: Buffer, info: { qos: QoS }) => Promise<void> | void,
  ): () => void;
}

export type EventBusDeps = {
  readonly node: string;
  /** Every one of them is published to and listened to. */
  readonly brokers: readonly BusBroker[];
  /** How the broker in this process is published to. */
  readonly qos: QoS;
  readonly retain: boolean;
  readonly store: {
    durable(work: () => void): Promise<void>;
    readonly topics: { add(topic: string): void; list(): string[]; remove(topic: string): void };
  };
  readonly twins: {
    handleDevice(id: DeviceId, action: string, payload: string): Promise<void>;
    handleMembershipGet(payload: string): void;
  };
  readonly outbox: {
    /** Resolves when it is on disk. */
    put(subject: string | null, draft: MessageDraft): Promise<void>;
    /** Memory only. */
    offer(draft: MessageDraft): void;
  };
  readonly log: Logger;
};

/** Carries messages between the MQTT topics of this node and the twins and rules of the cloud.
 * @source KubeEdge edge/pkg/eventbus */
export class EventBus {
  readonly name = 'eventbus';
  private readonly deps: EventBusDeps;
  private readonly log: Logger;
  private readonly subscriptions = new Map<string, { levels: readonly string[]; end: () => void }>();

  constructor(deps: EventBusDeps) {
    this.deps = deps;
    this.log = deps.log.child('eventbus');
  }

  async start(): Promise<void> {
    for (const filter of [...busFilters, ...this.deps.store.topics.list()]) this.listen(filter);
  }

  async stop(): Promise<void> {
    for (const { end } of this.subscriptions.values()) end();
    this.subscriptions.clear();
  }

  /** Whether what is published on a topic is of any use: what nobody hears and nothing keeps need not be made. */
  hears(topic: string): boolean {
    const { brokers, retain } = this.deps;
    return retain || brokers.some((broker) => broker.hears?.(topic) ?? true);
  }

  /** Publishes a payload of this node, as JSON. */
  publish(topic: string, payload: unknown): void {
    this.deliver(topic, JSON.stringify(payload));
  }

  /** Publishes what a rule in the cloud sends to a topic. */
  deliver(topic: string, payload: string): void {
    const { brokers, qos, retain } = this.deps;
    const message = { topic, payload: Buffer.from(payload), qos, retain };
    try {
      for (const broker of brokers) broker.publish(message);
    } catch (error) {
      this.log.error('a message cannot be published', { resource: topic, reason: errorText(error) });
    }
  }

  /** Publishes the cloud's answer to `authInfo/get`. */
  authInfo(payload: string): void {
    this.deliver(`$hw/events/node/${this.deps.node}/authInfo/get/result`, payload);
  }

  /** A rule wants what arrives on a topic, also after a restart. */
  subscribe(topic: string): void {
    if (this.listen(topic)) void this.keep(topic, () => this.deps.store.topics.add(topic));
  }

  unsubscribe(topic: string): void {
    void this.keep(topic, () => this.deps.store.topics.remove(topic));
    if (busFilters.includes(topic)) return;
    this.subscriptions.get(topic)?.end();
    this.subscriptions.delete(topic);
  }

  private async keep(topic: string, work: () => void): Promise<void> {
    await this.deps.store.durable(work).catch((error) => {
      this.log.error("a rule's topic could not be kept", { resource: topic, error });
    });
  }

  /** @returns false when no broker takes such a filter */
  private listen(filter: string): boolean {
    if (this.subscriptions.has(filter)) return true;
    const ends: (() => void)[] = [];
    try {
      for (const broker of this.deps.brokers)
        ends.push(
          broker.subscribe(filter, (topic, payload, { qos }) =>
            this.isFirst(filter, topic) ? this.route(topic, payload, qos) : undefined,
          ),
        );
    } catch (error) {
      for (const stop of ends) stop();
      this.log.error('a topic cannot be listened to', { resource: filter, reason: errorText(error) });
      return false;
    }
    const end = (): void => {
      for (const stop of ends) stop();
    };
    this.subscriptions.set(filter, { levels: filter.split('/'), end });
    return true;
  }

  /** A rule's topic may lie within another filter: then the message came twice and counts once. */
  private isFirst(filter: string, topic: string): boolean {
    for (const [name, { levels }] of this.subscriptions) if (matches(levels, topic)) return name === filter;
    return true;
  }

  private async route(topic: string, payload: Buffer, qos: QoS): Promise<void> {
    const route = routeTopic(topic);
    const text = payload.toString();
    switch (route.kind) {
      case 'device':
        return this.deps.twins.handleDevice(route.id, route.action, text);
      case 'membership':
        return this.deps.twins.handleMembershipGet(text);
      case 'upload':
        return this.upload(topic, text, qos);
      default:
        route satisfies never;
    }
  }

  /** With QoS 1 and 2 the publisher hears that it is safe once it is on disk; QoS 0 is not worth the flash. */
  private async upload(resource: string, content: string, qos: QoS): Promise<void> {
    const draft = { source: 'bus', group: 'user', operation: 'upload', resource, content };
    if (qos === 0) this.deps.outbox.offer(draft);
    else await this.deps.outbox.put(null, draft);
  }
}
