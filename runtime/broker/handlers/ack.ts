import type { Connection } from '../connection.ts';
import type { AckPacket } from '../decode/client-packet.ts';
import { reason } from '../reason.ts';
import type { Session } from '../session.ts';

const PUBREL = 0x62;
const PUBCOMP = 0x70;

/** The packets that follow a QoS 1 or 2 PUBLISH. @source MQTT 5 §3.4 to §3.7 */
export function handleAck(connection: Connection, session: Session, packet: AckPacket): void {
  const { id } = packet;
  switch (packet.cmd) {
    case 'puback':
    case 'pubcomp':
      session.acknowledge(id);
      break;
    case 'pubrec':
      handlePubrec(connection, session, id, packet.code);
      break;
    case 'pubrel':
      handlePubrel(connection, session, id);
      break;
    default:
      packet.cmd satisfies never;
  }
}

/** The same for a packet of four bytes, the usual one, read in place. */
export function handleShortAck(connection: Connection, session: Session, data: Buffer, start: number): void {
  const first = data[start] as number;
  const id = ((data[start + 2] as number) << 8) | (data[start + 3] as number);
  if (id === 0) return connection.broken(reason.malformedPacket, 'packet id 0'); // [MQTT-2.2.1-3]
  switch (first) {
    case 0x40: // PUBACK
    case PUBCOMP:
      session.acknowledge(id);
      break;
    case 0x50: // PUBREC
      handlePubrec(connection, session, id, reason.success);
      break;
    case PUBREL:
      handlePubrel(connection, session, id);
      break;
    default: // reserved flags [MQTT-2.1.3-1], but for MQTT 3.1's mark of what is sent again
      if (first === (PUBREL | 8) && connection.version === 3) return handlePubrel(connection, session, id);
      connection.broken(reason.malformedPacket, 'wrong flags');
  }
}

function handlePubrec(connection: Connection, session: Session, id: number, code: number): void {
  // The receiver refuses the message: that is its end. [MQTT-4.3.3-4]
  if (code >= 0x80) session.acknowledge(id);
  else if (!session.release(id)) connection.sendAck(PUBREL, id, reason.packetIdNotFound);
}

function handlePubrel(connection: Connection, session: Session, id: number): void {
  const freed = session.letGo(id);
  if (freed === undefined) {
    connection.acks.now(() => connection.sendAck(PUBCOMP, id, reason.packetIdNotFound));
  } else if (freed === true) {
    connection.acks.now(() => connection.sendAck(PUBCOMP, id));
  } else {
    // Told before it is on disk, a restart would take the id's next message for this one again, and lose it.
    const settle = connection.acks.later((error) => {
      if (error === undefined) connection.sendAck(PUBCOMP, id);
      else connection.fail(reason.unspecified);
    });
    freed.then(
      () => settle(),
      (error) => settle(error ?? new Error('not kept')),
    );
  }
}
