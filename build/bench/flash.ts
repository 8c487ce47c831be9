import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kinds } from '../../cloud-shim/kube/resource-kind.ts';
import { Plc } from '../../hw-tests/plc/plc.ts';
import { until } from '../../hw-tests/program.ts';
import { freePorts, Stack } from '../../hw-tests/stack.ts';
import type { DeviceStatus } from '../../runtime/core/devices.ts';
import type { BenchOptions } from './bench.ts';
import { type Figure, figure, type Goal } from './figure.ts';
import type { DefaultResult } from './flash-default.ts';
import { POINTS, payloadOf, RATE } from './flash-payload.ts';
import { LoadClient } from './load-client.ts';
import { elapsed } from './mqtt-load.ts';
import { deviceOf, modelOf } from './points.ts';
import { bytesWrittenBy } from './process-meter.ts';

const NODE = 'edge-flash';
const SUBSCRIBERS = 5;
const ONE_AT_A_TIME_SECONDS = 10;
const QUIET_LIMIT = 90_000;
const TRACED_SECONDS = 10;
const TMPFS = 0x01021994;

const goals: Readonly<Record<string, Readonly<Record<string, Goal>>>> = {
  load: { mb_per_hour: { most: 20 } },
  idle: { mb_per_hour: { most: 0.2 } },
  offline_subscriber: {
    write_amplification: { most: 6 },
    fsync_per_s: { most: 5 },
    puback_p99_ms: { most: 250 },
  },
};

const units: Readonly<Record<string, string>> = {
  mb_per_hour: 'MB/h',
  write_amplification: '1',
  fsync_per_s: '1/s',
  traced_fsync_per_s: '1/s',
  messages_per_s: '1/s',
  puback_p50_ms: 'ms',
  puback_p99_ms: 'ms',
};

/** What edgecore writes to the flash, counted by the kernel, and how often it waits for it; beside it the same rows
 * written with SQLite's default settings, one commit a row. */
export async function* benchFlash({ seconds = 120 }: BenchOptions): AsyncGenerator<Figure> {
  const bench = await FlashBench.start();
  try {
    for (const scenario of ['idle', 'load', 'offline_subscriber', 'one_at_a_time'] as const) {
      const ours = await bench[scenario](seconds);
      const theirs = defaultFigures(bench.dir, scenario);
      for (const [name, value] of Object.entries(ours)) {
        const place = { bench: 'flash', scenario, figure: name, unit: units[name] ?? '' };
        yield figure(place, value, goals[scenario]?.[name]);
        const other = theirs[name as keyof DefaultResult];
        if (other !== undefined) yield figure({ ...place, figure: `default_${name}` }, other);
      }
    }
  } finally {
    await bench.stop();
  }
}

type Figures = Readonly<Record<string, number>>;

class FlashBench {
  readonly dir: string;
  private readonly stack: Stack;
  private readonly plc: Plc;
  private readonly pid: number;

  private constructor(dir: string, stack: Stack, plc: Plc, pid: number) {
    this.dir = dir;
    this.stack = stack;
    this.plc = plc;
    this.pid = pid;
  }

  /** Cloud, edge and PLC, with every point reported once. */
  static async start(): Promise<FlashBench> {
    const dir = mkdtempSync(join(tmpdir(), 'edgecore-flash-'));
    if (statfsSync(dir).type === TMPFS)
      throw new Error(`${dir} is in memory, where nothing counts as written: set TMPDIR to a real disk`);
    const plc = new Plc({ moves: false });
    const port = await plc.start('127.0.0.1', 0);
    const stack = new Stack({
      dir,
      ports: await freePorts(),
      node: NODE,
      criEndpoint: `unix://${dir}/no-containerd.sock`,
      modules: { eventBus: { limits: { queueCount: 1_000_000, queueBytes: 256 * 1024 * 1024 } } },
    });
    await stack.startMaster();
    await stack.startShim();
    const { pid } = await stack.startEdge();
    await stack.registered();
    for (const object of [modelOf(POINTS), deviceOf({ points: POINTS, node: NODE, port })]) {
      const kind = object.kind === 'Device' ? kinds.device : kinds.deviceModel;
      await stack.api.create(kind, { name: 'points', namespace: 'default' }, object);
    }
    await until('every point is in the cluster', async () => {
      const status = await stack.object<DeviceStatus>(kinds.deviceStatus, 'points');
      return status?.status.twins?.length === POINTS;
    });
    return new FlashBench(dir, stack, plc, pid);
  }

