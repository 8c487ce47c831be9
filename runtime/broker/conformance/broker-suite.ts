import { suite, type Test } from 'uvu';
import { FakeClock } from '../../core/fake-clock.ts';
import { silentLogger } from '../../core/log.ts';
import { Metrics } from '../../core/metrics.ts';
import { Broker, type BrokerDeps } from '../broker.ts';
import { TestClient } from '../test-client.ts';

export const versions = [3, 4, 5] as const;
export type Version = (typeof versions)[number];
type ConnectOptions = Parameters<TestClient['connect']>[1];

export type BrokerContext = {
  clock: FakeClock;
  /** One with nothing configured. */
  broker: Broker;
  /** Another one, which is stopped after the test. */
  start: (deps: Partial<BrokerDeps>) => Broker;
  /** A client that has connected. */
  join: (
    clientId: string,
    version?: Version,
    options?: ConnectOptions,
    broker?: Broker,
  ) => Promise<TestClient>;
};

/** A suite whose tests each get a broker, a clock that stands still, and clients on wires in memory. */
export function brokerSuite(name: string): Test<BrokerContext> {
  const test = suite<BrokerContext>(name);
  const brokers: Broker[] = [];
  test.before.each((context) => {
    context.clock = new FakeClock();
    context.start = (deps) => {
      const { clock } = context;
      const broker = new Broker({ listeners: [], clock, log: silentLogger, metrics: new Metrics(), ...deps });
      brokers.push(broker);
      return broker;
    };
    context.broker = context.start({});
    context.join = async (clientId, version = 5, options = {}, broker = context.broker) => {
      const client = new TestClient(broker, version);
      await client.connect(clientId, options);
      return client;
    };
  });
  test.after.each(async () => {
    await Promise.all(brokers.splice(0).map((broker) => broker.stop()));
  });
  return test;
}

/** An MQTT 5 session that outlives its connection. */
export const lasting = { clean: false, properties: { sessionExpiryInterval: 3600 } };
/** The same before MQTT 5. */
export const lastingFor = (version: Version): ConnectOptions => (version === 5 ? lasting : { clean: false });
