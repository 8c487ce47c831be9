import type { Counter } from '../../core/metrics.ts';
import type { Waiter } from '../ack-queue.ts';
import { Gate } from '../gate.ts';
import type { Hub } from '../hub.ts';
import type { Message } from '../message.ts';
import type { Session } from '../session.ts';
import type { LocalHandler } from '../subscription.ts';
import { matches } from '../topics.ts';
import type { RemotePublish } from './packet-decoder.ts';
import type { TopicMaps } from './topic-map.ts';

type Listener = { readonly levels: readonly string[]; readonly handler: LocalHandler };

/** What becomes of a message from the remote broker: it is published here under its local name, and told to those modules of
 * this process that listen to the remote broker itself. */
export class Inlet {
  private readonly hub: Hub;
  private readonly session: Session;
  private readonly maps: TopicMaps;
  private readonly dropped: Counter;
  private readonly listeners = new Set<Listener>();

  constructor(deps: { hub: Hub; session: Session; maps: TopicMaps; dropped: Counter }) {
    this.hub = deps.hub;
    this.session = deps.session;
    this.maps = deps.maps;
    this.dropped = deps.dropped;
  }

  /** @returns how to end it */
  listen(filter: string, handler: LocalHandler): () => void {
    const listener = { levels: filter.split('/'), handler };
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** @param ticket gives who is to know when it is safe; asked only when there is something to wait for
   * @returns whether there was */
  deliver(packet: RemotePublish, ticket?: () => Waiter): boolean {
    const topic = this.maps.toLocal(packet.topic);
    const heard = this.tell(packet);
    if (topic === undefined && !heard.isHeard) this.dropped.add();
    const message = topic === undefined ? undefined : this.toMessage(packet, topic);
    const { gate } = heard;
    if (!gate) return message !== undefined && this.publish(message, ticket);
    if (message) this.publish(message, () => gate.enter());
    gate.onOpen(ticket?.());
    return true;
  }

  private publish(message: Message, ticket: (() => Waiter) | undefined): boolean {
    const { hub } = this;
    const route = hub.router.routeOf(message.topic);
    // `$SYS` is the broker's own. [MQTT-4.7.2-1]
    if (
      !route.isTopic ||
      message.topic.startsWith('$SYS/') ||
      message.payload.length > hub.limits.packetBytes
    ) {
      this.dropped.add();
      return false;
    }
    hub.flusher.begin();
    const waits = hub.router.deliver(route, message, this.session, ticket);
    hub.flusher.end();
    return waits;
  }

  private tell({ topic, payload, qos, retain }: RemotePublish): { gate: Gate | undefined; isHeard: boolean } {
    let gate: Gate | undefined;
    let isHeard = false;
    for (const { levels, handler } of this.listeners) {
      if (!matches(levels, topic)) continue;
      isHeard = true;
      const done = handler(topic, payload, { qos, retain, from: undefined });
      if (!done) continue;
      gate ??= new Gate();
      gate.wait(done);
    }
    return { gate, isHeard };
  }

  private toMessage(packet: RemotePublish, topic: string): Message {
    const { payload, qos, retain, properties, expirySeconds } = packet;
    const now = this.hub.clock.monotonic();
    return {
      topic,
      payload,
      qos,
      retain,
      properties,
      expiresAt: expirySeconds === undefined ? undefined : now + expirySeconds * 1000,
      from: this.session.clientId,
    };
  }
}
