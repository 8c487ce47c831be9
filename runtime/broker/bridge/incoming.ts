import { errorText } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { mebibytes } from '../../core/units.ts';
import { AckQueue, type Waiter } from '../ack-queue.ts';
import type { DurableSession } from '../durable-session.ts';
import type { RemotePublish } from './packet-decoder.ts';
import type { RemoteConnection } from './remote-connection.ts';

/** Messages that may wait for the disk before the connection is left unread, and their bytes. */
const PENDING_ACKS = 1000;
const PENDING_BYTES = mebibytes(1);
const PUBACK = 0x40;
const PUBREC = 0x50;
const PUBCOMP = 0x70;

/** Brings a message to where it belongs.
 * @param ticket gives who is to know when it is safe; asked only when there is something to wait for
 * @returns whether there was */
export type Deliver = (packet: RemotePublish, ticket?: () => Waiter) => boolean;

/** The receiver's half of the exchange with a remote broker, over one connection: a message is acknowledged when it is
 * safe here, in the order of arrival. @source MQTT 5 §4.3 */
export class Incoming {
  private readonly acks: AckQueue;
  private readonly session: DurableSession;
  private readonly connection: RemoteConnection;
  private readonly deliver: Deliver;
  private readonly log: Logger;

  constructor(deps: {
    session: DurableSession;
    connection: RemoteConnection;
    deliver: Deliver;
    log: Logger;
  }) {
    this.session = deps.session;
    this.connection = deps.connection;
    this.deliver = deps.deliver;
    this.log = deps.log;
    this.acks = new AckQueue(
      (qos, id, _code, error) => this.settled(qos, id, error),
      () => this.regulate(),
    );
  }

  publish(packet: RemotePublish): void {
    const { qos, messageId: id, payload } = packet;
    if (qos === 0) {
      this.deliver(packet); // QoS 0 is told to nobody: its loss neither
      return;
    }
    // A message whose id is still held is the same one again, which waits like the first one did. [MQTT-4.3.3-10]
    if (qos === 2 && !this.session.hold(id)) return this.session.whenSafe(id, this.acks.open(2, id, 0, 0));
    const ticket = (): Waiter => {
      const ack = this.acks.open(qos, id, 0, payload.length);
      if (qos === 2) this.session.secure(id, ack);
      return ack;
    };
    if (!this.deliver(packet, ticket)) ticket().settle();
    this.regulate();
  }

  pubrel(id: number): void {
    const freed = this.session.letGo(id);
    if (!freed) return this.acks.now(() => this.answer(PUBCOMP, id));
    // Told before it is on disk, a restart would take the id's next message for this one again, and lose it.
    const settle = this.acks.later((error) => {
      if (error === undefined) this.answer(PUBCOMP, id);
      else this.connection.close('the disk does not take what the remote broker sends');
    });
    freed.then(
      () => settle(),
      (error) => settle(error ?? new Error('not kept')),
    );
  }

  /** An acknowledgement that has waited for the disk, or for its turn. */
  private settled(qos: number, id: number, error: unknown): void {
    if (qos === 2) this.session.secured(id);
    if (error === undefined) this.answer(qos === 1 ? PUBACK : PUBREC, id);
    else this.notKept(qos, id, error);
  }

  private answer(first: number, id: number): void {
    this.connection.sendAck(first, id);
  }

  /** Without an answer the remote broker sends it again over the next connection. */
  private notKept(qos: number, id: number, error: unknown): void {
    this.log.error('a message of a remote broker could not be kept', { reason: errorText(error) });
    if (qos === 2) this.session.forget(id);
    this.connection.close('the disk does not take what the remote broker sends');
  }

  private regulate(): void {
    const { length, bytes } = this.acks;
    if (length >= PENDING_ACKS || bytes >= PENDING_BYTES) this.connection.pause(true);
    else if (length < PENDING_ACKS / 2 && bytes < PENDING_BYTES / 2) this.connection.pause(false);
  }
}
