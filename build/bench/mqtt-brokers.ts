import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Program, until } from '../../hw-tests/program.ts';
import { freePorts, Stack } from '../../hw-tests/stack.ts';
import { LoadClient } from './load-client.ts';

/** A broker under load: a process to weigh and a port to send to. */
export type RunningBroker = {
  readonly name: 'edgecore' | 'mosquitto';
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
};

/** Messages under way to a client at a time; both brokers are told the same. */
const INFLIGHT = 32;

/** edgecore as it is shipped: the whole program under its launcher, joined to a cloud. */
export async function startEdgecore(): Promise<RunningBroker> {
  const dir = mkdtempSync(join(tmpdir(), 'edgecore-bench-'));
  const ports = await freePorts();
  const limits = { inflight: INFLIGHT, clients: 2000, queueCount: 10_000_000, queueBytes: 2 ** 30 };
  const stack = new Stack({
    dir,
    ports,
    node: 'edge-bench',
    criEndpoint: `unix://${dir}/no-containerd.sock`,
    modules: { eventBus: { limits } },
  });
  await stack.startMaster();
  await stack.startShim();
  const program = await stack.startEdge();
  await stack.registered();
  return {
    name: 'edgecore',
    pid: program.pid,
    port: ports.mqtt,
    stop: async () => {
      await stack.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Debian's mosquitto, with its persistence on (a periodic save, its default), room for every message, and without
 * Nagle's delays, which would cost it forty milliseconds at every turn. */
export async function startMosquitto(): Promise<RunningBroker> {
  const dir = mkdtempSync(join(tmpdir(), 'mosquitto-bench-'));
  const { mqtt: port } = await freePorts();
  const config = join(dir, 'mosquitto.conf');
  writeFileSync(
    config,
    `listener ${port} 127.0.0.1
allow_anonymous true
user root
max_inflight_messages ${INFLIGHT}
max_queued_messages 0
set_tcp_nodelay true
persistence true
persistence_location ${dir}/
`,
  );
  const program = new Program({
    name: 'mosquitto',
    command: 'mosquitto',
    args: ['-c', config],
    log: join(dir, 'log'),
    isReady: (line) => line.includes('running'),
  });
  await program.ready();
  await until('mosquitto answers', async () => {
    const client = await LoadClient.connect({ port, clientId: 'probe' });
    client.close();
    return true;
  });
  return {
    name: 'mosquitto',
    pid: program.pid,
    port,
    stop: async () => {
      await program.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
