import { randomInt } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { KubeClient } from '../cloud-shim/kube/client.ts';
import { loadAccess } from '../cloud-shim/kube/kubeconfig.ts';
import { kinds, type ResourceKind } from '../cloud-shim/kube/resource-kind.ts';
import type { Device, DeviceStatus } from '../runtime/core/devices.ts';
import type { KubeObject, Node, Secret } from '../runtime/core/k8s.ts';
import { Program, until } from './program.ts';

/** The addresses of one stack on this machine, all on 127.0.0.1. */
export type Ports = Readonly<Record<keyof typeof portNames, number>>;

/** What each port is, and where it is by default. */
export const portNames = {
  kubernetes: { port: 6443, use: 'the Kubernetes API (mini-master)' },
  cloudhub: { port: 10_000, use: 'CloudHub, WebSocket' },
  enrolment: { port: 10_002, use: 'CloudHub, HTTPS' },
  stream: { port: 10_003, use: 'CloudStream, for the API server' },
  tunnel: { port: 10_004, use: 'CloudStream, for edges' },
  mqtt: { port: 1883, use: 'the MQTT broker' },
  kubelet: { port: 10_350, use: "the node's kubelet port" },
  console: { port: 10_560, use: 'the console' },
  api: { port: 10_550, use: "the node's Kubernetes API (MetaServer)" },
  devices: { port: 7777, use: "the node's devices over HTTP" },
  plc: { port: 1502, use: 'the simulated PLC' },
} as const;

export const defaultPorts = Object.fromEntries(
  Object.entries(portNames).map(([name, { port }]) => [name, port]),
) as Ports;

export type StackOptions = {
  /** Where everything is kept; what is there is used again. */
  readonly dir: string;
  readonly ports: Ports;
  readonly node: string;
  /** Another cluster than mini-master: the path of its kubeconfig. */
  readonly kubeconfig?: string | undefined;
  /** `unix:///…`; containerd's own by default. */
  readonly criEndpoint?: string;
  readonly podSandboxImage?: string;
  /** Whether the node serves its Kubernetes API. */
  readonly metaServer?: boolean;
  /** What the commands of the edge and of the PLC are run by, `ip netns exec NAME` for instance. */
  readonly edgePrefix?: readonly string[];
  /** The same for the shim. */
  readonly shimPrefix?: readonly string[];
  /** Addresses and names of the cloud other than 127.0.0.1. */
  readonly cloudHosts?: readonly string[];
  /** Days that the certificate of a node is good for. */
  readonly certificateDays?: number;
  /** More of `modules` of cloudcore.yaml. */
  readonly cloudModules?: Readonly<Record<string, unknown>>;
  /** More of edgecore.yaml, merged into `modules`. */
  readonly modules?: Readonly<Record<string, Record<string, unknown>>>;
};

/** Cloud and edge on one machine, from `dist/`: what the demonstration, the benches and the suites start. */
export class Stack {
  readonly options: StackOptions;
  readonly kubeconfig: string;
  private readonly programs: Program[] = [];
  private client: KubeClient | undefined;

  constructor(options: StackOptions) {
    const dir = resolve(options.dir);
    this.options = { ...options, dir };
    this.kubeconfig = options.kubeconfig ?? join(dir, 'mini-master', 'kubeconfig');
  }

  /** The API server, once it runs. */
  get api(): KubeClient {
    this.client ??= new KubeClient(loadAccess(this.kubeconfig));
    return this.client;
  }

  async startMaster(): Promise<Program> {
    const { dir, ports } = this.options;
    return this.run({
      name: 'mini-master',
      command: process.execPath,
      args: [
        'dist/dev/mini-master.cjs',
        '--state-dir',
        join(dir, 'mini-master'),
        '--port',
        `${ports.kubernetes}`,
      ],
      isReady: (line) => line.startsWith('{"ready":true'),
    });
  }

  async startShim(): Promise<Program> {
    const config = join(this.options.dir, 'cloudcore.yaml');
    mkdirSync(this.options.dir, { recursive: true });
    writeFileSync(config, stringify(this.cloudConfig()));
    return this.run({
      name: 'cloud-shim',
      ...prefixed(this.options.shimPrefix, 'dist/cloud-shim/cloud-shim', ['--config', config]),
      isReady: saysStarted,
    });
  }

  async startPlc(): Promise<Program> {
    return this.run({
      name: 'plc',
      ...this.onEdge(process.execPath, ['dist/dev/plc.cjs', '--port', `${this.options.ports.plc}`]),
      isReady: (line) => line.startsWith('{"ready":true'),
    });
  }

