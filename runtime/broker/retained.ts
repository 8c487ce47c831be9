import { isExpired, type Message } from './message.ts';
import { matches } from './topics.ts';

/** The last retained message of each topic. */
export class Retained {
  private readonly messages = new Map<string, Message>();

  get size(): number {
    return this.messages.size;
  }

  /** Keeps the message as its topic's; an empty payload clears the topic. [MQTT-3.3.1-5] [MQTT-3.3.1-6] */
  keep(message: Message): void {
    if (message.payload.length === 0) this.messages.delete(message.topic);
    else this.messages.set(message.topic, message);
  }

  /** The messages that a new subscription to `levels` gets. */
  matching(levels: readonly string[], now: number): Message[] {
    const found: Message[] = [];
    for (const message of this.messages.values()) {
      if (!matches(levels, message.topic)) continue;
      if (isExpired(message, now)) this.messages.delete(message.topic);
      else found.push(message);
    }
    return found;
  }
}
