import type { PendingAck, Waiter } from './ack-queue.ts';
import type { Identity } from './auth.ts';
import type { Delivery, Message, QoS } from './message.ts';
import type { ClientSubscription, Match } from './subscription.ts';

/** The open connection of a session, as far as the session needs it. */
export interface Outlet {
  /** Most QoS 1 and 2 messages that may be under way to it. */
  readonly receiveMaximum: number;
  /** True while more than its share of bytes waits in the socket. */
  readonly congested: boolean;
  /** True while that is so and the session will be asked to pump when it is over. */
  readonly blocked: boolean;
  /** Writes a PUBLISH; false when the client cannot take it (its Maximum Packet Size). */
  publish(delivery: Delivery, id: number, dup: boolean): boolean;
  /** Writes QoS 0 packets of one topic as they came, `data[start, end)`, when they are in the client's own format.
   * @returns false when they are not */
  forward(data: Buffer, start: number, end: number, count: number, isFive: boolean): boolean;
  pubrel(id: number): void;
}

export type Will = {
  readonly message: Message;
  readonly delaySeconds: number;
  /** The message's expiry, which begins when it is published. */
  readonly expirySeconds: number | undefined;
};

/** What the broker knows of a client between and during its connections. @source MQTT 5 §4.1 */
export abstract class Session {
  readonly clientId: string;
  /** True when its messages are kept on disk. */
  abstract readonly durable: boolean;
  readonly subscriptions = new Map<string, ClientSubscription>();
  /** Seconds that it outlives its connection; Infinity for ever. */
  expirySeconds = 0;
  identity: Identity | undefined;
  will: Will | undefined;
  outlet: Outlet | undefined;
  /** Acknowledgements of the client's QoS 2 messages that are not safe yet, by packet id. */
  private securing: Map<number, PendingAck> | undefined;
  protected lastId = 0;

  constructor(clientId: string) {
    this.clientId = clientId;
  }

  /** Messages that wait for the client. */
  abstract readonly queued: number;

  /** Sends a message to the client, or keeps it for later. QoS 0 is for now or never. */
  abstract deliver(message: Message, match: Match, qos: QoS, now: () => number): void;

  /** Sends what waits while the client may take more. */
  abstract pump(): void;

  /** After a reconnect: everything under way is sent again in its order, marked as duplicate. [MQTT-4.4.0-1] */
  abstract resume(): void;

  /** PUBACK for QoS 1, PUBCOMP for QoS 2, or PUBREC with an error: the message is done.
   * @returns false when the id is not under way */
  abstract acknowledge(id: number): boolean;

  /** PUBREC: from here on only the id counts; PUBREL is sent. [MQTT-4.3.3-4]
   * @returns false when the id is not under way */
  abstract release(id: number): boolean;

  /** Notes the id of a QoS 2 message from the client. [MQTT-4.3.3-10]
   * @returns false when it is held already: the same message again */
  abstract hold(id: number): boolean;

  /** How many such ids are held. */
  abstract readonly held: number;

  /** PUBREL: the id is free.
   * @returns undefined when it was not held; a promise when PUBCOMP has to wait for the disk */
  abstract letGo(id: number): Promise<void> | true | undefined;

  /** Its message was refused: the id is free. */
  abstract forget(id: number): void;

  /** A held message is on its way to safety: its acknowledgement waits for that. */
  secure(id: number, ack: PendingAck): void {
    this.securing ??= new Map();
    this.securing.set(id, ack);
  }

  /** The acknowledgement has had its turn; under the same id there may be another message by now. */
  secured(id: number): void {
    if (this.securing?.get(id)?.isSettled) this.securing.delete(id);
  }

  /** The client sent a held message again: tells `waiter` when it is safe, at once when it is. */
  whenSafe(id: number, waiter: Waiter): void {
    const first = this.securing?.get(id);
    if (first) first.tell(waiter);
    else waiter.settle();
  }

  /** It ends: what is kept of it goes. */
  abstract discard(): void;

  protected nextId(taken: { has(id: number): boolean }): number {
    do this.lastId = (this.lastId % 65_535) + 1;
    while (taken.has(this.lastId));
    return this.lastId;
  }
}
