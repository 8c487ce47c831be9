import type { Delivery } from './session-client.ts';

export type Figures = {
  published: number;
  acknowledged: number;
  delivered: number;
  duplicates1: number;
  duplicates2: number;
  lost: number;
};

/** What one subscriber has got of one topic. */
type Progress = {
  last: number;
  /** Numbers before the last that have not come. */
  readonly gaps: Set<number>;
  duplicates1: number;
  duplicates2: number;
  count: number;
};

/** Who was sent what: every topic has one publisher, which numbers its messages from 1. */
export class Ledger {
  /** What must not happen, in the order in which it did. */
  readonly faults: string[] = [];
  private readonly published = new Map<string, number>();
  private readonly acknowledged = new Map<string, number>();
  /** The highest number that was acknowledged; all before it were too when nothing is under way. */
  private readonly highest = new Map<string, number>();
  private readonly subscribers = new Map<
    string,
    { covers: (topic: string) => boolean; topics: Map<string, Progress> }
  >();

  /** @returns the number of the topic's next message */
  next(topic: string): number {
    const n = (this.published.get(topic) ?? 0) + 1;
    this.published.set(topic, n);
    return n;
  }

  acknowledge(topic: string, n: number): void {
    this.acknowledged.set(topic, (this.acknowledged.get(topic) ?? 0) + 1);
    this.highest.set(topic, Math.max(n, this.highest.get(topic) ?? 0));
  }

  lastAcknowledged(topic: string): number {
    return this.highest.get(topic) ?? 0;
  }

  lastPublished(topic: string): number {
    return this.published.get(topic) ?? 0;
  }

  /** @returns what takes the deliveries to this subscriber */
  subscriber(name: string, covers: (topic: string) => boolean): (delivery: Delivery) => void {
    const topics = new Map<string, Progress>();
    this.subscribers.set(name, { covers, topics });
    return (delivery) => this.delivered(name, topics, delivery);
  }

  fault(what: string): void {
    this.faults.push(what);
  }

  /** What subscribers have not got yet of what was acknowledged. */
  missing(): string[] {
    const missing: string[] = [];
    for (const [name, { covers, topics }] of this.subscribers) {
      for (const [topic, highest] of this.highest) {
        const last = topics.get(topic)?.last ?? 0;
        if (covers(topic) && last < highest) missing.push(`${name}: ${topic} ${last + 1} to ${highest}`);
      }
    }
    return missing;
  }

  figures(): Figures {
    const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0);
    const all = [...this.subscribers.values()].flatMap(({ topics }) => [...topics.values()]);
    const lost = [...this.subscribers.values()].flatMap(({ covers, topics }) =>
      [...this.highest].map(([topic, highest]) => {
        const { last, gaps } = topics.get(topic) ?? { last: 0, gaps: new Set() };
        return covers(topic) ? gaps.size + Math.max(0, highest - last) : 0;
      }),
    );
    return {
      published: sum(this.published.values()),
      acknowledged: sum(this.acknowledged.values()),
      delivered: sum(all.map(({ count }) => count)),
      duplicates1: sum(all.map(({ duplicates1 }) => duplicates1)),
      duplicates2: sum(all.map(({ duplicates2 }) => duplicates2)),
      lost: sum(lost),
    };
  }

  private delivered(name: string, topics: Map<string, Progress>, { topic, payload, qos }: Delivery): void {
    const n = numberOf(payload);
    const progress = topics.get(topic) ?? {
      last: 0,
      gaps: new Set(),
      duplicates1: 0,
      duplicates2: 0,
      count: 0,
    };
    topics.set(topic, progress);
    progress.count++;
    if (n > progress.last) {
      // A later one first: what is between was lost, or was overtaken. [MQTT-4.6.0-6]
      if (n > progress.last + 1) this.fault(`${name}: ${topic} ${n} after ${progress.last}`);
      for (let missed = progress.last + 1; missed < n; missed++) progress.gaps.add(missed);
      progress.last = n;
    } else if (progress.gaps.delete(n)) return;
    else if (qos === 2) {
      progress.duplicates2++;
      this.fault(`${name}: ${topic} ${n} again, with QoS 2, after ${progress.last}`);
    } else progress.duplicates1++;
  }
}

/** A message begins with its number; the rest is weight. */
export function payloadOf(n: number, size: number): Buffer {
  const payload = Buffer.alloc(Math.max(size, 12), '.');
  payload.write(`${n} `);
  return payload;
}

export function numberOf(payload: Buffer): number {
  return Number.parseInt(payload.toString('latin1', 0, 12), 10);
}
