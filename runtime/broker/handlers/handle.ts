import type { Connection } from '../connection.ts';
import type { ClientPacket } from '../decode/client-packet.ts';
import { reason } from '../reason.ts';
import type { Session } from '../session.ts';
import { handleAck } from './ack.ts';
import { handleConnect } from './connect.ts';
import { handleDisconnect } from './disconnect.ts';
import { handleSubscribe } from './subscribe.ts';
import { handleUnsubscribe } from './unsubscribe.ts';

/** The whole broker at a glance: every packet that a client may send, and who takes it. */
export function handlePacket(connection: Connection, packet: ClientPacket): void {
  const { session } = connection;
  if (packet.cmd === 'connect') {
    if (session)
      connection.broken(reason.protocolError, 'CONNECT twice'); // [MQTT-3.1.0-2]
    else handleConnect(connection, packet);
  } else if (!session) {
    connection.broken(reason.protocolError, 'CONNECT comes first'); // [MQTT-3.1.0-1]
  } else {
    handleInSession(connection, session, packet);
  }
}

function handleInSession(
  connection: Connection,
  session: Session,
  packet: Exclude<ClientPacket, { cmd: 'connect' }>,
): void {
  switch (packet.cmd) {
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      handleAck(connection, session, packet);
      break;
    case 'subscribe':
      handleSubscribe(connection, session, packet);
      break;
    case 'unsubscribe':
      handleUnsubscribe(connection, session, packet);
      break;
    case 'pingreq':
      connection.send({ cmd: 'pingresp' });
      break;
    case 'disconnect':
      handleDisconnect(connection, session, packet);
      break;
    case 'auth': // without an authentication method in CONNECT [MQTT-4.12.0-6]
      connection.broken(reason.protocolError, 'AUTH without a method');
      break;
    default:
      packet satisfies never;
  }
}
