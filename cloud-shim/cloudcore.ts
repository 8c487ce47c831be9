import type { Clock, Timer } from '../runtime/core/clock.ts';
import type { Device, DeviceModel, DeviceStatus } from '../runtime/core/devices.ts';
import { errorText } from '../runtime/core/errors.ts';
import type { ConfigMap, KubeObject, Node, Secret } from '../runtime/core/k8s.ts';
import type { Logger } from '../runtime/core/log.ts';
import type { Pod } from '../runtime/core/pod.ts';
import { seconds } from '../runtime/core/units.ts';
import { Authority } from './cloudhub/authority.ts';
import { CloudHub } from './cloudhub/cloudhub.ts';
import { Enrolment } from './cloudhub/enrolment.ts';
import { StreamServer } from './cloudstream/stream-server.ts';
import { Tunnels } from './cloudstream/tunnels.ts';
import type { CloudCoreConfig } from './config/schema.ts';
import { installCrds } from './crds/install.ts';
import { DeviceController } from './devicecontroller/devicecontroller.ts';
import { DynamicController } from './dynamiccontroller/dynamiccontroller.ts';
import { Downstream } from './edgecontroller/downstream.ts';
import { Upstream } from './edgecontroller/upstream.ts';
import type { KubeApi, RawApi } from './kube/client.ts';
import { Informer } from './kube/informer.ts';
import { kinds, type ResourceKind } from './kube/resource-kind.ts';
import type { LocalRule } from './rulecontroller/rule-status.ts';
import { RuleController } from './rulecontroller/rulecontroller.ts';
import { ObjectSyncs } from './synccontroller/object-syncs.ts';
import { SyncController } from './synccontroller/synccontroller.ts';
import { TaskManager, type TaskManagerDeps } from './taskmanager/taskmanager.ts';

export type CloudCoreDeps = {
  readonly config: CloudCoreConfig;
  readonly api: KubeApi & RawApi;
  /** The cluster's CA, PEM; empty when the kubeconfig names none. */
  readonly clusterCa: string;
  /** The folder of the CRDs. */
  readonly crds: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** [0, 1) */
  readonly random: () => number;
};

type JobInformers = Pick<TaskManagerDeps, 'upgrades' | 'prepulls'>;
type Starting = { start(signal: AbortSignal): Promise<void> };

/** The API group of jobs. */
const JOBS = 'operations.kubeedge.io';

/** The cloud side of edge nodes: built here, once, against a stock API server. */
export class CloudCore {
  private readonly deps: CloudCoreDeps;
  private readonly abort = new AbortController();
  private readonly stops: (() => Promise<void>)[] = [];
  private parts: { hub: CloudHub; enrolment: Enrolment } | undefined;
  private refresh: Timer | undefined;

  constructor(deps: CloudCoreDeps) {
    this.deps = deps;
  }

  /** The ports in use, once started. */
  get ports(): { readonly websocket: number; readonly https: number } {
    return { websocket: this.parts?.hub.port ?? 0, https: this.parts?.enrolment.port ?? 0 };
  }

  /** @throws EdgeError PORT_TAKEN, PORT_UNUSABLE, CLOUD_REFUSED */
  async start(): Promise<void> {
    const { api, clock, log, crds, config } = this.deps;
    const { cloudHub, taskManager } = config.modules;
    const without = taskManager.enable ? [] : [JOBS];
    await installCrds({ api, folder: crds, without, clock, log });
    const hosts = [...cloudHub.advertiseAddress, ...cloudHub.dnsNames, '127.0.0.1', 'localhost'];
    const authority = await Authority.load({ api, clock }, [...new Set(hosts)]);
    await this.keepToken(authority);
    const informers = this.informers();
    await this.startInformers(informers);
    const syncs = new ObjectSyncs({ api, log });
    await syncs.load();
    const jobs = taskManager.enable ? this.jobInformers() : undefined;
    if (jobs) await this.startInformers(jobs);
    await this.serve(this.connect(authority, { ...informers, jobs }, syncs));
    if (config.modules.cloudStream.enable) await this.serveStreams(authority, informers);
  }

