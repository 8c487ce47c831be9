import type { Connection } from '../connection.ts';
import type { DisconnectPacket } from '../decode/client-packet.ts';
import { reason } from '../reason.ts';
import type { Session } from '../session.ts';

/** DISCONNECT: the will is dropped, unless the client wants it published. @source MQTT 5 §3.14, [MQTT-3.14.4-3] */
export function handleDisconnect(connection: Connection, session: Session, packet: DisconnectPacket): void {
  const expiry = packet.sessionExpiry;
  // A session that was to end with its connection cannot be made to live on. [MQTT-3.1.2-23]
  if (expiry !== undefined && expiry > 0 && session.expirySeconds === 0)
    return connection.broken(reason.protocolError, 'a session that was to end lives on');
  if (expiry !== undefined)
    session.expirySeconds = expiry === 0xffff_ffff ? Number.POSITIVE_INFINITY : expiry;
  if (packet.code !== reason.disconnectWithWill) connection.hub.wills.drop(session);
  connection.close();
}
