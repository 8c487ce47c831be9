import type { IPubackPacket, IPubcompPacket, IPubrecPacket, IPubrelPacket } from 'mqtt-packet';
import type { Connection } from '../connection.ts';
import { reason } from '../reason.ts';
import type { Session } from '../session.ts';

type AckPacket = IPubackPacket | IPubrecPacket | IPubrelPacket | IPubcompPacket;

/** The packets that follow a QoS 1 or 2 PUBLISH. @source MQTT 5 §3.4 to §3.7 */
export function handleAck(connection: Connection, session: Session, packet: AckPacket): void {
  const id = packet.messageId ?? 0;
  const now = connection.hub.clock.monotonic();
  switch (packet.cmd) {
    case 'puback':
    case 'pubcomp':
      session.acknowledge(id, now);
      break;
    case 'pubrec':
      received(connection, session, packet, now);
      break;
    case 'pubrel': {
      const known = session.received.delete(id);
      const code = known ? reason.success : reason.packetIdNotFound;
      connection.send({
        cmd: 'pubcomp',
        messageId: id,
        ...(connection.version === 5 ? { reasonCode: code } : {}),
      });
      break;
    }
    default:
      packet satisfies never;
  }
}

function received(connection: Connection, session: Session, packet: IPubrecPacket, now: number): void {
  const id = packet.messageId ?? 0;
  // The receiver refuses the message: that is its end. [MQTT-4.3.3-4]
  if (Number(packet.reasonCode ?? 0) >= 0x80) session.acknowledge(id, now);
  else if (session.release(id)) connection.pubrel(id);
  else if (connection.version === 5)
    connection.send({ cmd: 'pubrel', messageId: id, reasonCode: reason.packetIdNotFound });
  else connection.pubrel(id);
}
