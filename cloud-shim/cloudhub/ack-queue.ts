import type { Clock, Timer } from '../../runtime/core/clock.ts';
import type { Message } from '../../runtime/core/message.ts';
import { seconds } from '../../runtime/core/units.ts';

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

const RESEND = seconds(5);
const WRITES = 5;
/** A link that is this slow is taken for one that moves nothing. */
const PATIENCE = 120;

/** Objects for one node, one under way at a time, each until it is acknowledged. A newer state of an object takes the
 * place of the one that waits, so the queue is never longer than the node has objects.
 * @source KubeEdge cloud/pkg/cloudhub/session, node ack queue */
export class AckQueue {
  private readonly deps: AckQueueDeps;
  private readonly waiting = new Map<string, Delivery>();
  private current: { delivery: Delivery; writes: number; waits: number; timer: Timer } | undefined;

  constructor(deps: AckQueueDeps) {
    this.deps = deps;
  }

  get length(): number {
    return this.waiting.size + (this.current ? 1 : 0);
  }

  push(delivery: Delivery): void {
    const waits = this.waiting.get(delivery.uid);
    // Nothing comes after a deletion of the same object.
    if (waits?.deletion && !delivery.deletion) return;
    this.waiting.set(delivery.uid, delivery);
    this.next();
  }

  /** @returns true when it was the one that is waited for */
  acknowledge(messageId: string): boolean {
    const { current } = this;
    if (current?.delivery.message.header.msg_id !== messageId) return false;
    current.timer.cancel();
    this.current = undefined;
    this.deps.acknowledged(current.delivery);
    this.next();
    return true;
  }

  stop(): void {
    this.current?.timer.cancel();
    this.current = undefined;
    this.waiting.clear();
  }

  private next(): void {
    if (this.current) return;
    for (const [uid, delivery] of this.waiting) {
      this.waiting.delete(uid);
      this.current = { delivery, writes: 0, waits: 0, timer: { cancel: () => {} } };
      this.write();
      return;
    }
  }

  private write(): void {
    const { current, deps } = this;
    if (!current) return;
    if (current.writes === WRITES) {
      this.current = undefined;
      deps.postponed(current.delivery);
      const { uid } = current.delivery;
      if (!this.waiting.has(uid)) this.waiting.set(uid, current.delivery);
      return this.next();
    }
    current.writes++;
    current.timer = deps.clock.after(RESEND, () => this.again());
    deps.send(current.delivery.message);
  }

  private again(): void {
    const { current, deps } = this;
    if (!current || !deps.isMoving() || ++current.waits > PATIENCE) return this.write();
    current.timer = deps.clock.after(RESEND, () => this.again());
  }
}
