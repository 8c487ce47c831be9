import type { Waiter } from './ack-queue.ts';
import type { Authority } from './auth.ts';
import type { BrokerLimits } from './config.ts';
import { Gate } from './gate.ts';
import { type Journal, type Receivers, receiversOf } from './journal.ts';
import type { Message, QoS } from './message.ts';
import type { Retained } from './retained.ts';
import type { Session } from './session.ts';
import {
  type ClientSubscription,
  type LocalSubscription,
  type Match,
  type Subscription,
  type Target,
  targetOf,
} from './subscription.ts';
import { SYS } from './sys-topics.ts';
import { type Filter, isTopic, overLimit, TopicTrie } from './topics.ts';

/** Who gets the messages of one topic, found once and used until a subscription changes. */
export type Route = {
  readonly topic: string;
  readonly topicBytes: Buffer;
  /** Of the router when it was found. */
  readonly epoch: number;
  /** False for what is no topic. */
  readonly isTopic: boolean;
  readonly targets: readonly Target[];
  readonly shares: readonly Share[];
  readonly locals: readonly LocalSubscription[];
  /** The durable sessions among the targets, by kind of message (QoS, retained), once found. */
  readonly receivers: (Receivers | undefined)[];
};

type Share = { readonly name: string; readonly members: readonly ClientSubscription[] };

/** Routes that are remembered, and what they may weigh: bytes of their topics, and so much for each receiver. */
const MOST_ROUTES = 2048;
const MOST_WEIGHT = 4 * 1024 * 1024;
const RECEIVER_WEIGHT = 128;

export type RouterDeps = {
  readonly authority: Authority;
  readonly retained: Retained;
  readonly journal: Journal;
  readonly limits: BrokerLimits;
  /** Told at each subscription below `$SYS` that comes or goes whether there is one. */
  readonly sysWatched: (isWatched: boolean) => void;
  /** Monotonic ms. */
  readonly now: () => number;
};

/** Subscriptions, and the way of a message to those who have them. */
export class Router {
  private readonly deps: RouterDeps;
  private readonly trie = new TopicTrie<Subscription>();
  private readonly routes = new Map<string, Route>();
  /** Topics that were asked for and that nobody hears: all that is worth remembering of them. */
  private readonly unheard = new Set<string>();
  /** Whose turn it is in each shared subscription. */
  private readonly turns = new Map<string, number>();
  /** Of the routes. */
  private weight = 0;
  /** Changes with every subscription, so that no route outlives what it was made of. */
  epoch = 1;

  constructor(deps: RouterDeps) {
    this.deps = deps;
    deps.authority.onChange(() => this.forget());
  }

  add(subscription: Subscription): void {
    this.trie.add(subscription.filter.levels, subscription);
    this.changed(subscription);
  }

  remove(subscription: Subscription): void {
    this.trie.remove(subscription.filter.levels, subscription);
    // The others of the share begin anew; the name must not outlive the last of them.
    if (subscription.filter.share !== undefined) this.turns.delete(shareName(subscription.filter));
    this.changed(subscription);
  }

  routeOf(topic: string): Route {
    const known = this.routes.get(topic);
    if (known) return known;
    const route = this.find(topic);
    const receivers = route.targets.length + route.shares.length + route.locals.length;
    const weight = 3 * topic.length + RECEIVER_WEIGHT * (receivers + 1);
    if (this.routes.size >= MOST_ROUTES || this.weight + weight > MOST_WEIGHT) this.clear();
    this.routes.set(topic, route);
    this.weight += weight;
    return route;
  }

  /** Whether a message on a topic would reach anybody. */
  hears(topic: string): boolean {
    if (this.unheard.has(topic)) return false;
    const { isTopic, targets, shares, locals } = this.routes.get(topic) ?? this.find(topic);
    // What is no topic is heard, too: by whoever is told so.
    if (!isTopic || targets.length + shares.length + locals.length > 0) return true;
    if (this.unheard.size >= MOST_ROUTES) this.unheard.clear();
    this.unheard.add(topic);
    return false;
  }

  /** Brings a message to everyone who subscribed.
   * @param from its publisher, a client's session
   * @param ticket gives who is to know when it is safe; asked only when there is something to wait for
   * @returns whether there was */
  deliver(route: Route, message: Message, from: Session | undefined, ticket?: () => Waiter): boolean {
    let gate: Gate | undefined;
    if (message.retain) {
      const kept = this.deps.retained.keep(message);
      if (kept) {
        gate = new Gate();
        gate.wait(kept);
      }
    }
    for (const local of route.locals) {
      const done = handled(local, message);
      if (!done) continue;
      gate ??= new Gate();
      gate.wait(done);
    }
    const receivers = this.toSessions(route, message, from);
    if (receivers) this.deps.journal.add(message, receivers, gate ? gate.enter() : ticket?.());
    gate?.onOpen(ticket?.());
    return gate !== undefined || receivers !== undefined;
  }

