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
  /** Resolves when it is on disk. */
  readonly kept?: Promise<void> | undefined;
};

/** SUBSCRIBE: SUBACK first, retained messages after it. @source MQTT 5 §3.8, [MQTT-3.8.4-4] */
export function handleSubscribe(connection: Connection, session: Session, packet: ISubscribePacket): void {
  if (packet.subscriptions.length === 0)
    return connection.broken(reason.protocolError, 'SUBSCRIBE to nothing'); // [MQTT-3.8.3-2]
  const id = packet.properties?.subscriptionIdentifier;
  if (id === 0) return connection.broken(reason.protocolError, 'subscription identifier 0');
  if (packet.subscriptions.some(({ topic, nl }) => nl && topic.startsWith('$share/')))
    return connection.broken(reason.protocolError, 'no-local on a shared subscription'); // [MQTT-3.8.3-4]
  const results = packet.subscriptions.map((request) => subscribe(connection, session, request, id));
  const granted = results.map(({ code }) => (connection.version === 5 || code < 0x80 ? code : 0x80));
  const answer = (): void => {
    connection.send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted });
    for (const result of results) sendRetained(connection, result);
  };
  const kept = results.flatMap((result) => result.kept ?? []);
  if (kept.length === 0) return answer();
  Promise.all(kept).then(answer, () => connection.fail(reason.unspecified));
}

function subscribe(
  connection: Connection,
  session: Session,
  request: ISubscription,
  id: number | undefined,
): Granted {
  const { hub, identity } = connection;
  const filter = parseFilter(request.topic, hub.limits.topicLevels);
  if (!filter) return { code: reason.filterInvalid };
  if (!identity || !hub.authority.authorize(identity, 'subscribe', filter.levels.join('/'))) {
    hub.counters.denied.add();
    return { code: reason.notAuthorized };
  }
  const existed = session.subscriptions.has(request.topic);
  if (session.subscriptions.size >= hub.limits.subscriptionsPerClient && !existed) {
    hub.counters.refused.add();
    return { code: reason.quotaExceeded };
  }
  const options = connection.isBridge ? { ...request, nl: true, rap: true } : request;
  const subscription = toSubscription(session, filter, options, id);
  const kept = hub.sessions.subscribe(request.topic, subscription);
  return { code: request.qos, subscription, existed, handling: request.rh ?? 0, kept };
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
  const { session, id, qos, noLocal, filter } = subscription;
  const match = { qos, retainAsPublished: true, ids: id === undefined ? undefined : [id] };
  for (const message of hub.retained.matching(filter.levels, hub.clock.monotonic())) {
    if (noLocal && message.from === session.clientId) continue;
    if (session.identity && !hub.authority.authorize(session.identity, 'deliver', message.topic)) continue;
    hub.router.deliverTo(session, match, message);
  }
}
