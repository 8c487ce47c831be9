import type { Connection } from '../connection.ts';
import type { UnsubscribePacket } from '../decode/client-packet.ts';
import { reason } from '../reason.ts';
import type { Session } from '../session.ts';

/** UNSUBSCRIBE. @source MQTT 5 §3.10 */
export function handleUnsubscribe(connection: Connection, session: Session, packet: UnsubscribePacket): void {
  if (packet.filters.length === 0) return connection.broken(reason.protocolError, 'UNSUBSCRIBE from nothing'); // [MQTT-3.10.3-2]
  const removed = packet.filters.map((filter) => connection.hub.sessions.unsubscribe(session, filter));
  const granted = removed.map(({ existed }) => (existed ? reason.success : reason.noSubscriptionExisted));
  const messageId = packet.id;
  const answer = (): void =>
    connection.send({ cmd: 'unsuback', messageId, granted: connection.version === 5 ? granted : [] });
  connection.afterAll(
    removed.flatMap(({ kept }) => kept ?? []),
    answer,
  );
}
