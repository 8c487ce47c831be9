import type { BrokerLimits } from './config.ts';
import { isExpired, type Message, sizeOf } from './message.ts';
import type { BrokerStore } from './persistence.ts';
import { decodeRecords, encodeRecord } from './record.ts';
import { matches } from './topics.ts';

export type RetainedDeps = {
  readonly store: BrokerStore;
  readonly limits: BrokerLimits;
  /** ms since epoch minus monotonic ms. */
  readonly epoch: () => number;
  /** Counts what is not kept. */
  readonly refuse: (limit: RetainedLimit) => void;
};

type RetainedLimit = 'retainedCount' | 'retainedBytes';

/** The last retained message of each topic, in memory and on disk. */
export class Retained {
  private readonly deps: RetainedDeps;
  private readonly messages = new Map<string, Message>();
  /** Topics whose row is not what is in memory, and somebody waits for it. */
  private readonly urgent = new Set<string>();
  /** Those that go with the next commit. */
  private later: Set<string> | undefined;
  /** What the messages hold. */
  bytes = 0;

  constructor(deps: RetainedDeps) {
    this.deps = deps;
  }

  get size(): number {
    return this.messages.size;
  }

  load(): void {
    for (const { message } of this.deps.store.rows.retained()) {
      for (const record of decodeRecords(message, this.deps.epoch())) this.set(record.message);
    }
  }

  /** @returns the limit that leaves no room for the message */
  limitFor(message: Message): RetainedLimit | undefined {
    const { limits } = this.deps;
    const earlier = this.messages.get(message.topic);
    if (message.payload.length === 0) return undefined;
    if (!earlier && this.messages.size >= limits.retainedCount) return 'retainedCount';
    const more = sizeOf(message) - (earlier ? sizeOf(earlier) : 0);
    return more > 0 && this.bytes + more > limits.retainedBytes ? 'retainedBytes' : undefined;
  }

  /** Keeps the message as its topic's; an empty payload clears the topic. [MQTT-3.3.1-5] [MQTT-3.3.1-6] Without room it is
   * not kept, and neither is what it was to replace.
   * @returns for QoS 1 and 2, resolves when it is on disk */
  keep(message: Message): Promise<void> | undefined {
    const { topic, payload, qos } = message;
    if (topic.startsWith('$SYS/')) {
      this.keepVolatile(message);
      return undefined;
    }
    const limit = this.limitFor(message);
    if (limit) this.deps.refuse(limit);
    if (limit || payload.length === 0) {
      if (!this.remove(topic)) return undefined;
    } else {
      // A payload is a part of a larger buffer, which must not live as long as this does.
      const own = Buffer.allocUnsafeSlow(payload.length);
      payload.copy(own);
      this.set({ ...message, payload: own });
    }
    const written = this.note(topic, qos > 0);
    return qos > 0 ? written : undefined;
  }

  /** Keeps a message in memory alone: it is made anew at the next start. */
  keepVolatile(message: Message): void {
    this.set(message);
  }

  /** Lets go of what {@link keepVolatile} kept. */
  forgetVolatile(topic: string): void {
    this.remove(topic);
  }

  /** The messages that a new subscription to `levels` gets. */
  *matching(levels: readonly string[], now: number): Generator<Message> {
    const exact = isExact(levels) ? this.messages.get(levels.join('/')) : undefined;
    const candidates = isExact(levels) ? (exact ? [exact] : []) : this.messages.values();
    for (const message of candidates) {
      if (!matches(levels, message.topic)) continue;
      if (!isExpired(message, now)) {
        yield message;
        continue;
      }
      this.remove(message.topic);
      void this.note(message.topic, false);
    }
  }

  /** Topics that {@link matching} looks at. */
  effort(levels: readonly string[]): number {
    return isExact(levels) ? 1 : this.messages.size;
  }

  private set(message: Message): void {
    this.remove(message.topic);
    this.messages.set(message.topic, message);
    this.bytes += sizeOf(message);
  }

  private remove(topic: string): boolean {
    const message = this.messages.get(topic);
    if (!message) return false;
    this.bytes -= sizeOf(message);
    return this.messages.delete(topic);
  }

  /** A topic that changes often within one commit is written once. */
  private note(topic: string, isUrgent: boolean): Promise<void> | undefined {
    if (!isUrgent) {
      this.noteLater(topic);
      return undefined;
    }
    this.urgent.add(topic);
    const write = (): void => {
      if (!this.urgent.has(topic)) return;
      this.write(topic);
      this.urgent.delete(topic);
    };
    return this.deps.store
      .atCommit(() => write)
      .catch((error: unknown) => {
        this.noteLater(topic);
        throw error;
      });
  }

  private noteLater(topic: string): void {
    if (!this.later) {
      const topics = new Set<string>();
      this.later = topics;
      this.deps.store.withCommit(() => {
        if (this.later === topics) this.later = undefined;
        for (const changed of topics) this.write(changed);
      });
    }
    this.later.add(topic);
  }

  private write(topic: string): void {
    const { store, epoch } = this.deps;
    const message = this.messages.get(topic);
    if (message) store.rows.putRetained(topic, encodeRecord({ seq: 0, message, targets: [] }, epoch()));
    else store.rows.removeRetained(topic);
  }
}

function isExact(levels: readonly string[]): boolean {
  return !levels.includes('+') && levels.at(-1) !== '#';
}
