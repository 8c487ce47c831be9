import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { memoryOf } from '../../build/bench/process-meter.ts';
import { Program } from '../program.ts';
import { freePorts } from '../stack.ts';

/** A listener that turns nobody away, so that the broker itself has to deal with the flood. */
const wideOpen = { maxPending: 100_000, connectionsPerSecond: 100_000, connectionBurst: 100_000 };

/** edgecore as it is built, without a cloud: its broker is what is looked at. */
export class LoneNode {
  readonly port: number;
  private readonly program: Program;
  private readonly console: number;

  private constructor(program: Program, port: number, console: number) {
    this.program = program;
    this.port = port;
    this.console = console;
  }

  /** @param limits `modules.eventBus.limits` */
  static async start(dir: string, limits: Readonly<Record<string, unknown>>): Promise<LoneNode> {
    const ports = await freePorts();
    const open = ports.plc; // there is no PLC here
    const data = join(dir, 'edgecore');
    mkdirSync(data, { recursive: true });
    const config = join(dir, 'edgecore.yaml');
    writeFileSync(config, stringify(configOf(data, ports, open, limits)), { mode: 0o600 });
    const program = new Program({
      name: 'edgecore',
      command: 'dist/edgecore/edgecore',
      args: ['--config', config],
      log: join(dir, 'edgecore.log'),
      isReady: (line) => line.includes('"message":"started"'),
    });
    await program.ready();
    return new LoneNode(program, open, ports.console);
  }

  /** Resident memory in MB. */
  get memory(): number {
    return memoryOf(this.program.pid).rssMb;
  }

  get isRunning(): boolean {
    return this.program.isRunning;
  }

  /** One figure of `/metrics`; `name` with its labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.console}/metrics`)).text();
    const line = text.split('\n').find((candidate) => candidate.startsWith(`edgecore_mqtt_${name} `));
    if (!line) throw new Error(`no metric ${name}`);
    return Number(line.slice(line.lastIndexOf(' ')));
  }

  /** What the kernel's timer of each connection that it accepted is for; 2 is TCP's keepalive.
   * @source proc_net_tcp in the kernel's documentation */
  get socketTimers(): number[] {
    const port = this.port.toString(16).toUpperCase().padStart(4, '0');
    const rows = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/));
    const [ESTABLISHED, local, state, timer] = ['01', 1, 3, 5];
    return rows
      .filter((row) => row[local]?.endsWith(`:${port}`) && row[state] === ESTABLISHED)
      .map((row) => Number(row[timer]?.split(':')[0]));
  }

  stop(): Promise<void> {
    return this.program.stop();
  }
}

function configOf(
  data: string,
  ports: Awaited<ReturnType<typeof freePorts>>,
  open: number,
  limits: Readonly<Record<string, unknown>>,
) {
  const certificates = {
    tlsCaFile: join(data, 'rootCA.crt'),
    tlsCertFile: join(data, 'server.crt'),
    tlsPrivateKeyFile: join(data, 'server.key'),
  };
  return {
    apiVersion: 'edgecore.config.kubeedge.io/v1alpha2',
    kind: 'EdgeCore',
    database: { dataSource: join(data, 'edgecore.db') },
    modules: {
      edged: {
        hostnameOverride: 'mqtt-limits',
        rootDirectory: join(data, 'kubelet'),
        tailoredKubeletConfig: {
          readOnlyPort: ports.kubelet,
          podLogsDir: join(data, 'pod-logs'),
          containerRuntimeEndpoint: `unix://${data}/no-containerd.sock`,
        },
      },
      edgeHub: {
        httpServer: `https://127.0.0.1:${ports.enrolment}`,
        token: 'of no cloud',
        websocket: { server: `127.0.0.1:${ports.cloudhub}` },
        ...certificates,
      },
      deviceTwin: { dmiSockPath: data },
      eventBus: {
        mqttServerInternal: `tcp://127.0.0.1:${ports.mqtt}`,
        listeners: [{ type: 'tcp', address: `127.0.0.1:${open}`, ...wideOpen }],
        limits,
      },
      console: { address: `127.0.0.1:${ports.console}` },
    },
  };
}