  /** Writes edgecore.yaml, with a join token while the node has no certificate, and starts it. */
  async startEdge(): Promise<Program> {
    const config = this.edgeConfigFile;
    const joined = existsSync(join(this.edgeDir, 'certs', 'server.crt'));
    mkdirSync(this.options.dir, { recursive: true });
    writeFileSync(config, stringify(this.edgeConfig(joined ? '' : await this.token())), { mode: 0o600 });
    return this.run({
      name: 'edgecore',
      ...this.onEdge('dist/edgecore/edgecore', ['--config', config]),
      isReady: saysStarted,
    });
  }

  /** @returns the node's object, once it is registered */
  async registered(): Promise<Node> {
    const { node } = this.options;
    return until(`node ${node} is registered`, async () => this.object<Node>(kinds.node, node, ''));
  }

  /** Applies the objects of a file that the cluster does not have yet. */
  async apply(file: string, edit: (object: KubeObject) => KubeObject = (object) => object): Promise<void> {
    for (const document of parseAllDocuments(readFileSync(file, 'utf8'))) {
      const object = edit(document.toJS() as KubeObject);
      const kind = Object.values(kinds).find(
        (known) => known.kind === object.kind && known.apiVersion === object.apiVersion,
      );
      if (!kind) throw new Error(`${file}: what is ${object.apiVersion} ${object.kind}?`);
      const { name, namespace = 'default' } = object.metadata;
      const answer = await this.api.create(kind, { name, namespace }, object);
      if ('status' in answer && answer.status.reason !== 'AlreadyExists')
        throw new Error(answer.status.message);
    }
  }

  /** The simulated PLC's Device and DeviceModel, for this stack's node and port. */
  async applyPlc(): Promise<void> {
    await this.apply('hw-tests/plc/device.yaml', (object) => {
      if (object.kind !== 'Device') return object;
      const { spec } = object as Device;
      const protocol = {
        ...spec.protocol,
        configData: { ...spec.protocol?.configData, port: this.options.ports.plc },
      };
      return { ...object, spec: { ...spec, nodeName: this.options.node, protocol } } as KubeObject;
    });
  }

  async object<T extends KubeObject>(
    kind: ResourceKind,
    name: string,
    namespace = 'default',
  ): Promise<T | undefined> {
    const answer = await this.api.get<T>(kind, namespace ? { name, namespace } : { name });
    return 'object' in answer ? answer.object : undefined;
  }

  /** What the cluster says that a property of the PLC is. */
  async reported(property: string): Promise<string | undefined> {
    const status = await this.object<DeviceStatus>(kinds.deviceStatus, 'plc');
    return status?.status.twins?.find(({ propertyName }) => propertyName === property)?.reported?.value;
  }

  /** The program of that name that was started last.
   * @throws Error when there is none */
  program(name: string): Program {
    const found = this.programs.findLast((program) => program.name === name);
    if (!found) throw new Error(`${name} was not started`);
    return found;
  }

  /** Stops what was started last first. */
  async stop(): Promise<void> {
    for (const program of this.programs.reverse()) await program.stop();
    this.client?.close();
  }

  /** Rejects when one of the programs ends by itself. */
  async watch(): Promise<never> {
    const [name, how] = await Promise.race(
      this.programs.map((program) => program.ended.then((end) => [program.name, end] as const)),
    );
    throw new Error(`${name} ended with ${how}; see ${this.logOf(name)}`);
  }

  logOf(name: string): string {
    return join(this.options.dir, 'log', `${name}.log`);
  }

  private onEdge(command: string, args: string[]): { command: string; args: string[] } {
    return prefixed(this.options.edgePrefix, command, args);
  }

  private async run(options: Omit<ConstructorParameters<typeof Program>[0], 'log'>): Promise<Program> {
    const program = new Program({ ...options, log: this.logOf(options.name) });
    this.programs.push(program);
    await program.ready();
    return program;
  }

  /** Where the node is configured. */
  get edgeConfigFile(): string {
    return join(this.options.dir, 'edgecore.yaml');
  }

  private get edgeDir(): string {
    return join(this.options.dir, 'edgecore');
  }

  /** The join token, read where operators read it. */
  async token(): Promise<string> {
    const secret = await until('the join token is published', () =>
      this.object<Secret>(kinds.secret, 'tokensecret', 'kubeedge'),
    );
    return Buffer.from(secret.data?.tokendata ?? '', 'base64').toString();
  }

