import { Ledger, payloadOf } from '../kill/ledger.ts';
import { SessionClient } from '../kill/session-client.ts';
import { until } from '../program.ts';

/** Messages that are not acknowledged at any time. */
const WINDOW = 20;

/** QoS 1 messages from outside, numbered, with a subscriber whose session lasts: it must get each that was
 * acknowledged. */
export class CutLoad {
  readonly ledger = new Ledger();
  private readonly topic: string;
  private readonly publisher: SessionClient;
  private readonly subscriber: SessionClient;
  private wanted = false;

  /** @param name of its topics and clients: one load must not get what is left of another */
  constructor(port: number, name = 'load') {
    this.topic = `${name}/readings`;
    const fault = (what: string): void => this.ledger.fault(what);
    const common = { port, version: 4, fault } as const;
    this.publisher = new SessionClient({ ...common, clientId: `${name}-sensor` });
    this.subscriber = new SessionClient({
      ...common,
      clientId: `${name}-keeper`,
      filters: [{ topic: `${name}/#`, qos: 1 }],
      deliver: this.ledger.subscriber('keeper', () => true),
    });
  }

  get acknowledged(): number {
    return this.ledger.lastAcknowledged(this.topic);
  }

  /** Connects, and publishes from then on. */
  async start(limit: number): Promise<void> {
    this.subscriber.start();
    await until(
      'the subscriber is there',
      () => this.subscriber.subscribed && this.subscriber.isOnline,
      limit,
    );
    this.publisher.start();
    this.wanted = true;
    for (let i = this.publisher.pending; i < WINDOW; i++) this.next();
  }

  /** Publishes no more. */
  pause(): void {
    this.wanted = false;
  }

  /** The machine has no power: nobody tries to reach it. */
  stop(): void {
    this.wanted = false;
    this.publisher.stop(false);
    this.subscriber.stop(false);
  }

  /** Resolves when everything acknowledged has arrived, and nothing is under way. */
  async settled(limit: number): Promise<void> {
    await until('all is acknowledged', () => this.publisher.pending === 0, limit);
    await until('all has arrived', () => this.ledger.missing().length === 0, limit);
  }

  private next(): void {
    if (!this.wanted) return;
    const n = this.ledger.next(this.topic);
    const message = { topic: this.topic, payload: payloadOf(n, 100), qos: 1, retain: false } as const;
    this.publisher.publish(message).then(
      () => {
        this.ledger.acknowledge(this.topic, n);
        this.next();
      },
      () => {}, // it never rejects: a message waits for its acknowledgement as long as it takes
    );
  }
}