  async stop(): Promise<void> {
    this.refresh?.cancel();
    for (const stop of this.stops.reverse()) await stop();
    this.abort.abort();
  }

  private async startInformers(informers: Readonly<Record<string, Starting>>): Promise<void> {
    await Promise.all(Object.values(informers).map((informer) => informer.start(this.abort.signal)));
  }

  private async serve({ hub, enrolment }: { hub: CloudHub; enrolment: Enrolment }): Promise<void> {
    this.parts = { hub, enrolment };
    for (const server of [enrolment, hub]) {
      await server.start();
      this.stops.push(() => server.stop());
    }
  }

  private async serveStreams(
    authority: Authority,
    { pods }: ReturnType<CloudCore['informers']>,
  ): Promise<void> {
    const { api, config, clusterCa } = this.deps;
    const { streamPort, tunnelPort } = config.modules.cloudStream;
    const log = this.deps.log.child('cloudstream');
    const tls = authority.serverPair;
    const tunnels = new Tunnels({ tls, log });
    const server = new StreamServer({
      api,
      tls,
      clientCas: [clusterCa, await clientCa(api)].filter(Boolean),
      tunnels,
      nodeOf: (namespace, pod) => pods.get(namespace, pod)?.spec.nodeName,
      log,
    });
    await tunnels.start(tunnelPort);
    this.stops.push(() => tunnels.stop());
    await server.start(streamPort);
    this.stops.push(() => server.stop());
  }

  private connect(
    authority: Authority,
    informers: ReturnType<CloudCore['informers']> & { jobs: JobInformers | undefined },
    syncs: ObjectSyncs,
  ): { hub: CloudHub; enrolment: Enrolment } {
    const { api, clock, config, clusterCa } = this.deps;
    const log = this.deps.log.child('cloudhub');
    const { cloudHub, cloudStream } = config.modules;
    const upstream = new Upstream({
      api,
      clock,
      log: this.deps.log.child('edgecontroller'),
      clusterCa,
      kubeletPort: cloudStream.enable ? cloudStream.streamPort : undefined,
      nodeKnown: (name) => {
        const node = informers.nodes.get('', name);
        if (node) downstream.send(name, 'node', node, 'update');
      },
    });
    const hub: CloudHub = new CloudHub({
      config: cloudHub,
      authority,
      synced: syncs,
      clock,
      log,
      handlers: {
        edge: async (node, message) => {
          if (tasks?.takes(message)) return void tasks.handle(node, message);
          return rules.takes(message) ? rules.handle(node, message) : upstream.handle(node, message);
        },
        device: (node, message) => devices.handle(node, message),
        application: async (node, message) => dynamic?.handle(node, message),
      },
      connected: (node) => {
        sync.connected(node);
        tasks?.connected(node);
      },
      disconnected: (node) => {
        dynamic?.disconnected(node);
        tasks?.disconnected(node);
      },
    });
    const tasks = this.taskManager(hub, informers);
    const dynamic = this.dynamic(hub);
    const downstream = new Downstream({ ...informers, link: hub, acknowledged: syncs });
    const devices = new DeviceController({
      ...informers,
      config: config.modules.deviceController,
      api,
      link: hub,
      clock,
      log: this.deps.log.child('devicecontroller'),
    });
    this.stops.push(() => devices.stop());
    const rules = new RuleController({
      ...informers,
      api,
      link: hub,
      clock,
      log: this.deps.log.child('rulecontroller'),
    });
    const sync = new SyncController({
      known: (node) => syncs.known(node),
      wanted: [
        (node) => downstream.wanted(node),
        (node) => devices.wanted(node),
        (node) => rules.wanted(node),
      ],
      send: (node, type, object, operation) => {
        const other = type === 'localrule' ? rules : downstream;
        const controller = type.startsWith('device') ? devices : other;
        controller.send(node, type, object, operation);
      },
      greet: (node) => devices.greet(node),
    });
    return { hub, enrolment: this.enrolment(authority, informers.nodes, syncs) };
  }