  private cloudConfig(): unknown {
    const { ports, certificateDays, cloudHosts = ['127.0.0.1'] } = this.options;
    const isLocal = this.options.cloudHosts === undefined;
    const address = isLocal ? '127.0.0.1' : '0.0.0.0';
    return {
      apiVersion: 'cloudcore.config.kubeedge.io/v1alpha2',
      kind: 'CloudCore',
      kubeAPIConfig: { kubeConfig: this.kubeconfig },
      modules: {
        cloudHub: {
          advertiseAddress: cloudHosts.filter((host) => isIP(host)),
          dnsNames: cloudHosts.filter((host) => !isIP(host)),
          websocket: { address, port: ports.cloudhub },
          https: { address, port: ports.enrolment },
          ...(certificateDays ? { edgeCertSigningDuration: certificateDays } : {}),
        },
        dynamicController: { enable: true },
        cloudStream: { enable: true, streamPort: ports.stream, tunnelPort: ports.tunnel },
        ...this.options.cloudModules,
      },
    };
  }

  private edgeConfig(token: string): unknown {
    const { ports, node, modules = {}, criEndpoint, podSandboxImage, metaServer = false } = this.options;
    const certs = join(this.edgeDir, 'certs');
    const file = {
      apiVersion: 'edgecore.config.kubeedge.io/v1alpha2',
      kind: 'EdgeCore',
      database: { dataSource: join(this.edgeDir, 'edgecore.db') },
      modules: {
        edged: {
          hostnameOverride: node,
          rootDirectory: join(this.edgeDir, 'kubelet'),
          ...(podSandboxImage ? { podSandboxImage } : {}),
          tailoredKubeletConfig: {
            readOnlyPort: ports.kubelet,
            podLogsDir: join(this.edgeDir, 'pod-logs'),
            ...(criEndpoint ? { containerRuntimeEndpoint: criEndpoint } : {}),
          },
        },
        edgeHub: {
          httpServer: `https://127.0.0.1:${ports.enrolment}`,
          token,
          tlsCaFile: join(certs, 'rootCA.crt'),
          tlsCertFile: join(certs, 'server.crt'),
          tlsPrivateKeyFile: join(certs, 'server.key'),
          websocket: { server: `127.0.0.1:${ports.cloudhub}` },
        },
        edgeStream: {
          enable: true,
          server: `127.0.0.1:${ports.tunnel}`,
          tlsTunnelCAFile: join(certs, 'rootCA.crt'),
          tlsTunnelCertFile: join(certs, 'server.crt'),
          tlsTunnelPrivateKeyFile: join(certs, 'server.key'),
        },
        eventBus: { mqttServerInternal: `tcp://127.0.0.1:${ports.mqtt}` },
        deviceTwin: { dmiSockPath: this.edgeDir },
        metaManager: { metaServer: { enable: metaServer, server: `127.0.0.1:${ports.api}` } },
        console: { address: `127.0.0.1:${ports.console}` },
        deviceApi: { address: `127.0.0.1:${ports.devices}` },
      } as Record<string, Record<string, unknown>>,
    };
    for (const [name, keys] of Object.entries(modules))
      file.modules[name] = { ...file.modules[name], ...keys };
    return file;
  }
}

/** Linux gives ports from 32768 on to whoever connects somewhere: one of those is soon taken by somebody else. */
const PORTS = { from: 10_000, to: 32_000 };

/** Ports that nothing uses right now, for suites that run beside each other. */
export async function freePorts(): Promise<Ports> {
  const found = new Set<number>();
  const names = Object.keys(portNames) as (keyof Ports)[];
  while (found.size < names.length) {
    const port = randomInt(PORTS.from, PORTS.to);
    if (await isFree(port)) found.add(port);
  }
  const ports = [...found];
  return Object.fromEntries(names.map((name, i) => [name, ports[i]])) as Ports;
}

/** @returns the names of the ports that another program holds */
export async function takenPorts(ports: Ports): Promise<(keyof Ports)[]> {
  const taken: (keyof Ports)[] = [];
  for (const name of Object.keys(portNames) as (keyof Ports)[])
    if (!(await isFree(ports[name]))) taken.push(name);
  return taken;
}

function prefixed(
  prefix: readonly string[] = [],
  command: string,
  args: readonly string[],
): { command: string; args: string[] } {
  const [first = '', ...rest] = [...prefix, command, ...args];
  return { command: first, args: rest };
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((done) => {
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}

function saysStarted(line: string): boolean {
  return line.includes('"message":"started"');
}
