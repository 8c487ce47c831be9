import type { IPublishPacket } from 'mqtt-packet';
import type { Counter } from '../../core/metrics.ts';
import { Gate } from '../gate.ts';
import type { Hub } from '../hub.ts';
import type { Message } from '../message.ts';
import type { Session } from '../session.ts';
import type { LocalHandler } from '../subscription.ts';
import { matches } from '../topics.ts';
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

  /** @returns what the acknowledgement has to wait for; undefined when that is nothing */
  deliver(packet: IPublishPacket): Gate | undefined {
    const payload = Buffer.from(packet.payload); // a copy: the packet is a window on the socket's buffer
    const topic = this.maps.toLocal(packet.topic);
    const gate = topic === undefined ? undefined : this.publish(toMessage(packet, topic, payload, this.from));
    const heard = this.tell(packet, payload, gate);
    if (topic === undefined && !heard.isHeard) this.dropped.add();
    return heard.gate;
  }

  private get from(): { client: string; now: number } {
    return { client: this.session.clientId, now: this.hub.clock.monotonic() };
  }

  private publish(message: Message): Gate | undefined {
    const { hub } = this;
    const route = hub.router.routeOf(message.topic);
    // `$SYS` is the broker's own. [MQTT-4.7.2-1]
    if (
      !route.isTopic ||
      message.topic.startsWith('$SYS/') ||
      message.payload.length > hub.limits.packetBytes
    ) {
      this.dropped.add();
      return undefined;
    }
    hub.flusher.begin();
    const gate = hub.router.deliver(route, message, this.session);
    hub.flusher.end();
    return gate;
  }

  private tell(
    { topic, qos, retain }: IPublishPacket,
    payload: Buffer,
    before: Gate | undefined,
  ): { gate: Gate | undefined; isHeard: boolean } {
    let gate = before;
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
}

function toMessage(
  { qos, retain, properties = {} }: IPublishPacket,
  topic: string,
  payload: Buffer,
  from: { client: string; now: number },
): Message {
  // The remote broker's aliases and subscription identifiers mean nothing here.
  const { topicAlias: _, subscriptionIdentifier: __, messageExpiryInterval: expiry, ...rest } = properties;
  return {
    topic,
    payload,
    qos,
    retain,
    properties: Object.keys(rest).length > 0 ? rest : undefined,
    expiresAt: expiry === undefined ? undefined : from.now + expiry * 1000,
    from: from.client,
  };
}
