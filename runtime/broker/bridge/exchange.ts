import { errorText } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { DurableSession } from '../durable-session.ts';
import type { BridgeCounters } from './counters.ts';
import { type Deliver, Incoming } from './incoming.ts';
import type { RemotePacket } from './packet-decoder.ts';
import type { RemoteConnection } from './remote-connection.ts';
import type { RemoteSubscriptions } from './remote-subscriptions.ts';

export type ExchangeDeps = {
  readonly session: DurableSession;
  readonly connection: RemoteConnection;
  readonly subscriptions: RemoteSubscriptions;
  readonly counters: BridgeCounters;
  readonly deliver: Deliver;
  readonly log: Logger;
};

/** Reason codes from here on are errors. @source MQTT 5 §2.4 */
const REFUSED = 0x80;

/** What is said over one connection after CONNACK. */
export class Exchange {
  private readonly deps: ExchangeDeps;
  private readonly incoming: Incoming;

  constructor(deps: ExchangeDeps) {
    this.deps = deps;
    this.incoming = new Incoming(deps);
  }

  /** Goes on where the last connection ended.
   * @param present the remote broker does as well */
  begin(present: boolean): void {
    const { session, connection, subscriptions } = this.deps;
    session.outlet = connection;
    session.resume();
    if (present) return subscriptions.connected(connection, true);
    session.forgetHeld().then(
      () => {
        if (!connection.isClosed) subscriptions.connected(connection, false);
      },
      (error) => connection.close(errorText(error)),
    );
  }

  end(): void {
    this.deps.session.outlet = undefined;
    this.deps.subscriptions.lost();
  }

  take(packet: RemotePacket): void {
    const { session, connection, subscriptions, counters } = this.deps;
    const id = ('messageId' in packet && packet.messageId) || 0;
    switch (packet.cmd) {
      case 'publish':
        counters.received.add();
        this.incoming.publish(packet);
        break;
      case 'pubrel':
        this.incoming.pubrel(id);
        break;
      case 'puback':
      case 'pubrec':
        this.taken(packet.cmd, id, Number(packet.reasonCode ?? 0));
        break;
      case 'pubcomp':
        session.acknowledge(id);
        break;
      case 'suback':
        subscriptions.suback(packet);
        break;
      case 'unsuback':
        subscriptions.unsuback(packet);
        break;
      case 'pingresp':
        break;
      case 'disconnect':
        connection.close(`the remote broker says goodbye (${packet.reasonCode ?? 0})`);
        break;
      default:
        connection.close(`${packet.cmd} from a broker`);
    }
  }

  /** PUBACK or PUBREC. */
  private taken(cmd: 'puback' | 'pubrec', id: number, code: number): void {
    const { session, connection, counters, log } = this.deps;
    if (code >= REFUSED) {
      log.warn('the remote broker refuses a message', { code });
      counters.dropped.add();
    }
    // With an error PUBREC ends the exchange as well. [MQTT-4.3.3-4]
    if (cmd === 'puback' || code >= REFUSED) session.acknowledge(id);
    else if (!session.release(id)) connection.pubrel(id);
  }
}
