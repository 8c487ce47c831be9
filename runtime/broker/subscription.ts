import type { QoS } from './message.ts';
import type { Session } from './session.ts';
import type { Filter } from './topics.ts';

/** A subscription of a client. @source MQTT 5 §3.8.3.1 */
export type ClientSubscription = {
  readonly kind: 'client';
  readonly filter: Filter;
  readonly session: Session;
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly id: number | undefined;
};

/** What a handler in this process learns besides topic and payload. */
export type LocalInfo = { readonly qos: QoS; readonly retain: boolean; readonly from: string | undefined };

/** The handler's promise holds back the acknowledgement of a QoS 1 or 2 message. */
export type LocalHandler = (topic: string, payload: Buffer, info: LocalInfo) => Promise<void> | void;

/** A subscription of a module of this process. */
export type LocalSubscription = {
  readonly kind: 'local';
  readonly filter: Filter;
  readonly handler: LocalHandler;
};

export type Subscription = ClientSubscription | LocalSubscription;

/** A client's share of a message: its subscriptions that match are served by one delivery, with the highest QoS.
 * [MQTT-3.3.5-1] */
export type Match = {
  readonly qos: QoS;
  /** A live message is not marked as retained, unless the subscriber asked for the mark. [MQTT-3.3.1-12] [MQTT-3.3.1-13] */
  readonly retainAsPublished: boolean;
  readonly ids: readonly number[] | undefined;
};

/** One session that gets the messages of a topic. */
export type Target = {
  readonly session: Session;
  readonly match: Match;
  /** What it gets of its own messages: no-local subscriptions do not count. [MQTT-3.8.3-3] */
  readonly own: Match | undefined;
};

/** @param subscriptions of one session, all matching one topic */
export function targetOf(session: Session, subscriptions: readonly ClientSubscription[]): Target {
  const foreign = subscriptions.filter((s) => !s.noLocal);
  return {
    session,
    match: matchOf(subscriptions),
    own: foreign.length > 0 ? matchOf(foreign) : undefined,
  };
}

function matchOf(subscriptions: readonly ClientSubscription[]): Match {
  const ids = subscriptions.flatMap(({ id }) => (id === undefined ? [] : [id]));
  return {
    qos: Math.max(...subscriptions.map(({ qos }) => qos)) as QoS,
    retainAsPublished: subscriptions.some((s) => s.retainAsPublished),
    ids: ids.length > 0 ? ids : undefined,
  };
}
