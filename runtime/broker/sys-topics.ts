import type { Clock, Timer } from '../core/clock.ts';
import { seconds } from '../core/units.ts';
import { type Message, makeMessage } from './message.ts';

/** First level of the topics that are the broker's own. */
export const SYS = '$SYS';

/** How often they change; mosquitto's `sys_interval`. */
const PERIOD = seconds(10);

/** What the broker says of itself, by topic below `$SYS/broker/`. */
export type SysFigures = Readonly<Record<string, () => number | string>>;

export type SysTopicsDeps = {
  readonly figures: SysFigures;
  readonly clock: Clock;
  /** Keeps a message for those who come, in memory. */
  readonly keep: (message: Message) => void;
  readonly forget: (topic: string) => void;
  /** Keeps it, and brings it to those who are there. */
  readonly publish: (message: Message) => void;
};

/** Publishes the `$SYS/broker/…` topics while somebody subscribes to them, with the names that mosquitto gives them.
 * Unwatched it does nothing and keeps nothing. QoS 0: nobody has them queued while away.
 * @source mosquitto.conf(5) sys_interval; mosquitto(8) BROKER STATUS */
export class SysTopics {
  private readonly deps: SysTopicsDeps;
  private readonly last = new Map<string, string>();
  private timer: Timer | undefined;
  private isOver = false;

  constructor(deps: SysTopicsDeps) {
    this.deps = deps;
  }

  /** Somebody subscribes to them, or nobody does any more. */
  watched(isWatched: boolean): void {
    if (!isWatched) return this.rest();
    if (this.timer || this.isOver) return;
    // Whoever has just subscribed gets them as retained messages, after SUBACK.
    for (const message of this.changed()) this.deps.keep(message);
    this.timer = this.deps.clock.every(PERIOD, () => {
      for (const message of this.changed()) this.deps.publish(message);
    });
  }

  stop(): void {
    this.isOver = true;
    this.rest();
  }

  private rest(): void {
    this.timer?.cancel();
    this.timer = undefined;
    for (const topic of this.last.keys()) this.deps.forget(topic);
    this.last.clear();
  }

  /** Messages for the figures that are not what they were. */
  private changed(): Message[] {
    const messages: Message[] = [];
    for (const [name, read] of Object.entries(this.deps.figures)) {
      const topic = `${SYS}/broker/${name}`;
      const value = `${read()}`;
      if (this.last.get(topic) === value) continue;
      this.last.set(topic, value);
      messages.push(makeMessage({ topic, payload: Buffer.from(value), qos: 0, retain: true }));
    }
    return messages;
  }
}
