import { until } from '../../hw-tests/program.ts';
import { LoadClient } from './load-client.ts';
import type { RunningBroker } from './mqtt-brokers.ts';
import { cpuSecondsOf, memoryOf } from './process-meter.ts';

/** One way of loading a broker. */
export type Load = {
  readonly publishers: number;
  readonly subscribers: number;
  readonly qos: 0 | 1 | 2;
  /** Messages of one publisher that may be under way. */
  readonly window: number;
};

export type LoadResult = {
  /** Messages delivered a second. */
  readonly rate: number;
  /** Microseconds of the broker's CPU a delivered message. */
  readonly cpuMicros: number;
  readonly rssMb: number;
};

export type DurableResult = LoadResult & {
  /** Once everything that was kept has been fetched. */
  readonly fetchRssMb: number;
};

const PAYLOAD = Buffer.alloc(64, 'x');
const WARM_UP_MS = 1500;
const DURABLE_WINDOW = 1000;
let runs = 0;

/** Keeps the publishers' windows full for a time; what is delivered meanwhile is counted. Publishers wait for what they
 * sent to be delivered and acknowledged, so that neither broker has to drop. */
export async function runLoad(broker: RunningBroker, load: Load, seconds: number): Promise<LoadResult> {
  const run = ++runs;
  const topic = `bench/${run}`;
  const connect = (role: string, i: number): Promise<LoadClient> =>
    LoadClient.connect({ port: broker.port, clientId: `${role}-${run}-${i}` });
  const subscribers: LoadClient[] = [];
  const publishers: LoadClient[] = [];
  for (let i = 0; i < load.subscribers; i++) {
    const client = await connect('sub', i);
    await client.subscribe(topic, load.qos);
    subscribers.push(client);
  }
  for (let i = 0; i < load.publishers; i++) {
    const client = await connect('pub', i);
    client.prepare(topic, PAYLOAD, load.qos);
    publishers.push(client);
  }
  const flow = new Flow(publishers, subscribers, load);
  flow.start();
  await elapsed(WARM_UP_MS);
  const before = { delivered: flow.delivered, cpu: cpuSecondsOf(broker.pid), at: performance.now() };
  await elapsed(seconds * 1000);
  const took = (performance.now() - before.at) / 1000;
  const delivered = flow.delivered - before.delivered;
  const cpu = cpuSecondsOf(broker.pid) - before.cpu;
  const { rssMb } = memoryOf(broker.pid);
  flow.stop();
  for (const client of [...publishers, ...subscribers]) client.close();
  if (delivered === 0) throw new Error(`${broker.name} delivered nothing`);
  return { rate: delivered / took, cpuMicros: (cpu * 1e6) / delivered, rssMb };
}

/** Publishes with QoS 1 to a persistent session whose client is away, then has it fetch everything.
 * @throws Error when one message is missing */
export async function runDurable(broker: RunningBroker, seconds: number): Promise<DurableResult> {
  const run = ++runs;
  const topic = `durable/${run}`;
  const away = { port: broker.port, clientId: `away-${run}`, clean: false };
  const first = await LoadClient.connect(away);
  await first.subscribe(topic, 1);
  first.close();
  const publisher = await LoadClient.connect({ port: broker.port, clientId: `pub-${run}` });
  publisher.prepare(topic, PAYLOAD, 1);
  const before = { cpu: cpuSecondsOf(broker.pid), at: performance.now() };
  let sent = 0;
  const fill = (): void => {
    const room = DURABLE_WINDOW - (sent - publisher.acked);
    if (room < DURABLE_WINDOW / 4 || performance.now() - before.at > seconds * 1000) return;
    sent += room;
    publisher.publish(room);
  };
  publisher.onProgress = fill;
  fill();
  await until(
    'every message is acknowledged',
    () => publisher.acked === sent && performance.now() - before.at > seconds * 1000,
  );
  const took = (performance.now() - before.at) / 1000;
  const cpu = cpuSecondsOf(broker.pid) - before.cpu;
  const { rssMb } = memoryOf(broker.pid);
  const back = await LoadClient.connect(away);
  await until('everything was kept', () => back.received >= sent);
  const { rssMb: fetchRssMb } = memoryOf(broker.pid);
  back.close();
  publisher.close();
  const end = await LoadClient.connect({ ...away, clean: true });
  end.close();
  return { rate: sent / took, cpuMicros: (cpu * 1e6) / sent, rssMb, fetchRssMb };
}

/** Sends while windows have room, called by what comes back. */
class Flow {
  private readonly publishers: readonly LoadClient[];
  private readonly subscribers: readonly LoadClient[];
  private readonly load: Load;
  private readonly sent: number[];
  private running = false;

  constructor(publishers: readonly LoadClient[], subscribers: readonly LoadClient[], load: Load) {
    this.publishers = publishers;
    this.subscribers = subscribers;
    this.load = load;
    this.sent = publishers.map(() => 0);
  }

  get delivered(): number {
    let sum = 0;
    for (const { received } of this.subscribers) sum += received;
    return sum;
  }

  start(): void {
    this.running = true;
    for (const client of [...this.subscribers, ...this.publishers]) client.onProgress = () => this.fillAll();
    this.fillAll();
  }

  stop(): void {
    this.running = false;
  }

  private fillAll(): void {
    // The slowest subscriber is what everybody waits for.
    let least = Number.POSITIVE_INFINITY;
    for (const { received } of this.subscribers) least = Math.min(least, received);
    const share = Math.floor(least / this.publishers.length);
    for (const [i, { acked }] of this.publishers.entries())
      this.fill(i, this.load.qos === 0 ? share : Math.min(share, acked));
  }

  private fill(i: number, done: number): void {
    const room = this.load.window - ((this.sent[i] ?? 0) - done);
    if (!this.running || room < this.load.window / 4) return;
    this.sent[i] = (this.sent[i] ?? 0) + room;
    this.publishers[i]?.publish(room);
  }
}

export function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
