import type { QoS } from '../message.ts';
import { matches, parseFilter } from '../topics.ts';

/** Which topics a bridge carries, and what they are called on the other side.
 * @source mosquitto.conf(5), `topic` of a bridge */
export type TopicMap = {
  /** A filter; empty when the prefixes are whole topics. */
  readonly pattern: string;
  readonly direction: 'in' | 'out' | 'both';
  /** Most that a message is sent with; below that it keeps its own. */
  readonly qos: QoS;
  readonly localPrefix: string;
  readonly remotePrefix: string;
};

/** A filter that one of the two sides is asked for. */
export type MappedFilter = { readonly filter: string; readonly levels: readonly string[]; readonly qos: QoS };

type Side = MappedFilter & { readonly from: string; readonly to: string };

/** @returns what is wrong with a map, or undefined */
export function mapFault({ pattern, localPrefix, remotePrefix }: TopicMap): string | undefined {
  if (pattern === '' && (localPrefix === '' || remotePrefix === ''))
    return 'without a pattern both prefixes are whole topics, and none may be empty';
  for (const prefix of [localPrefix, remotePrefix]) {
    if (/[+#\0]/.test(prefix)) return `want a prefix without wildcards, not ${JSON.stringify(prefix)}`;
    const filter = parseFilter(prefix + pattern, Number.POSITIVE_INFINITY);
    if (!filter || filter.share !== undefined)
      return `${JSON.stringify(prefix + pattern)} is no topic filter`;
  }
  return undefined;
}

/** @returns pairs of maps that ask one side for the same filter, of which only the first could ever be used */
export function doubledMaps(maps: readonly TopicMap[]): { first: number; second: number; filter: string }[] {
  const found: { first: number; second: number; filter: string }[] = [];
  for (const side of ['out', 'in'] as const) {
    const seen = new Map<string, number>();
    for (const [second, map] of maps.entries()) {
      if (map.direction !== 'both' && map.direction !== side) continue;
      const filter = (side === 'out' ? map.localPrefix : map.remotePrefix) + map.pattern;
      const first = seen.get(filter);
      if (first === undefined) seen.set(filter, second);
      else found.push({ first, second, filter });
    }
  }
  return found;
}

/** The maps of one bridge. The first that matches a topic names it. */
export class TopicMaps {
  /** What is sent: filters of this broker. */
  readonly outgoing: readonly MappedFilter[];
  /** What is fetched: filters of the other one. */
  readonly incoming: readonly MappedFilter[];
  private readonly out: readonly Side[];
  private readonly in: readonly Side[];

  constructor(maps: readonly TopicMap[]) {
    this.out = maps
      .filter(({ direction }) => direction !== 'in')
      .map((map) => sideOf(map, map.localPrefix, map.remotePrefix));
    this.in = maps
      .filter(({ direction }) => direction !== 'out')
      .map((map) => sideOf(map, map.remotePrefix, map.localPrefix));
    this.outgoing = this.out;
    this.incoming = this.in;
  }

  /** @returns what a topic of this broker is called on the other one; undefined when it is not carried there */
  toRemote(topic: string): string | undefined {
    return renamed(this.out, topic);
  }

  /** @returns what a topic of the other broker is called here; undefined when it is not carried here */
  toLocal(topic: string): string | undefined {
    return renamed(this.in, topic);
  }
}

function sideOf({ pattern, qos }: TopicMap, from: string, to: string): Side {
  const filter = from + pattern;
  return { filter, levels: filter.split('/'), qos, from, to };
}

function renamed(sides: readonly Side[], topic: string): string | undefined {
  for (const { levels, from, to } of sides) {
    if (!matches(levels, topic)) continue;
    if (topic.startsWith(from)) return to + topic.slice(from.length);
    // `a/#` matches `a` as well, which does not have the prefix `a/`. [MQTT-4.7.1.2]
    return to.length > 1 && to.endsWith('/') ? to.slice(0, -1) : undefined;
  }
  return undefined;
}
