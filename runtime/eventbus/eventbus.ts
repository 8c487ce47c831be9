import type { Logger } from '../core/log.ts';
import type { MessageDraft } from '../core/message.ts';
import type { DeviceId } from '../core/units.ts';
import { busFilters, routeTopic } from './topics.ts';

/** The broker in this process, as far as the bus uses it. */
export interface LocalBroker {
  publish(message: { topic: string; payload: Buffer; qos: 0 | 1 | 2; retain: boolean }): void;
  /** The handler's promise holds back the acknowledgement of a QoS 1 or 2 message. */
  subscribe(
    filter: string,
    handler: (topic: string, payload: Buffer, info: { qos: 0 | 1 | 2 }) => Promise<void> | void,
  ): () => void;
}

export type EventBusDeps = {
  readonly broker: LocalBroker;
  readonly store: {
    durable(work: () => void): Promise<void>;
    readonly topics: { add(topic: string): void; list(): string[]; remove(topic: string): void };
  };
  readonly twins: {
    handleDevice(id: DeviceId, action: string, payload: string): Promise<void>;
    handleMembershipGet(payload: string): void;
  };
  readonly outbox: {
    put(subject: string | null, draft: MessageDraft): Promise<void>;
    /** Sends what is not worth keeping, if there is a link. */
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
  private readonly subscriptions = new Map<string, () => void>();

  constructor(deps: EventBusDeps) {
    this.deps = deps;
    this.log = deps.log.child('eventbus');
  }

  async start(): Promise<void> {
    for (const filter of [...busFilters, ...this.deps.store.topics.list()]) this.listen(filter);
  }

  async stop(): Promise<void> {
    for (const unsubscribe of this.subscriptions.values()) unsubscribe();
    this.subscriptions.clear();
  }

  /** Publishes a payload of this node, as JSON. Differs: KubeEdge publishes with QoS 1 to an external broker;
   * here QoS 1 costs nothing to those who subscribed with 0. */
  publish(topic: string, payload: unknown): void {
    this.deps.broker.publish({ topic, payload: Buffer.from(JSON.stringify(payload)), qos: 1, retain: false });
  }

  /** Publishes what a rule in the cloud sends to a topic. */
  deliver(topic: string, payload: string): void {
    this.deps.broker.publish({ topic, payload: Buffer.from(payload), qos: 1, retain: false });
  }

  /** A rule wants what arrives on a topic, also after a restart. */
  subscribe(topic: string): void {
    void this.keep(topic, () => this.deps.store.topics.add(topic));
    this.listen(topic);
  }

  unsubscribe(topic: string): void {
    void this.keep(topic, () => this.deps.store.topics.remove(topic));
    if (busFilters.includes(topic)) return;
    this.subscriptions.get(topic)?.();
    this.subscriptions.delete(topic);
  }

  private async keep(topic: string, work: () => void): Promise<void> {
    await this.deps.store.durable(work).catch((error) => {
      this.log.error("a rule's topic could not be kept", { resource: topic, error });
    });
  }

  private listen(filter: string): void {
    if (this.subscriptions.has(filter)) return;
    const unsubscribe = this.deps.broker.subscribe(filter, (topic, payload, { qos }) =>
      this.route(topic, payload, qos),
    );
    this.subscriptions.set(filter, unsubscribe);
  }

  private async route(topic: string, payload: Buffer, qos: 0 | 1 | 2): Promise<void> {
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

  /** What was published with QoS 0 nobody expects to outlive an outage. */
  private async upload(topic: string, content: string, qos: 0 | 1 | 2): Promise<void> {
    const draft = { source: 'bus', group: 'user', operation: 'upload', resource: topic, content };
    if (qos === 0) this.deps.outbox.offer(draft);
    else await this.deps.outbox.put(null, draft);
  }
}
