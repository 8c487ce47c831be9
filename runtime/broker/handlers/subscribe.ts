import type { Connection } from '../connection.ts';
import type { SubscribePacket, SubscribeRequest } from '../decode/client-packet.ts';
import { reason } from '../reason.ts';
import type { Session } from '../session.ts';
import type { ClientSubscription } from '../subscription.ts';
import { type Filter, overLimit, parseFilter } from '../topics.ts';

type Granted = {
  readonly code: number;
  readonly subscription?: ClientSubscription;
  readonly existed?: boolean;
  readonly handling?: number;
  /** Resolves when it is on disk. */
  readonly kept?: Promise<void> | undefined;
};

/** Retained topics that are looked at for one client in one turn. */
const MOST_EFFORT = 1000;

/** SUBSCRIBE: SUBACK first, retained messages after it. @source MQTT 5 §3.8, [MQTT-3.8.4-4] */
export function handleSubscribe(connection: Connection, session: Session, packet: SubscribePacket): void {
  if (packet.requests.length === 0) return connection.broken(reason.protocolError, 'SUBSCRIBE to nothing'); // [MQTT-3.8.3-2]
  if (packet.requests.some(({ filter, noLocal }) => noLocal && filter.startsWith('$share/')))
    return connection.broken(reason.protocolError, 'no-local on a shared subscription'); // [MQTT-3.8.3-4]
  const results = packet.requests.map((request) =>
    subscribe(connection, session, request, packet.subscriptionId),
  );
  const granted = results.map(({ code }) => (connection.version === 5 || code < 0x80 ? code : 0x80));
  const answer = (): void => {
    connection.send({ cmd: 'suback', messageId: packet.id, granted });
    greet(connection, results, 0);
  };
  connection.afterAll(
    results.flatMap((result) => result.kept ?? []),
    answer,
  );
}

/** Sends the retained messages of new subscriptions, the next of them in another turn when it was much. */
function greet(connection: Connection, results: readonly Granted[], from: number): void {
  let effort = 0;
  for (let i = from; i < results.length && !connection.isClosed; i++) {
    effort += sendRetained(connection, results[i] as Granted);
    if (effort < MOST_EFFORT) continue;
    const next = i + 1;
    return connection.rest(next < results.length ? () => greet(connection, results, next) : undefined);
  }
}

function subscribe(
  connection: Connection,
  session: Session,
  request: SubscribeRequest,
  id: number | undefined,
): Granted {
  const { hub, identity } = connection;
  const filter = parseFilter(request.filter, Number.POSITIVE_INFINITY);
  if (!filter) return { code: reason.filterInvalid };
  if (!identity || !hub.authority.authorize(identity, 'subscribe', filter.levels.join('/'))) {
    hub.counters.denied.add();
    return { code: hub.denial };
  }
  const existed = session.subscriptions.has(request.filter);
  const limit =
    overLimit(request.filter, hub.limits) ?? (existed ? undefined : fullLimit(connection, session));
  if (limit) {
    hub.refuse(limit);
    return { code: reason.quotaExceeded };
  }
  const subscription = toSubscription(connection, session, filter, request, id);
  const kept = hub.sessions.subscribe(request.filter, subscription);
  return { code: request.qos, subscription, existed, handling: request.handling, kept };
}

function fullLimit({ hub: { limits, sessions } }: Connection, { subscriptions }: Session) {
  if (subscriptions.size >= limits.subscriptionsPerClient) return 'subscriptionsPerClient';
  return sessions.subscriptions >= limits.subscriptions ? 'subscriptions' : undefined;
}

function toSubscription(
  { isBridge }: Connection,
  session: Session,
  filter: Filter,
  request: SubscribeRequest,
  id: number | undefined,
): ClientSubscription {
  const { qos } = request;
  const noLocal = request.noLocal || isBridge;
  const retainAsPublished = request.retainAsPublished || isBridge;
  return { kind: 'client', session, filter, qos, noLocal, retainAsPublished, id };
}

/** @source MQTT 5 §3.8.3.1: retain handling 0 always, 1 only for a new subscription, 2 never; never to a share
 * @returns how many topics it has looked at */
function sendRetained({ hub }: Connection, { subscription, existed, handling }: Granted): number {
  if (!subscription || subscription.filter.share !== undefined) return 0;
  if (handling === 2 || (handling === 1 && existed)) return 0;
  const { session, id, qos, noLocal, filter } = subscription;
  const match = { qos, retainAsPublished: true, ids: id === undefined ? undefined : [id] };
  for (const message of hub.retained.matching(filter.levels, hub.clock.monotonic())) {
    if (noLocal && message.from === session.clientId) continue;
    if (session.identity && !hub.authority.authorize(session.identity, 'deliver', message.topic)) continue;
    hub.router.deliverTo(session, match, message);
  }
  return hub.retained.effort(filter.levels);
}
