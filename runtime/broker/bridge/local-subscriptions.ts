import { errorText } from '../../core/errors.ts';
import type { DurableSession } from '../durable-session.ts';
import type { Hub } from '../hub.ts';
import type { QoS } from '../message.ts';
import type { ClientSubscription } from '../subscription.ts';
import { parseFilter } from '../topics.ts';
import type { MappedFilter } from './topic-map.ts';

/** Has the session of a bridge subscribe to what the bridge sends, and no more to what it sent once. A filter that is new
 * brings its retained messages. */
export function subscribeLocally(hub: Hub, session: DurableSession, wanted: readonly MappedFilter[]): void {
  const failed = (error: unknown): void =>
    hub.log.error('a subscription of a bridge could not be kept', {
      client: session.clientId,
      reason: errorText(error),
    });
  for (const name of [...session.subscriptions.keys()]) {
    if (wanted.some(({ filter }) => filter === name)) continue;
    hub.sessions.unsubscribe(session, name).kept?.catch(failed);
  }
  for (const mapped of wanted) {
    const known = session.subscriptions.get(mapped.filter);
    if (known?.qos === mapped.qos) continue;
    const subscription = subscriptionTo(session, mapped);
    if (!subscription) continue;
    hub.sessions.subscribe(mapped.filter, subscription)?.catch(failed);
    if (!known) deliverRetained(hub, session, mapped, (qos) => qos > 0);
  }
}

/** Sends the retained messages that are not queued, so that the remote broker has the last of what it missed. */
export function sendVolatileRetained(
  hub: Hub,
  session: DurableSession,
  wanted: readonly MappedFilter[],
): void {
  for (const mapped of wanted) deliverRetained(hub, session, mapped, (qos) => qos === 0);
}

function deliverRetained(
  hub: Hub,
  session: DurableSession,
  { levels, qos }: MappedFilter,
  isWanted: (qos: QoS) => boolean,
): void {
  const match = { qos, retainAsPublished: true, ids: undefined };
  for (const message of hub.retained.matching(levels, hub.clock.monotonic())) {
    if (message.from === session.clientId || !isWanted(Math.min(message.qos, qos) as QoS)) continue;
    hub.router.deliverTo(session, match, message);
  }
}

/** Not what the bridge itself has brought, and marks as they are. */
function subscriptionTo(
  session: DurableSession,
  { filter, qos }: MappedFilter,
): ClientSubscription | undefined {
  const parsed = parseFilter(filter, Number.POSITIVE_INFINITY);
  if (!parsed) return undefined;
  return {
    kind: 'client',
    filter: parsed,
    session,
    qos,
    noLocal: true,
    retainAsPublished: true,
    id: undefined,
  };
}
