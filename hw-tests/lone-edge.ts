import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { Program } from './program.ts';
import { freePorts, type Ports } from './stack.ts';

/** The cloud that an edge is told of. */
export type CloudAddress = {
  readonly httpServer: string;
  readonly websocket: string;
  readonly token: string;
};

export type LoneEdgeOptions = {
  readonly dir: string;
  readonly node: string;
  /** Of `modules.eventBus`. */
  readonly eventBus: Readonly<Record<string, unknown>>;
  /** Left out: there is none. */
  readonly cloud?: CloudAddress;
  readonly env?: NodeJS.ProcessEnv;
};

/** edgecore as it is built, without the stack around it; it keeps its data and its ports from one start to the next. */
export class LoneEdge {
  readonly ports: Ports;
  readonly log: string;
  private readonly options: LoneEdgeOptions;
  private program: Program | undefined;

  private constructor(options: LoneEdgeOptions, ports: Ports) {
    this.options = options;
    this.ports = ports;
    this.log = join(options.dir, 'edgecore.log');
  }

  static async make(options: LoneEdgeOptions): Promise<LoneEdge> {
    return new LoneEdge(options, await freePorts());
  }

  /** @param eventBus other keys than before */
  async start(eventBus: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const config = join(this.options.dir, 'edgecore.yaml');
    mkdirSync(this.options.dir, { recursive: true });
    writeFileSync(config, stringify(this.config(eventBus)), { mode: 0o600 });
    this.program = new Program({
      name: 'edgecore',
      command: 'dist/edgecore/edgecore',
      args: ['--config', config],
      log: this.log,
      ...(this.options.env ? { env: this.options.env } : {}),
      isReady: (line) => line.includes('"message":"started"'),
    });
    await this.program.ready();
  }

  get pid(): number {
    return this.program?.pid ?? 0;
  }

  async stop(): Promise<void> {
    await this.program?.stop();
  }

  /** Pulls the plug. */
  async kill(): Promise<void> {
    await this.program?.kill();
  }

  /** @returns a figure of `/metrics`, 0 while there is none */
  async figure(name: string): Promise<number> {
    const response = await fetch(`http://127.0.0.1:${this.ports.console}/metrics`);
    const line = (await response.text()).split('\n').find((text) => text.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1) ?? 0);
  }

  /** @returns whether something was logged with this message and these values */
  said(message: string, fields: Readonly<Record<string, unknown>> = {}): boolean {
    return readFileSync(this.log, 'utf8')
      .split('\n')
      .filter((text) => text.startsWith('{'))
      .map((text) => JSON.parse(text) as Record<string, unknown>)
      .some((line) => line.message === message && Object.entries(fields).every(([k, v]) => line[k] === v));
  }

  private config(eventBus: Readonly<Record<string, unknown>>): unknown {
    const { dir, node, cloud } = this.options;
    const { mqtt, kubelet, enrolment, cloudhub, console } = this.ports;
    const data = join(dir, 'edgecore');
    return {
      apiVersion: 'edgecore.config.kubeedge.io/v1alpha2',
      kind: 'EdgeCore',
      database: { dataSource: join(data, 'edgecore.db') },
      modules: {
        edged: {
          hostnameOverride: node,
          rootDirectory: join(data, 'kubelet'),
          tailoredKubeletConfig: {
            readOnlyPort: kubelet,
            podLogsDir: join(data, 'pod-logs'),
            containerRuntimeEndpoint: `unix://${data}/no-containerd.sock`,
          },
        },
        edgeHub: {
          httpServer: cloud?.httpServer ?? `https://127.0.0.1:${enrolment}`,
          token: cloud?.token ?? 'of no cloud',
          websocket: { server: cloud?.websocket ?? `127.0.0.1:${cloudhub}` },
          heartbeat: 5,
          tlsCaFile: join(data, 'rootCA.crt'),
          tlsCertFile: join(data, 'server.crt'),
          tlsPrivateKeyFile: join(data, 'server.key'),
        },
        eventBus: { mqttServerInternal: `tcp://127.0.0.1:${mqtt}`, ...this.options.eventBus, ...eventBus },
        deviceTwin: { dmiSockPath: data },
        console: { address: `127.0.0.1:${console}` },
      },
    };
  }
}
