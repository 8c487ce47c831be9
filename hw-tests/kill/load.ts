import { type Ledger, payloadOf } from './ledger.ts';
import { SessionClient } from './session-client.ts';

/** Messages that one publisher has under way at most, and how many it adds each tick. */
const WINDOW = 24;
const PER_TICK = 5;
const TICK = 10;
/** How often one of the connections breaks, without any harm to the broker. */
const BREAK = 25;
/** Every so many messages one is large, so that checkpoints come. */
const LARGE_EVERY = 25;
const LARGE = 40_000;

export type LoadOptions = {
  readonly port: number;
  readonly publishers: number;
  readonly ledger: Ledger;
  readonly random: () => number;
};

/** Publishers and subscribers with sessions that last. Each publisher has a topic for QoS 1, one for QoS 2, and one that
 * is retained. */
export class Load {
  readonly publishers: readonly SessionClient[];
  readonly subscribers: readonly SessionClient[];
  readonly retainedTopics: readonly string[];
  private readonly options: LoadOptions;
  private readonly visitor: SessionClient;
  private timers: NodeJS.Timeout[] = [];
  private visit: NodeJS.Timeout | undefined;
  private sent = 0;

  constructor(options: LoadOptions) {
    this.options = options;
    const { port, ledger } = options;
    const fault = (what: string): void => ledger.fault(what);
    const names = Array.from({ length: options.publishers }, (_, i) => `p${i}`);
    this.retainedTopics = names.map((name) => `state/${name}`);
    this.publishers = names.map(
      (clientId, i) => new SessionClient({ port, clientId, version: i % 2 === 0 ? 4 : 5, fault }),
    );
    const subscriber = (
      clientId: string,
      version: 4 | 5,
      filter: { topic: string; qos: 1 | 2 },
      covers: (topic: string) => boolean,
    ): SessionClient =>
      new SessionClient({
        port,
        clientId,
        version,
        filters: [filter],
        ...(version === 5 ? { receiveMaximum: 10 } : {}),
        deliver: ledger.subscriber(clientId, covers),
        fault,
      });
    const isLoad = (topic: string): boolean => topic.startsWith('load/');
    this.visitor = subscriber('visitor', 5, { topic: 'load/#', qos: 2 }, isLoad);
    this.subscribers = [
      subscriber('always', 4, { topic: 'load/#', qos: 2 }, isLoad),
      subscriber('narrow', 5, { topic: 'load/p0/+', qos: 2 }, (topic) => topic.startsWith('load/p0/')),
      subscriber('wild', 4, { topic: '#', qos: 1 }, () => true),
      this.visitor,
    ];
  }

  /** Messages that are not acknowledged. */
  get pending(): number {
    return this.publishers.reduce((sum, { pending }) => sum + pending, 0);
  }

  get isSubscribed(): boolean {
    return this.subscribers.every(({ subscribed }) => subscribed);
  }

  connect(): void {
    for (const client of [...this.subscribers, ...this.publishers]) client.start();
  }

  /** Publishes, and lets the visitor come and go, until {@link pause}. */
  run(): void {
    this.timers = this.publishers.map((client, i) => setInterval(() => this.tick(client, `p${i}`), TICK));
    const everyone = [...this.publishers, ...this.subscribers];
    this.timers.push(
      setInterval(() => everyone[Math.floor(this.options.random() * everyone.length)]?.drop(), BREAK),
    );
    this.leave();
  }

  /** Publishes no more; everyone is there. */
  pause(): void {
    for (const timer of this.timers) clearInterval(timer);
    clearTimeout(this.visit);
    this.visitor.stop(false);
    this.visitor.start();
  }

  close(): void {
    for (const timer of this.timers) clearInterval(timer);
    clearTimeout(this.visit);
    for (const client of [...this.subscribers, ...this.publishers]) client.stop(false);
  }

  private tick(client: SessionClient, name: string): void {
    // One QoS for a topic: a QoS 1 message that comes again may follow a QoS 2 one that does not.
    const stateQos = this.publishers.indexOf(client) % 4 < 2 ? 1 : 2;
    for (let i = 0; i < PER_TICK && client.pending < WINDOW; i++) {
      const at = this.sent++;
      if (at % 10 === 9) this.publish(client, `state/${name}`, stateQos, true, 20);
      else {
        const qos = this.options.random() < 0.5 ? 1 : 2;
        this.publish(client, `load/${name}/q${qos}`, qos, false, at % LARGE_EVERY === 0 ? LARGE : 100);
      }
    }
  }

  private publish(client: SessionClient, topic: string, qos: 1 | 2, retain: boolean, size: number): void {
    const { ledger } = this.options;
    const n = ledger.next(topic);
    void client
      .publish({ topic, payload: payloadOf(n, size), qos, retain })
      .then(() => ledger.acknowledge(topic, n));
  }

  private leave(): void {
    const { random } = this.options;
    this.visit = setTimeout(
      () => {
        // Only a subscription that is kept gets what comes meanwhile.
        if (this.visitor.subscribed) this.visitor.stop(random() < 0.5);
        this.visit = setTimeout(() => this.enter(), 100 + random() * 900);
      },
      50 + random() * 400,
    );
  }

  private enter(): void {
    this.visitor.stop(false);
    this.visitor.start();
    this.leave();
  }
}
