import type { BrokerLimits } from './config.ts';
import { isExpired, type Message } from './message.ts';
import type { BrokerStore } from './persistence.ts';
import { decodeRecords, encodeRecord } from './record.ts';
import { matches } from './topics.ts';

export type RetainedDeps = {
  readonly store: BrokerStore;
  readonly limits: BrokerLimits;
  /** ms since epoch minus monotonic ms. */
  readonly epoch: () => number;
};

/** The last retained message of each topic, in memory and on disk. */
export class Retained {
  private readonly deps: RetainedDeps;
  private readonly messages = new Map<string, Message>();
  /** Topics whose row is not what is in memory, and somebody waits for it. */
  private readonly urgent = new Set<string>();
  /** Those that go with the next commit. */
  private later: Set<string> | undefined;

  constructor(deps: RetainedDeps) {
    this.deps = deps;
  }

  get size(): number {
    return this.messages.size;
  }

  load(): void {
    for (const { message } of this.deps.store.rows.retained()) {
      for (const record of decodeRecords(message, this.deps.epoch()))
        this.messages.set(record.message.topic, record.message);
    }
  }

  /** Keeps the message as its topic's; an empty payload clears the topic. [MQTT-3.3.1-5] [MQTT-3.3.1-6]
   * @returns for QoS 1 and 2, resolves when it is on disk */
  keep(message: Message): Promise<void> | undefined {
    const { topic, payload, qos } = message;
    if (topic.startsWith('$SYS/')) {
      this.keepVolatile(message);
      return undefined;
    }
    if (payload.length === 0) {
      if (!this.messages.delete(topic)) return undefined;
    } else if (this.messages.size >= this.deps.limits.retainedCount && !this.messages.has(topic)) {
      return Promise.reject(new Error(`${this.messages.size} topics are retained already`));
    } else {
      // A payload is a part of a larger buffer, which must not live as long as this does.
      const own = Buffer.allocUnsafeSlow(payload.length);
      payload.copy(own);
      this.messages.set(topic, { ...message, payload: own });
    }
    const written = this.note(topic, qos > 0);
    return qos > 0 ? written : undefined;
  }

  /** Keeps a message in memory alone: it is made anew at the next start. */
  keepVolatile(message: Message): void {
    this.messages.set(message.topic, message);
  }

  /** Lets go of what {@link keepVolatile} kept. */
  forgetVolatile(topic: string): void {
    this.messages.delete(topic);
  }

  /** The messages that a new subscription to `levels` gets. */
  matching(levels: readonly string[], now: number): Message[] {
    const found: Message[] = [];
    for (const message of this.messages.values()) {
      if (!matches(levels, message.topic)) continue;
      if (!isExpired(message, now)) {
        found.push(message);
        continue;
      }
      this.messages.delete(message.topic);
      void this.note(message.topic, false);
    }
    return found;
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
