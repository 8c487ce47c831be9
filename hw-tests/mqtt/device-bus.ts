import { randomUUID } from 'node:crypto';
import type { Mosquitto, Subscriber } from './mosquitto.ts';

/** A payload of `$hw/events`, as it came. */
export type Event = {
  readonly topic: string;
  readonly payload: Readonly<Record<string, unknown>>;
};

/** What an application on the node sees of its devices: everything below `$hw/events`, and requests to it. */
export class DeviceBus {
  private readonly mqtt: Mosquitto;
  private readonly subscriber: Subscriber;

  private constructor(mqtt: Mosquitto, subscriber: Subscriber) {
    this.mqtt = mqtt;
    this.subscriber = subscriber;
  }

  static async open(mqtt: Mosquitto): Promise<DeviceBus> {
    return new DeviceBus(mqtt, await mqtt.subscribe(['$hw/events/#'], { qos: 1 }));
  }

  /** Everything that came, in order, without the requests. */
  get events(): Event[] {
    return this.subscriber.received
      .filter(({ topic }) => !REQUEST.test(topic))
      .map(({ topic, payload }) => ({ topic, payload: JSON.parse(payload) }));
  }

  /** Publishes a request with an event id of its own.
   * @returns the first event on `result` with that id */
  async ask(topic: string, result: string, body: Readonly<Record<string, unknown>> = {}): Promise<Event> {
    const event_id = randomUUID();
    await this.mqtt.publish(topic, JSON.stringify({ event_id, timestamp: Date.now(), ...body }));
    return this.event(result, ({ payload }) => payload.event_id === event_id);
  }

  /** Publishes a payload as it is.
   * @returns the first event on `result` that came after it */
  async askRaw(topic: string, result: string, payload: string): Promise<Event> {
    const before = this.events.length;
    await this.mqtt.publish(topic, payload);
    return this.event(result, (_, at) => at >= before);
  }

  /** Resolves with the first event on a topic for which `wanted` holds, also one that came already. */
  async event(topic: string, wanted: (event: Event, at: number) => boolean = () => true): Promise<Event> {
    let found: Event | undefined;
    await this.subscriber.message(topic, () => {
      found = this.events.find((event, at) => event.topic === topic && wanted(event, at));
      return found !== undefined;
    });
    if (!found) throw new Error(`nothing on ${topic}`);
    return found;
  }

  /** Resolves with the event on a topic that belongs to the same request as another one. */
  companion(of: Event, topic: string): Promise<Event> {
    return this.event(topic, ({ payload }) => payload.event_id === of.payload.event_id);
  }

  /** Where the events of a request went, in order. */
  topicsOf(request: Event): string[] {
    return this.events
      .filter(({ payload }) => payload.event_id === request.payload.event_id)
      .map(({ topic }) => topic);
  }
}

const REQUEST = /\/(twin|state)\/(update|get)$|\/membership\/get$/;