  async stop(): Promise<void> {
    await this.stack.stop();
    await this.plc.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Devices are polled and clients are connected, but nothing changes. */
  async idle(seconds: number): Promise<Figures> {
    const client = await this.connect('idle', true);
    await client.subscribe('idle', 1);
    await this.quiet();
    const start = bytesWrittenBy(this.pid);
    await elapsed(seconds * 1000);
    const written = bytesWrittenBy(this.pid) - start;
    client.close();
    return { mb_per_hour: perHour(written, seconds) };
  }

  /** Ten registers that change each second, and QoS 1 messages for subscribers whose sessions are persistent. */
  async load(seconds: number): Promise<Figures> {
    const subscribers: LoadClient[] = [];
    for (let i = 0; i < SUBSCRIBERS; i++) {
      const client = await this.connect(`online-${i}`, false);
      await client.subscribe(`flash/${i}`, 1);
      subscribers.push(client);
    }
    const publisher = await this.connect('publisher', true);
    await this.quiet();
    const meter = await this.meter();
    const stop = this.moveRegisters();
    const topic = (i: number): string => `flash/${i % SUBSCRIBERS}`;
    const latencies = await publishEvenly(publisher, topic, seconds);
    stop();
    const { written, syncs } = await meter.read();
    for (const client of [publisher, ...subscribers]) client.close();
    return {
      mb_per_hour: perHour(written, seconds),
      fsync_per_s: syncs / seconds,
      puback_p99_ms: quantile(latencies, 0.99),
    };
  }

  /** QoS 1 messages for a persistent session whose client is away. */
  async offline_subscriber(seconds: number): Promise<Figures> {
    const first = await this.connect('away', false);
    await first.subscribe('away/#', 1);
    first.close();
    const publisher = await this.connect('publisher', true);
    await this.quiet();
    const meter = await this.meter();
    const latencies = await publishEvenly(publisher, () => 'away/line/3', seconds);
    const { written, syncs } = await meter.read();
    const traced = Math.min(TRACED_SECONDS, seconds);
    const tracer = await traceSyncs(this.pid);
    await publishEvenly(publisher, () => 'away/line/3', traced);
    const tracedSyncs = await tracer();
    publisher.close();
    const back = await this.connect('away', false);
    await until('everything was kept', () => back.received >= latencies.length + traced * RATE);
    back.close(); // and it is away again
    return {
      write_amplification: written / (latencies.length * payloadOf(0).length),
      mb_per_hour: perHour(written, seconds),
      fsync_per_s: syncs / seconds,
      traced_fsync_per_s: tracedSyncs / traced,
      puback_p50_ms: quantile(latencies, 0.5),
      puback_p99_ms: quantile(latencies, 0.99),
    };
  }

  /** The same, but the publisher sends the next message when the last one is safe. */
  async one_at_a_time(): Promise<Figures> {
    const publisher = await this.connect('publisher', true);
    publisher.prepare('away/line/3', payloadOf(0), 1);
    const end = performance.now() + ONE_AT_A_TIME_SECONDS * 1000;
    const before = publisher.acked;
    const start = await this.metric('edgecore_store_syncs_total');
    let sent = before;
    publisher.onProgress = () => {
      if (publisher.acked < sent || performance.now() > end) return;
      sent++;
      publisher.publish(1);
    };
    publisher.onProgress();
    await elapsed(ONE_AT_A_TIME_SECONDS * 1000);
    const syncs = (await this.metric('edgecore_store_syncs_total')) - start;
    const messages = publisher.acked - before;
    publisher.close();
    return { messages_per_s: messages / ONE_AT_A_TIME_SECONDS, fsync_per_s: syncs / ONE_AT_A_TIME_SECONDS };
  }

  private connect(clientId: string, clean: boolean): Promise<LoadClient> {
    return LoadClient.connect({ port: this.stack.options.ports.mqtt, clientId, clean });
  }

  private moveRegisters(): () => void {
    let step = 0;
    const timer = setInterval(() => {
      step++;
      for (let i = 0; i < POINTS; i++) this.plc.memory.input.writeUInt16BE((step * 7 + i) % 1000, i * 2);
    }, 1000);
    return () => clearInterval(timer);
  }

  /** Resolves when what went before has been written and moved out of the WAL: its cost is not the next one's. */
  private async quiet(): Promise<void> {
    let seen = '';
    let since = performance.now();
    await until(
      'edgecore has nothing more to write',
      async () => {
        const now = `${bytesWrittenBy(this.pid)}`;
        if (now !== seen) {
          seen = now;
          since = performance.now();
        }
        return performance.now() - since > 45_000;
      },
      QUIET_LIMIT + 45_000,
    );
  }

  /** Counts from here until everything that was written in between is out of the WAL. */
  private async meter() {
    const start = { bytes: bytesWrittenBy(this.pid), syncs: await this.metric('edgecore_store_syncs_total') };
    return {
      read: async (): Promise<{ written: number; syncs: number }> => {
        const syncs = (await this.metric('edgecore_store_syncs_total')) - start.syncs;
        await this.quiet();
        return { written: bytesWrittenBy(this.pid) - start.bytes, syncs };
      },
    };
  }

  private async metric(name: string): Promise<number> {
    const response = await fetch(`http://127.0.0.1:${this.stack.options.ports.console}/metrics`);
    return Number(new RegExp(`^${name} (.*)$`, 'm').exec(await response.text())?.[1]);
  }
}

/** @returns how long each acknowledgement took, ms */
async function publishEvenly(
  client: LoadClient,
  topic: (i: number) => string,
  seconds: number,
): Promise<number[]> {
  const sent: number[] = [];
  const latencies: number[] = [];
  const acked = client.acked;
  client.onProgress = () => {
    while (latencies.length < client.acked - acked)
      latencies.push(performance.now() - (sent[latencies.length] ?? 0));
  };
  const start = performance.now();
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(seconds * RATE, Math.floor(((performance.now() - start) * RATE) / 1000));
      while (sent.length < due) {
        client.prepare(topic(sent.length), payloadOf(sent.length), 1);
        sent.push(performance.now());
        client.publish(1);
      }
      if (due < seconds * RATE) return;
      clearInterval(timer);
      resolve();
    }, 1000 / RATE);
  });
  await until('every message is acknowledged', () => latencies.length === sent.length);
  client.onProgress = () => {};
  return latencies;
}

/** Counts the syncs of a process as the kernel sees them.
 * @returns ends it and gives the number */
async function traceSyncs(pid: number): Promise<() => Promise<number>> {
  const file = join(mkdtempSync(join(tmpdir(), 'strace-')), 'calls');
  const args = ['-f', '-p', `${pid}`, '-e', 'trace=fsync,fdatasync', '-o', file];
  const child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.stderr.once('data', () => resolve());
  });
  return async () => {
    child.kill('SIGINT');
    await ended;
    const calls = readFileSync(file, 'utf8').match(/ (fsync|fdatasync)\(/g)?.length ?? 0;
    rmSync(file);
    return calls;
  };
}

function defaultFigures(dir: string, scenario: string): DefaultResult {
  const run = spawnSync(
    process.execPath,
    ['--import', 'tsx', 'build/bench/flash-default.ts', join(dir, `default-${scenario}.db`), scenario],
    { encoding: 'utf8', timeout: 300_000 },
  );
  if (run.status !== 0) throw new Error(`flash-default: ${run.stderr}`);
  return JSON.parse(run.stdout) as DefaultResult;
}

function perHour(bytes: number, seconds: number): number {
  return (bytes / 1e6 / seconds) * 3600;
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}