  private enrolment(authority: Authority, nodes: Informer<Node>, syncs: ObjectSyncs): Enrolment {
    return new Enrolment({
      config: this.deps.config.modules.cloudHub,
      authority,
      log: this.deps.log.child('cloudhub'),
      hasNode: (name) => nodes.get('', name) !== undefined,
      joined: (node) => syncs.forget(node),
    });
  }

  private dynamic(link: CloudHub): DynamicController | undefined {
    const { api, clock, random, config } = this.deps;
    const { dynamicController, cloudHub } = config.modules;
    if (!dynamicController.enable) return undefined;
    const { enable, debug } = cloudHub.authorization;
    const controller = new DynamicController({
      api,
      raw: api,
      link,
      clock,
      random,
      log: this.deps.log.child('dynamiccontroller'),
      impersonate: enable === true && debug === false,
    });
    this.stops.push(() => controller.stop());
    return controller;
  }

  private taskManager(
    link: CloudHub,
    { nodes, jobs }: { nodes: Informer<Node>; jobs: JobInformers | undefined },
  ): TaskManager | undefined {
    if (!jobs) return undefined;
    const { api, clock, log } = this.deps;
    const tasks = new TaskManager({ ...jobs, api, link, nodes, clock, log: log.child('taskmanager') });
    tasks.start();
    this.stops.push(() => tasks.stop());
    return tasks;
  }

  private informer<T extends KubeObject>(kind: ResourceKind): Informer<T> {
    const { api, clock, log, random } = this.deps;
    const informer = new Informer<T>({ api, kind, clock, log, random, trim: withoutFields });
    this.stops.push(() => informer.stop());
    return informer;
  }

  private jobInformers(): JobInformers {
    return { upgrades: this.informer(kinds.nodeUpgradeJob), prepulls: this.informer(kinds.imagePrePullJob) };
  }

  private informers() {
    const of = <T extends KubeObject>(kind: ResourceKind): Informer<T> => this.informer(kind);
    return {
      pods: of<Pod>(kinds.pod),
      nodes: of<Node>(kinds.node),
      configMaps: of<ConfigMap>(kinds.configMap),
      secrets: of<Secret>(kinds.secret),
      devices: of<Device>(kinds.device),
      models: of<DeviceModel>(kinds.deviceModel),
      statuses: of<DeviceStatus>(kinds.deviceStatus),
      rules: of<LocalRule>(kinds.localRule),
    };
  }

  /** A token lives for two refreshes, so that one just read is good for at least one. */
  private async keepToken(authority: Authority): Promise<void> {
    const { clock, config, log } = this.deps;
    const every = seconds(config.modules.cloudHub.tokenRefreshDuration * 3600);
    await authority.publishToken(2 * every);
    this.refresh = clock.every(every, () => {
      authority.publishToken(2 * every).catch((error: unknown) => {
        log.error('the join token could not be renewed', { reason: errorText(error) });
      });
    });
  }
}

/** Who signs the certificate that the API server shows to kubelets; clusters may have it apart from their CA.
 * @source kubernetes configmap kube-system/extension-apiserver-authentication */
async function clientCa(api: KubeApi): Promise<string> {
  const name = { namespace: 'kube-system', name: 'extension-apiserver-authentication' };
  const answer = await api.get<ConfigMap>(kinds.configMap, name);
  return 'object' in answer ? (answer.object.data?.['client-ca-file'] ?? '') : '';
}

/** Field ownership is most of an object's size and no edge reads it. */
function withoutFields<T extends KubeObject>(object: T): T {
  const { managedFields: _fields, ...metadata } = object.metadata as T['metadata'] & {
    managedFields?: unknown;
  };
  return { ...object, metadata };
}
