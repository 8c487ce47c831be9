import type { BenchOptions } from './bench.ts';
import { type Figure, figure } from './figure.ts';
import { LoadClient } from './load-client.ts';
import { type RunningBroker, startEdgecore, startMosquitto } from './mqtt-brokers.ts';
import { type DurableResult, elapsed, type Load, type LoadResult, runDurable, runLoad } from './mqtt-load.ts';
import { memoryOf } from './process-meter.ts';

const loads: Readonly<Record<string, Load>> = {
  one2one_qos0: { publishers: 1, subscribers: 1, qos: 0, window: 500 },
  one2one_qos1: { publishers: 1, subscribers: 1, qos: 1, window: 100 },
  one2one_qos2: { publishers: 1, subscribers: 1, qos: 2, window: 20 },
  fanin_20: { publishers: 20, subscribers: 1, qos: 0, window: 50 },
  fanout_100: { publishers: 1, subscribers: 100, qos: 0, window: 20 },
};

const ROUNDS = 3;
const IDLE_CLIENTS = 1000;

/** Our broker, inside edgecore as it is shipped, and Debian's mosquitto under the same load in turn. */
export async function* benchMqtt({ seconds = 4 }: BenchOptions): AsyncGenerator<Figure> {
  const ours = await startEdgecore();
  const theirs = await startMosquitto();
  try {
    // First, while the heap is as small as a gateway's.
    yield* idle(ours, theirs);
    for (const [scenario, load] of Object.entries(loads)) {
      const results = await inTurn([ours, theirs], (broker) => runLoad(broker, load, seconds));
      yield* compare(scenario, results);
    }
    yield* durable(ours, theirs, seconds);
  } finally {
    await ours.stop();
    await theirs.stop();
  }
}

type Pair<Result = LoadResult> = { readonly ours: Result; readonly theirs: Result };

/** One after the other, round by round, so that a noisy neighbour hits both. */
async function inTurn<Result>(
  [ours, theirs]: readonly [RunningBroker, RunningBroker],
  work: (broker: RunningBroker) => Promise<Result>,
): Promise<Pair<Result>[]> {
  const pairs: Pair<Result>[] = [];
  for (let i = 0; i < ROUNDS; i++) pairs.push({ ours: await work(ours), theirs: await work(theirs) });
  return pairs;
}

function* compare(scenario: string, pairs: readonly Pair[], least = 1): Generator<Figure> {
  const place = (name: string, unit: string) => ({ bench: 'mqtt', scenario, figure: name, unit });
  const of = (pick: (pair: Pair) => number): number => median(pairs.map(pick));
  yield figure(
    place('throughput_ratio', '1'),
    of((p) => p.ours.rate / p.theirs.rate),
    { least },
  );
  yield figure(
    place('cpu_ratio', '1'),
    of((p) => p.ours.cpuMicros / p.theirs.cpuMicros),
    least === 1 ? { most: 1 } : undefined,
  );
  yield figure(
    place('messages_per_s', '1/s'),
    of((p) => p.ours.rate),
  );
  yield figure(
    place('mosquitto_messages_per_s', '1/s'),
    of((p) => p.theirs.rate),
  );
  yield figure(
    place('cpu_per_message', 'us'),
    of((p) => p.ours.cpuMicros),
  );
  yield figure(
    place('mosquitto_cpu_per_message', 'us'),
    of((p) => p.theirs.cpuMicros),
  );
  yield figure(
    place('rss_mb', 'MB'),
    of((p) => p.ours.rssMb),
    { most: 85 },
  );
}

/** To a persistent session whose client is away: ours answers when the message is on disk. */
async function* durable(ours: RunningBroker, theirs: RunningBroker, seconds: number): AsyncGenerator<Figure> {
  const results: Pair<DurableResult>[] = await inTurn([ours, theirs], (broker) =>
    runDurable(broker, seconds),
  );
  yield* compare('durable_qos1', results, 0.5);
  yield figure(
    { bench: 'mqtt', scenario: 'durable_qos1', figure: 'fetch_rss_mb', unit: 'MB' },
    median(results.map(({ ours: { fetchRssMb } }) => fetchRssMb)),
    { most: 90 },
  );
}

/** Resident bytes that a connection costs which has subscribed to one topic and says nothing. */
async function* idle(ours: RunningBroker, theirs: RunningBroker): AsyncGenerator<Figure> {
  const place = (name: string) => ({ bench: 'mqtt', scenario: 'idle_1000', figure: name, unit: 'KB' });
  yield figure(place('kb_per_connection'), await weigh(ours), { most: 8 });
  yield figure(place('mosquitto_kb_per_connection'), await weigh(theirs));
}

async function weigh(broker: RunningBroker): Promise<number> {
  const before = memoryOf(broker.pid).rssMb;
  const clients: LoadClient[] = [];
  for (let i = 0; i < IDLE_CLIENTS; i++) {
    const client = await LoadClient.connect({ port: broker.port, clientId: `idle-${i}`, keepalive: 600 });
    await client.subscribe(`idle/${i}`, 0);
    clients.push(client);
  }
  await elapsed(3000);
  const after = memoryOf(broker.pid).rssMb;
  for (const client of clients) client.close();
  return ((after - before) * 1024) / IDLE_CLIENTS;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
