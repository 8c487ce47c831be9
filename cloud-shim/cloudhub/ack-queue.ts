import type { Clock, Timer } from '../../runtime/core/clock.ts';
import type { Message } from '../../runtime/core/message.ts';
import { parseResource } from '../../runtime/core/resource.ts';
import { type Millis, millis, minutes } from '../../runtime/core/units.ts';

/** An object on its way to a node. */
export type Delivery = {
  readonly message: Message;
  readonly uid: string;
  /** resourceVersion of what is sent; empty for a deletion. */
  readonly version: string;
  readonly deletion: boolean;
};

export type AckQueueDeps = {
  readonly clock: Clock;
  readonly send: (message: Message) => void;
  /** The node has it on disk. */
  readonly acknowledged: (delivery: Delivery) => void;
  /** It was sent often and never acknowledged; it goes to the end of the queue. */
  readonly postponed: (delivery: Delivery) => void;
  /** True while what was sent is still on its way: to send it again would make a slow link slower. */
  readonly isMoving: () => boolean;
};

type Flight = { readonly delivery: Delivery; writes: number; waited: number; timer: Timer };

/** The wait before an object is sent again; every other time it doubles, so that of many objects on a link that loses
 * messages hardly one is unlucky for long. */
const RESEND = millis(500);
const WRITES = 10;
/** A link that is this slow is taken for one that moves nothing. */
const PATIENCE = minutes(10);
/** How many objects may be under way at a time, where one does not need the other. */
const WINDOW = 16;
const independent = new Set(['pod', 'configmap', 'secret']);

/** Objects for one node, each until it is acknowledged, in order: of pods, configmaps and secrets several of one type are
 * under way at a time, of all else one. A newer state of an object takes the place of the one that waits, so the queue is
 * never longer than the node has objects.
 * @source KubeEdge cloud/pkg/cloudhub/session, node ack queue
 * Differs: KubeEdge has one object under way, and sends it again after 5 s: on a link that loses messages twenty pods would
 * take a minute. */
export class AckQueue {
  private readonly deps: AckQueueDeps;
  private readonly waiting = new Map<string, Delivery>();
  /** What is under way, by the message's id. */
  private readonly flying = new Map<string, Flight>();

  constructor(deps: AckQueueDeps) {
    this.deps = deps;
  }

  get length(): number {
    return this.waiting.size + this.flying.size;
  }

  push(delivery: Delivery): void {
    const waits = this.waiting.get(delivery.uid);
    // Nothing comes after a deletion of the same object.
    if (waits?.deletion && !delivery.deletion) return;
    this.waiting.set(delivery.uid, delivery);
    this.next();
  }

  /** @returns true when it was one that is waited for */
  acknowledge(messageId: string): boolean {
    const flight = this.flying.get(messageId);
    if (!flight) return false;
    flight.timer.cancel();
    this.flying.delete(messageId);
    this.deps.acknowledged(flight.delivery);
    this.next();
    return true;
  }

  stop(): void {
    for (const { timer } of this.flying.values()) timer.cancel();
    this.flying.clear();
    this.waiting.clear();
  }

  private next(): void {
    for (const [uid, delivery] of this.waiting) {
      const [first] = this.flying.values();
      if (first && (this.flying.size >= WINDOW || !areIndependent(first.delivery, delivery))) return;
      if (this.isUnderWay(delivery)) continue;
      this.waiting.delete(uid);
      const flight: Flight = { delivery, writes: 0, waited: 0, timer: { cancel: () => {} } };
      this.flying.set(delivery.message.header.msg_id, flight);
      this.write(flight);
    }
  }

  /** Whether something of the same name is: another state of it, or a pod that had its name before. */
  private isUnderWay({ message }: Delivery): boolean {
    const { resource } = message.route;
    for (const { delivery } of this.flying.values())
      if (delivery.message.route.resource === resource) return true;
    return false;
  }

  private write(flight: Flight): void {
    const { deps } = this;
    const { delivery } = flight;
    if (flight.writes === WRITES) {
      this.flying.delete(delivery.message.header.msg_id);
      deps.postponed(delivery);
      if (!this.waiting.has(delivery.uid)) this.waiting.set(delivery.uid, delivery);
      return this.next();
    }
    this.await(flight, millis(RESEND * 2 ** Math.floor(flight.writes++ / 2)));
    deps.send(delivery.message);
  }

  private await(flight: Flight, wait: Millis): void {
    flight.timer = this.deps.clock.after(wait, () => {
      flight.waited += wait;
      if (this.deps.isMoving() && flight.waited <= PATIENCE) this.await(flight, wait);
      else this.write(flight);
    });
  }
}

function areIndependent(a: Delivery, b: Delivery): boolean {
  const [first, second] = [a, b].map(({ message: { route } }) => {
    const type = parseResource(route.resource)?.type ?? '';
    // What clients of the node watch is told in its order, and so are models and their devices.
    return route.source === 'edgecontroller' && independent.has(type) ? type : undefined;
  });
  return first !== undefined && first === second;
}
