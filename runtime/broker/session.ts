import type { Counter } from '../core/metrics.ts';
import { BoundedQueue } from '../core/queue.ts';
import type { Identity } from './auth.ts';
import type { BrokerLimits } from './config.ts';
import { type Delivery, isExpired, type Message, sizeOf } from './message.ts';
import type { ClientSubscription } from './subscription.ts';

/** A QoS 1 or 2 message on its way to the client. */
export type Inflight = { readonly delivery: Delivery; state: 'sent' | 'released' };

/** The open connection of a session, as far as the session needs it. */
export interface Outlet {
  /** Most QoS 1 and 2 messages that may be under way to it. */
  readonly receiveMaximum: number;
  /** Writes a PUBLISH; false when the client cannot take it (its Maximum Packet Size). */
  publish(delivery: Delivery, id: number, dup: boolean): boolean;
  pubrel(id: number): void;
  /** True while more than its share of bytes waits in the socket. */
  readonly congested: boolean;
}

export type Will = { readonly message: Message; readonly delaySeconds: number };

/** What the broker knows of a client between and during its connections. @source MQTT 5 §4.1 */
export class Session {
  readonly clientId: string;
  readonly subscriptions = new Map<string, ClientSubscription>();
  /** Packet ids of QoS 2 messages that the client has sent and not released. [MQTT-4.3.3-10] */
  readonly received = new Set<number>();
  /** Who connected to it last. */
  identity: Identity | undefined;
  /** Seconds that it outlives its connection; Infinity for ever. */
  expirySeconds = 0;
  will: Will | undefined;
  outlet: Outlet | undefined;
  private readonly inflight = new Map<number, Inflight>();
  private readonly queue: BoundedQueue<Delivery>;
  private readonly dropped: Counter;
  private lastId = 0;

  constructor(clientId: string, limits: BrokerLimits, dropped: Counter) {
    this.clientId = clientId;
    this.dropped = dropped;
    const bounds = { count: limits.queueCount, bytes: limits.queueBytes, drop: limits.queueDrop };
    this.queue = new BoundedQueue(bounds, sizeOf, () => dropped.add());
  }

  get queued(): number {
    return this.queue.length;
  }

  /** Sends a message to the client, or keeps it for later. QoS 0 is for now or never. */
  deliver(delivery: Delivery, now: number): void {
    const { outlet } = this;
    if (delivery.qos === 0) {
      if (outlet && !outlet.congested) outlet.publish(delivery, 0, false);
      else if (outlet) this.dropped.add();
      return;
    }
    this.queue.push(delivery);
    this.pump(now);
  }

  /** Sends what waits while the client may take more. */
  pump(now: number): void {
    const { outlet } = this;
    while (outlet && this.inflight.size < outlet.receiveMaximum) {
      const delivery = this.queue.shift();
      if (!delivery) return;
      if (isExpired(delivery.message, now)) continue;
      const id = this.nextId();
      if (!outlet.publish(delivery, id, false)) continue; // too large for it: as if delivered [MQTT-3.1.2-25]
      this.inflight.set(id, { delivery, state: 'sent' });
    }
  }

  /** After a reconnect: everything under way is sent again in its order, marked as duplicate. [MQTT-4.4.0-1] */
  resume(now: number): void {
    for (const [id, { delivery, state }] of this.inflight) {
      if (state === 'released') this.outlet?.pubrel(id);
      else this.outlet?.publish(delivery, id, true);
    }
    this.pump(now);
  }

  /** PUBACK or PUBCOMP, or PUBREC with an error: the message is done. */
  acknowledge(id: number, now: number): boolean {
    const known = this.inflight.delete(id);
    if (known) this.pump(now);
    return known;
  }

  /** PUBREC: from here on only the id counts. [MQTT-4.3.3-4] */
  release(id: number): boolean {
    const inflight = this.inflight.get(id);
    if (!inflight) return false;
    inflight.state = 'released';
    return true;
  }

  private nextId(): number {
    do this.lastId = (this.lastId % 65_535) + 1;
    while (this.inflight.has(this.lastId));
    return this.lastId;
  }
}