  /** Brings one message, a retained one, to one session. */
  deliverTo(session: Session, match: Match, message: Message): void {
    const qos = Math.min(message.qos, match.qos) as QoS;
    if (qos > 0 && session.durable)
      this.deps.journal.add(message, receiversOf([{ session, match, qos }], message.retain), undefined);
    else session.deliver(message, match, qos, this.deps.now);
  }

  /** @returns the durable sessions, which get theirs from the journal; undefined when there is none */
  private toSessions(route: Route, message: Message, from: Session | undefined): Receivers | undefined {
    let found: { session: Session; match: Match; qos: QoS }[] | undefined;
    const { now } = this.deps;
    const { receivers } = route;
    // The durable ones are the same for every message of a kind, unless the publisher is among them.
    const kind = message.qos * 2 + (message.retain ? 1 : 0);
    const known = from?.durable ? undefined : receivers[kind];
    for (let i = 0; i < route.targets.length; i++) {
      const target = route.targets[i] as Target;
      const match = from === target.session ? target.own : target.match;
      if (!match) continue;
      const qos = Math.min(message.qos, match.qos) as QoS;
      if (qos === 0 || !target.session.durable) target.session.deliver(message, match, qos, now);
      else if (known === undefined) {
        found ??= [];
        found.push({ session: target.session, match, qos });
      }
    }
    for (const share of route.shares) {
      const { session, qos: granted, id, retainAsPublished } = this.nextOf(share);
      const qos = Math.min(message.qos, granted) as QoS;
      const match = { qos: granted, retainAsPublished, ids: id === undefined ? undefined : [id] };
      if (qos > 0 && session.durable) {
        found ??= [];
        found.push({ session, match, qos });
      } else session.deliver(message, match, qos, now);
    }
    if (known) return found ? receiversOf([...known.parts, ...found], message.retain) : known;
    if (!found) return undefined;
    const fresh = receiversOf(found, message.retain);
    if (!from?.durable && route.shares.length === 0) receivers[kind] = fresh;
    return fresh;
  }

  private changed({ filter }: Subscription): void {
    this.forget();
    if (filter.levels[0] === SYS) this.deps.sysWatched(this.trie.hasBelow(SYS));
  }

  private forget(): void {
    this.epoch++;
    this.clear();
  }

  private clear(): void {
    this.routes.clear();
    this.unheard.clear();
    this.weight = 0;
  }

  private find(topic: string): Route {
    const found = new Map<Session, ClientSubscription[]>();
    const shares = new Map<string, ClientSubscription[]>();
    const locals: LocalSubscription[] = [];
    const { authority, limits } = this.deps;
    this.trie.match(topic, (subscription) => {
      if (subscription.kind === 'local') {
        locals.push(subscription);
        return;
      }
      const { session, filter } = subscription;
      if (session.identity && !authority.authorize(session.identity, 'deliver', topic)) return;
      if (filter.share === undefined) append(found, session, subscription);
      else append(shares, shareName(filter), subscription);
    });
    return {
      topic,
      topicBytes: Buffer.from(topic),
      epoch: this.epoch,
      isTopic: isTopic(topic, limits.topicLevels) && overLimit(topic, limits) === undefined,
      targets: [...found].map(([session, subscriptions]) => targetOf(session, subscriptions)),
      shares: [...shares].map(([name, members]) => ({ name, members })),
      locals,
      receivers: [],
    };
  }

  /** The members of a shared subscription take turns; one that is connected goes before one that is not. */
  private nextOf({ name, members }: Share): ClientSubscription {
    const turn = ((this.turns.get(name) ?? -1) + 1) % members.length;
    this.turns.set(name, turn);
    for (let i = 0; i < members.length; i++) {
      const member = members[(turn + i) % members.length] as ClientSubscription;
      if (member.session.outlet) return member;
    }
    return members[turn] as ClientSubscription;
  }
}

function shareName({ share, levels }: Filter): string {
  return `${share}/${levels.join('/')}`;
}

/** A handler that throws has refused the message like one that rejects: its publisher hears of it, and nobody else. */
function handled({ handler }: LocalSubscription, message: Message): Promise<void> | void {
  const { topic, payload, qos, retain, from } = message;
  try {
    return handler(topic, payload, { qos, retain, from });
  } catch (error) {
    return Promise.reject(error);
  }
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
