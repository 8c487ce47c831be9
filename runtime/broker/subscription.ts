import type { Message, QoS } from './message.ts';
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

/** A client's share of one message: its subscriptions that match are served by one delivery, with the highest QoS.
 * [MQTT-3.3.5-1] */
export type Match = { qos: QoS; retain: boolean; ids: number[] };

/** Adds a subscription that matches to what its session gets; false when it is not meant to get it. */
export function joinMatch(found: Map<Session, Match>, s: ClientSubscription, message: Message): void {
  if (s.noLocal && message.from === s.session.clientId) return; // [MQTT-3.8.3-3]
  const qos = Math.min(message.qos, s.qos) as QoS;
  // A live message is not marked as retained, unless the subscriber asked for the mark. [MQTT-3.3.1-12] [MQTT-3.3.1-13]
  const retain = s.retainAsPublished && message.retain;
  const match = found.get(s.session) ?? { qos, retain, ids: [] };
  match.qos = Math.max(match.qos, qos) as QoS;
  match.retain ||= retain;
  if (s.id !== undefined) match.ids.push(s.id);
  found.set(s.session, match);
}
