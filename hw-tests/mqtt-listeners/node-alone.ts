import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { Program } from '../program.ts';
import { freePorts, type Ports } from '../stack.ts';

/** edgecore from `dist/` without a cloud: the broker works all the same. */
export class NodeAlone {
  readonly dir: string;
  readonly ports: Ports;
  private readonly programs: Program[] = [];
  private command = resolve('dist/edgecore/edgecore');

  private constructor(dir: string, ports: Ports) {
    this.dir = dir;
    this.ports = ports;
  }

  static async prepare(): Promise<NodeAlone> {
    return new NodeAlone(mkdtempSync(join(tmpdir(), 'edgecore-listeners-')), await freePorts());
  }

  get log(): string {
    return join(this.dir, 'log');
  }

  /** From here on it is a copy without the native files of uWebSockets.js, as on a machine where none loads. */
  withoutUws(): void {
    const copy = join(this.dir, 'edgecore');
    cpSync('dist/edgecore', copy, { recursive: true });
    for (const file of readdirSync(copy)) if (file.startsWith('uws_')) rmSync(join(copy, file));
    this.command = join(copy, 'edgecore');
  }

  /** @param listeners of `modules.eventBus` */
  create(listeners: readonly object[], modules: Readonly<Record<string, object>> = {}): Program {
    const config = join(this.dir, 'edgecore.yaml');
    writeFileSync(config, stringify(this.config(listeners, modules)));
    const program = new Program({
      name: 'edgecore',
      command: this.command,
      args: ['--config', config],
      log: this.log,
      isReady: (line) => line.includes('"message":"started"'),
    });
    this.programs.push(program);
    return program;
  }

  async start(
    listeners: readonly object[],
    modules: Readonly<Record<string, object>> = {},
  ): Promise<Program> {
    const program = this.create(listeners, modules);
    await program.ready();
    return program;
  }

  /** Stops what was started, so that it can be started otherwise. */
  async stop(): Promise<void> {
    for (const program of this.programs.splice(0)) await program.stop();
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  private config(listeners: readonly object[], modules: Readonly<Record<string, object>>): object {
    const { dir, ports } = this;
    const state = join(dir, 'state');
    mkdirSync(state, { recursive: true });
    return {
      apiVersion: 'edgecore.config.kubeedge.io/v1alpha2',
      kind: 'EdgeCore',
      database: { dataSource: join(state, 'edgecore.db') },
      modules: {
        edged: {
          hostnameOverride: 'edge-alone',
          rootDirectory: join(state, 'kubelet'),
          tailoredKubeletConfig: {
            readOnlyPort: ports.kubelet,
            podLogsDir: join(state, 'pod-logs'),
            containerRuntimeEndpoint: `unix://${state}/no-containerd.sock`,
          },
        },
        edgeHub: {
          httpServer: `https://127.0.0.1:${ports.enrolment}`,
          tlsCaFile: join(state, 'rootCA.crt'),
          tlsCertFile: join(state, 'node.crt'),
          tlsPrivateKeyFile: join(state, 'node.key'),
          websocket: { server: `127.0.0.1:${ports.cloudhub}` },
        },
        eventBus: { mqttServerInternal: `tcp://127.0.0.1:${ports.mqtt}`, listeners },
        deviceTwin: { dmiSockPath: state },
        console: { address: `127.0.0.1:${ports.console}` },
        ...modules,
      },
    };
  }
}
