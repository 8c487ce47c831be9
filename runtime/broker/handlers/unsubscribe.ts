import type { IUnsubscribePacket } from 'mqtt-packet';
import type { Connection } from '../connection.ts';
import { reason } from '../reason.ts';
import type { Session } from '../session.ts';

/** UNSUBSCRIBE. @source MQTT 5 §3.10 */
export function handleUnsubscribe(
  connection: Connection,
  session: Session,
  packet: IUnsubscribePacket,
): void {
  if (packet.unsubscriptions.length === 0) return connection.fail(reason.protocolError); // [MQTT-3.10.3-2]
  const granted = packet.unsubscriptions.map((filter) =>
    connection.hub.unsubscribe(session, filter) ? reason.success : reason.noSubscriptionExisted,
  );
  const messageId = packet.messageId ?? 0;
  connection.send({ cmd: 'unsuback', messageId, granted: connection.version === 5 ? granted : [] });
}
