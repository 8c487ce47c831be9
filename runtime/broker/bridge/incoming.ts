import type { IPublishPacket } from 'mqtt-packet';
import { errorText } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { AckQueue } from '../ack-queue.ts';
import type { DurableSession } from '../durable-session.ts';
import type { Gate } from '../gate.ts';
import type { RemoteConnection } from './remote-connection.ts';

/** Messages that may wait for the disk before the connection is left unread. */
const PENDING_ACKS = 1000;
const PUBACK = 0x40;
const PUBREC = 0x50;
const PUBCOMP = 0x70;

/** The receiver's half of the exchange with a remote broker, over one connection: a message is acknowledged when it is
 * safe here, in the order of arrival. @source MQTT 5 §4.3 */
export class Incoming {
  private readonly acks = new AckQueue();
  private readonly session: DurableSession;
  private readonly connection: RemoteConnection;
  private readonly deliver: (packet: IPublishPacket) => Gate | undefined;
  private readonly log: Logger;

  constructor(deps: {
    session: DurableSession;
    connection: RemoteConnection;
    /** @returns what the acknowledgement has to wait for */
    deliver: (packet: IPublishPacket) => Gate | undefined;
    log: Logger;
  }) {
    this.session = deps.session;
    this.connection = deps.connection;
    this.deliver = deps.deliver;
    this.log = deps.log;
  }

  publish(packet: IPublishPacket): void {
    const { qos, messageId: id = 0 } = packet;
    // A message whose id is still held is the same one again. [MQTT-4.3.3-10]
    if (qos === 2 && !this.session.hold(id)) return this.acks.now(() => this.answer(PUBREC, id));
    const gate = this.deliver(packet);
    if (qos === 0) {
      gate?.onOpen(() => {}); // QoS 0 is told to nobody: its loss neither
      return;
    }
    const first = qos === 1 ? PUBACK : PUBREC;
    if (!gate) return this.acks.now(() => this.answer(first, id));
    gate.onOpen(
      this.acks.later((error) => {
        if (error === undefined) this.answer(first, id);
        else this.notKept(qos, id, error);
        if (this.acks.length < PENDING_ACKS / 2) this.connection.pause(false);
      }),
    );
    if (this.acks.length >= PENDING_ACKS) this.connection.pause(true);
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

  private answer(first: number, id: number): void {
    this.connection.sendAck(first, id);
  }

  /** Without an answer the remote broker sends it again over the next connection. */
  private notKept(qos: number, id: number, error: unknown): void {
    this.log.error('a message of a remote broker could not be kept', { reason: errorText(error) });
    if (qos === 2) this.session.letGo(id)?.catch(() => {});
    this.connection.close('the disk does not take what the remote broker sends');
  }
}
