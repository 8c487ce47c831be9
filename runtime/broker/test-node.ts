import { FakeClock } from '../core/fake-clock.ts';
import { silentLogger } from '../core/log.ts';
import { Metrics } from '../core/metrics.ts';
import { Broker } from './broker.ts';
import type { BrokerLimits } from './config.ts';
import { TestClient } from './test-client.ts';
import { settled, TestStore } from './test-store.ts';

/** A broker for tests that can be killed and started again on what it had committed. */
export class TestNode {
  clock = new FakeClock();
  store = new TestStore();
  broker: Broker;
  private readonly limits: Partial<BrokerLimits>;

  constructor(limits: Partial<BrokerLimits> = {}) {
    this.limits = limits;
    this.broker = this.make();
  }

  /** The process ends here, and another begins.
   * @param after ms between the two, in which the wall clock goes on */
  async kill(after = 0): Promise<void> {
    this.store = new TestStore(this.store);
    this.clock = new FakeClock(this.clock.now() + after);
    this.broker = this.make();
    await this.broker.start();
    await this.clock.advance(0);
  }

  /** A client with a session that lasts, connected. */
  async client(clientId: string, version: 4 | 5 = 4, properties: object = {}): Promise<TestClient> {
    const client = new TestClient(this.broker, version);
    await client.connect(clientId, {
      clean: false,
      ...(version === 5 ? { properties: { sessionExpiryInterval: 1000, ...properties } } : {}),
    });
    return client;
  }

  /** The same, with a subscription that is on disk; it stays connected. */
  async subscriber(
    clientId: string,
    filter: string,
    qos: 0 | 1 | 2,
    version: 4 | 5 = 4,
  ): Promise<TestClient> {
    const client = await this.client(clientId, version);
    const suback = client.subscribe(filter, qos);
    await this.store.commit();
    await suback;
    return client;
  }

  /** The same, gone. */
  async away(clientId: string, filter: string, qos: 0 | 1 | 2, version: 4 | 5 = 4): Promise<void> {
    const client = await this.subscriber(clientId, filter, qos, version);
    client.drop();
    await settled();
  }

  async commit(): Promise<void> {
    await this.store.commit();
    await settled();
  }

  async refuse(): Promise<void> {
    await this.store.refuse();
    await settled();
  }

  stop(): Promise<void> {
    return this.broker.stop();
  }

  private make(): Broker {
    const { clock, store, limits } = this;
    return new Broker({ listeners: [], limits, store, clock, log: silentLogger, metrics: new Metrics() });
  }
}
