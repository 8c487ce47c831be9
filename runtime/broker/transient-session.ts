import type { Counter } from '../core/metrics.ts';
import { BoundedQueue } from '../core/queue.ts';
import type { BrokerLimits } from './config.ts';
import type { FullQueues } from './full-queues.ts';
import { type Delivery, isExpired, type Message, type QoS, sizeOf } from './message.ts';
import { Session } from './session.ts';
import type { Match } from './subscription.ts';

/** How far a message under way is; what it said is of no use any more, because nothing is sent twice. */
type Progress = 'qos1' | 'qos2' | 'released';

export type TransientDeps = {
  readonly limits: BrokerLimits;
  readonly dropped: Counter;
  readonly fullQueues: FullQueues;
  /** Monotonic ms. */
  readonly now: () => number;
};

/** A session that ends with its connection: nothing of it is kept, and nothing is sent again. */
export class TransientSession extends Session {
  readonly durable = false;
  private readonly deps: TransientDeps;
  /** Made when first used: most sessions of a gateway never have a QoS 1 message under way. */
  private underWay: Map<number, Progress> | undefined;
  private queue: BoundedQueue<Delivery> | undefined;
  private ids: Set<number> | undefined;

  constructor(clientId: string, deps: TransientDeps) {
    super(clientId);
    this.deps = deps;
  }

  private get inflight(): Map<number, Progress> {
    this.underWay ??= new Map();
    return this.underWay;
  }

  get queued(): number {
    return this.queue?.length ?? 0;
  }

  get held(): number {
    return this.ids?.size ?? 0;
  }

  deliver(message: Message, match: Match, qos: QoS): void {
    const { outlet } = this;
    if (!outlet) return;
    const delivery = {
      message,
      qos,
      retain: match.retainAsPublished && message.retain,
      subscriptionIds: match.ids,
    };
    if (qos === 0) {
      if (outlet.congested) this.deps.dropped.add();
      else outlet.publish(delivery, 0, false);
    } else if (this.queued === 0 && this.inflight.size < outlet.receiveMaximum && !outlet.blocked)
      this.send(delivery);
    else this.wait(delivery);
  }

  pump(): void {
    const { outlet, queue } = this;
    if (!queue) return;
    while (outlet && this.inflight.size < outlet.receiveMaximum && !outlet.blocked) {
      const delivery = queue.shift();
      if (!delivery) return;
      if (delivery.message.expiresAt !== undefined && isExpired(delivery.message, this.deps.now())) continue;
      this.send(delivery);
    }
  }

  resume(): void {}

  acknowledge(id: number): boolean {
    const known = this.inflight.delete(id);
    if (known && this.queue) this.pump();
    return known;
  }

  release(id: number): boolean {
    if (!this.inflight.has(id)) return false;
    this.inflight.set(id, 'released');
    this.outlet?.pubrel(id);
    return true;
  }

  hold(id: number): boolean {
    this.ids ??= new Set();
    if (this.ids.has(id)) return false;
    this.ids.add(id);
    return true;
  }

  letGo(id: number): true | undefined {
    return this.ids?.delete(id) || undefined;
  }

  forget(id: number): void {
    this.ids?.delete(id);
  }

  discard(): void {
    this.underWay = undefined;
    this.queue = undefined;
  }

  private send(delivery: Delivery): void {
    const id = this.nextId(this.inflight);
    // What is too large for the client counts as delivered. [MQTT-3.1.2-25]
    if (this.outlet?.publish(delivery, id, false))
      this.inflight.set(id, delivery.qos === 1 ? 'qos1' : 'qos2');
  }

  private wait(delivery: Delivery): void {
    const { limits, fullQueues } = this.deps;
    this.queue ??= new BoundedQueue(
      { count: limits.queueCount, bytes: limits.queueBytes, drop: limits.queueDrop },
      ({ message }) => sizeOf(message),
      () => fullQueues.drop(this, this.deps),
    );
    this.queue.push(delivery);
  }
}
