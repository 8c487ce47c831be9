import type { ISubscribePacket, ISubscription } from 'mqtt-packet';
import type { Connection } from '../connection.ts';
import { reason } from '../reason.ts';
import type { Session } from '../session.ts';
import type { ClientSubscription } from '../subscription.ts';
import { type Filter, parseFilter } from '../topics.ts';

type Granted = {
  readonly code: number;
  readonly subscription?: ClientSubscription;
  readonly existed?: boolean;
  readonly handling?: number;
};

/** SUBSCRIBE: SUBACK first, retained messages after it. @source MQTT 5 §3.8, [MQTT-3.8.4-4] */
export function handleSubscribe(connection: Connection, session: Session, packet: ISubscribePacket): void {
  if (packet.subscriptions.length === 0) return connection.fail(reason.protocolError); // [MQTT-3.8.3-2]
  const id = packet.properties?.subscriptionIdentifier;
  if (id === 0) return connection.fail(reason.protocolError);
  const results = packet.subscriptions.map((request) => subscribe(connection, session, request, id));
  if (results.some((r) => r.code === reason.protocolError)) return connection.fail(reason.protocolError);
  const granted = results.map(({ code }) => (connection.version === 5 || code < 0x80 ? code : 0x80));
  connection.send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted });
  for (const result of results) sendRetained(connection, result);
}

function subscribe(
  connection: Connection,
  session: Session,
  request: ISubscription,
  id: number | undefined,
): Granted {
  const { hub } = connection;
  const filter = parseFilter(request.topic, hub.limits.topicLevels);
  if (!filter) return { code: reason.filterInvalid };
  // No-local makes no sense for a share. [MQTT-3.8.3-4]
  if (filter.share !== undefined && request.nl) return { code: reason.protocolError };
  const { identity } = connection;
  if (!identity || !hub.authority.authorize(identity, 'subscribe', filter.levels.join('/'))) {
    hub.counters.denied.add();
    return { code: reason.notAuthorized };
  }
  if (
    session.subscriptions.size >= hub.limits.subscriptionsPerClient &&
    !session.subscriptions.has(request.topic)
  ) {
    return { code: reason.quotaExceeded };
  }
  const subscription = toSubscription(session, filter, request, id);
  const existed = hub.subscribe(request.topic, subscription);
  return { code: request.qos, subscription, existed, handling: request.rh ?? 0 };
}

function toSubscription(
  session: Session,
  filter: Filter,
  { qos, nl = false, rap = false }: ISubscription,
  id: number | undefined,
): ClientSubscription {
  return { kind: 'client', session, filter, qos, noLocal: nl, retainAsPublished: rap, id };
}

/** @source MQTT 5 §3.8.3.1: retain handling 0 always, 1 only for a new subscription, 2 never; never to a share */
function sendRetained({ hub }: Connection, { subscription, existed, handling }: Granted): void {
  if (!subscription || subscription.filter.share !== undefined) return;
  if (handling === 2 || (handling === 1 && existed)) return;
  const now = hub.clock.monotonic();
  const { session, id } = subscription;
  const ids = id === undefined ? {} : { subscriptionIds: [id] };
  for (const message of hub.retained.matching(subscription.filter.levels, now)) {
    if (subscription.noLocal && message.from === session.clientId) continue;
    if (!hub.mayRead(session, message.topic)) continue;
    session.deliver(
      { message, qos: Math.min(message.qos, subscription.qos) as 0 | 1 | 2, retain: true, ...ids },
      now,
    );
  }
}
