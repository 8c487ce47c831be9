import { mkdirSync } from 'node:fs';
import type { Clock, Timer } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { CoreEvent } from '../core/k8s.ts';
import type { Logger } from '../core/log.ts';
import type { MetricSource } from '../core/metrics.ts';
import type { NodeProblem } from '../core/node-problem.ts';
import type { Pod, PodRef, PodStatus } from '../core/pod.ts';
import { seconds } from '../core/units.ts';
import type { Cri } from '../wire/cri.ts';
import type { EdgedConfig } from './config.ts';
import { podEvent } from './events.ts';
import { pullImage } from './images.ts';
import { KubeletApi, type LogFile } from './kubelet-api.ts';
import { LogBudget } from './log-budget.ts';
import { type NodeFacts, readFacts } from './node.ts';
import { NodeAgent, type NodeApi } from './node-agent.ts';
import { listPods, type ObservedPod, signature } from './observed.ts';
import { podFault } from './pod-check.ts';
import { type CommandResult, execInPod, stopContainers } from './pod-commands.ts';
import { PodWorker } from './pod-worker.ts';
import { quantity } from './quantity.ts';
import { refusedStatus } from './status.ts';
import type { VolumeSource } from './volumes.ts';

/** The cluster as this node sees it: kept objects, and the way for what it has to tell. */
export interface ClusterApi extends NodeApi, VolumeSource {
  pods(): readonly Pod[];
  podStatus(pod: PodRef, status: PodStatus): void;
  podTerminated(pod: PodRef): void;
  event(event: CoreEvent): void;
}

/** Whether the node's own state reaches the disk; a reason says that it does not. */
export interface StoreState {
  health(): { readonly reason?: string };
  onChange(listener: () => void): () => void;
}

export type EdgedDeps = {
  readonly config: EdgedConfig;
  readonly version: string;
  readonly cluster: ClusterApi;
  readonly cri: Cri;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricSource;
  readonly store: StoreState;
  /** What is measured on the machine, and may be wrong. */
  readonly problems?: () => readonly NodeProblem[];
  /** Set in every container, unless its pod says otherwise. */
  readonly variables?: Readonly<Record<string, string>>;
  /** One more condition of the node, if there is one to tell. */
  readonly condition?: () => NodeFacts['condition'];
};

/** How often the runtime is asked for what changed by itself. */
const RELIST = seconds(1);
const RELIST_TIMEOUT = seconds(5);
/** Pods that the cluster does not know are removed once the link has been up this long: by then it has told of all. */
const SETTLED = seconds(60);

/** The node agent: pods of this node, the node itself, and the kubelet's local port.
 * @source KubeEdge edge/pkg/edged; kubelet */
export class Edged {
  readonly name = 'edged';
  private readonly deps: EdgedDeps;
  private readonly log: Logger;
  private readonly workers = new Map<string, PodWorker>();
  private readonly refused = new Map<string, Pod>();
  private readonly node: NodeAgent;
  private readonly api: KubeletApi;
  private readonly logs: LogBudget;
  private readonly listeners = new Set<() => void>();
  private seen = new Map<string, ObservedPod>();
  private fault: string | undefined = 'not asked yet';
  private runtimeVersion = '';
  private onlineSince: number | undefined;
  private timer: Timer | undefined;
  private forgetStore: () => void = () => {};
  private listing: Promise<void> | undefined;
  private readonly nodeMemory: number;
  private hostIP: string;

  constructor(deps: EdgedDeps) {
    const { config, cluster, clock, metrics, version } = deps;
    this.deps = deps;
    this.log = deps.log.child('edged');
    const facts = readFacts(config, config.rootDirectory);
    this.nodeMemory = facts.memoryTotal;
    this.hostIP = facts.address;
    this.node = new NodeAgent({
      config,
      version,
      api: cluster,
      clock,
      log: this.log,
      runtime: () => this.runtime,
      storeFault: () => deps.store.health().reason,
      condition: () => deps.condition?.(),
      problems: deps.problems ?? (() => []),
    });
    const { podLogsDir, containerLogMaxSize, containerLogMaxFiles } = config.tailoredKubeletConfig;
    this.logs = new LogBudget({
      call: deps.cri.call,
      podLogsDir,
      maxSize: quantity(containerLogMaxSize) ?? 0,
      maxFiles: containerLogMaxFiles,
      clock: deps.clock,
      log: this.log,
    });
    this.api = new KubeletApi({
      pods: () =>
        [...this.workers.values()].map(({ pod, status }) => ({ ...pod, status: status ?? pod.status ?? {} })),
      log: (...which) => this.logFile(...which),
    });
    metrics.gauge('edgecore_pods', 'Pods of this node.', () => this.workers.size);
    metrics.gauge('edgecore_container_runtime_up', '1 while it answers.', () =>
      this.fault === undefined ? 1 : 0,
    );
  }

  /** The node's address, as its Node object has it. */
  get nodeIp(): string {
    return this.hostIP;
  }

  /** Where the kubelet's API listens, once started. */
  get kubeletPort(): number {
    return this.api.port;
  }

  /** Why the container runtime cannot be used, and what it is. */
  get runtime(): { readonly fault: string | undefined; readonly version: string } {
    return { fault: this.fault, version: this.runtimeVersion || 'unknown://' };
  }

  /** Takes up the pods that are kept, with the containers that still run; needs no cloud.
   * @throws EdgeError PORT_TAKEN */
  async start(): Promise<void> {
    const { config, cluster, clock, store } = this.deps;
    const { address, readOnlyPort } = config.tailoredKubeletConfig;
    mkdirSync(config.rootDirectory, { recursive: true });
    await this.api.start(address, readOnlyPort);
    await this.relist();
    for (const pod of cluster.pods()) this.applyPod(pod);
    this.node.start();
    this.forgetStore = store.onChange(() => void this.node.update());
    this.timer = clock.every(RELIST, () => void this.relist());
  }

  async stop(): Promise<void> {
    this.timer?.cancel();
    this.forgetStore();
    this.node.stop();
    for (const worker of this.workers.values()) worker.stop();
    await this.api.stop();
    await this.listing;
    this.deps.cri.close();
  }

  /** Calls `listener` after any change of a pod; returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Every pod with its status, for the console. */
  *pods(): Iterable<{ readonly ref: PodRef; readonly status: PodStatus | undefined }> {
    for (const { ref, status } of this.workers.values()) yield { ref, status };
  }

  /** The link came up or went. */
  online(up: boolean): void {
    this.onlineSince = up ? this.deps.clock.monotonic() : undefined;
    this.node.link(up);
    if (up) for (const worker of this.workers.values()) worker.retryNow();
  }

  /** The node has something new to tell of itself. */
  tellStatus(): void {
    void this.node.update();
  }

  applyPod(pod: Pod): void {
    const fault = podFault(pod);
    if (fault) return this.refuse(pod, fault);
    const uid = pod.metadata.uid ?? '';
    const known = this.workers.get(uid);
    if (known) return known.update(pod);
    const worker = this.workerOf(pod);
    this.workers.set(uid, worker);
    worker.poke();
  }

  removePod(ref: PodRef): void {
    this.refused.delete(ref.uid);
    const worker =
      this.workers.get(ref.uid) ?? [...this.workers.values()].find((w) => !ref.uid && samePod(w.ref, ref));
    worker?.remove();
  }

  configMapChanged(namespace: string): void {
    this.retry(namespace);
  }

  secretChanged(namespace: string): void {
    this.retry(namespace);
  }

  private retry(namespace: string): void {
    for (const worker of this.workers.values()) if (worker.ref.namespace === namespace) worker.retryNow();
  }

  private workerOf(pod: Pod): PodWorker {
    const { config, cluster, cri, clock } = this.deps;
    const { clusterDNS, clusterDomain, podLogsDir } = config.tailoredKubeletConfig;
    return new PodWorker(
      {
        call: cri.call,
        clock,
        log: this.log,
        secret: (namespace, name) => cluster.secret(namespace, name),
        source: cluster,
        settings: { clusterDNS, clusterDomain, podLogsDir },
        rootDirectory: config.rootDirectory,
        node: config.hostnameOverride,
        hostIP: () => this.hostIP,
        nodeMemory: this.nodeMemory,
        variables: this.deps.variables ?? {},
        report: (ref, status) => {
          cluster.podStatus(ref, status);
          this.changed();
        },
        event: (event) => cluster.event(event),
        gone: (worker, removed) => this.forget(worker, removed),
        runtimeFault: () => this.fault,
      },
      pod,
    );
  }

  private forget(worker: PodWorker, removed: boolean): void {
    this.workers.delete(worker.ref.uid);
    if (!removed) this.deps.cluster.podTerminated(worker.ref);
    this.changed();
  }

  /** A pod that this node cannot understand says so in the cluster, once, and harms nothing. */
  private refuse(pod: Pod, fault: string): void {
    const { name, namespace = 'default', uid = '' } = pod.metadata;
    const { cluster, clock, config } = this.deps;
    const ref = { name, namespace, uid };
    if (pod.metadata.deletionTimestamp) return cluster.podTerminated(ref);
    if (this.refused.has(uid)) return;
    this.refused.set(uid, pod);
    this.log.warn('a pod was refused', { pod: `${namespace}/${name}`, reason: fault });
    cluster.podStatus(ref, refusedStatus('UnexpectedAdmissionError', fault, clock.now()));
    const event = { type: 'Warning', reason: 'UnexpectedAdmissionError', message: fault } as const;
    cluster.event(podEvent(pod, event, config.hostnameOverride, clock.now()));
  }

  private relist(): Promise<void> {
    this.listing ??= this.list().finally(() => {
      this.listing = undefined;
    });
    return this.listing;
  }

  private async list(): Promise<void> {
    const { cri } = this.deps;
    try {
      if (this.fault !== undefined) await this.greet();
      const found = await listPods(cri.call);
      const before = this.seen;
      this.seen = found;
      for (const [uid, worker] of this.workers)
        if (signature(before.get(uid)) !== signature(found.get(uid))) worker.poke();
      this.removeOrphans(found);
      void this.logs.keep(found.values());
    } catch (error) {
      this.runtimeIs(`no container runtime at ${cri.endpoint}: ${errorText(error)}`);
    }
  }

  /** Asks a runtime that was away who it is and whether it can run pods. */
  private async greet(): Promise<void> {
    const { call } = this.deps.cri;
    const { runtimeName, runtimeVersion } = await call('version', {}, RELIST_TIMEOUT);
    const { status } = await call('status', {}, RELIST_TIMEOUT);
    const bad = status?.conditions.find((condition) => !condition.status);
    this.runtimeVersion = `${runtimeName}://${runtimeVersion}`;
    if (bad) throw new Error(`${bad.type} is false: ${bad.message || bad.reason}`);
    this.runtimeIs(undefined);
  }

  private runtimeIs(fault: string | undefined): void {
    if (this.fault === fault) return;
    const turned = (this.fault === undefined) !== (fault === undefined);
    this.fault = fault;
    if (fault) this.log.warn('pods wait for the container runtime', { reason: fault });
    else this.log.info('the container runtime answers', { version: this.runtimeVersion });
    void this.node.update();
    if (turned) for (const worker of this.workers.values()) worker.retryNow();
    this.changed();
  }

  /** Pods whose deletion this process did not live to see through. */
  private removeOrphans(found: ReadonlyMap<string, ObservedPod>): void {
    if (this.onlineSince === undefined || this.deps.clock.monotonic() - this.onlineSince < SETTLED) return;
    for (const { uid, name, namespace } of found.values()) {
      if (this.workers.has(uid)) continue;
      this.log.info('removing a pod that the cluster does not have', { pod: `${namespace}/${name}` });
      const worker = this.workerOf({ metadata: { uid, name, namespace }, spec: { containers: [] } });
      this.workers.set(uid, worker);
      worker.remove();
    }
  }

  /** Stops the containers of a pod; its restart policy says what happens next. */
  async restart(
    namespace: string,
    name: string,
  ): Promise<{ containers: readonly string[] } | { missing: string }> {
    const pod = await this.podNow(namespace, name);
    if ('missing' in pod) return pod;
    return { containers: await stopContainers(this.deps.cri.call, pod) };
  }

  /** Runs a command in a container of a pod. @param container empty for the only one */
  async exec(
    namespace: string,
    name: string,
    container: string,
    command: readonly string[],
  ): Promise<CommandResult | { missing: string }> {
    const pod = await this.podNow(namespace, name);
    return 'missing' in pod ? pod : execInPod(this.deps.cri.call, pod, container, command);
  }

  /** Fetches an image ahead of the pods that want it. @param secret `NAMESPACE/NAME` or empty */
  pullImage(image: string, secret: string): Promise<void> {
    const { cri, clock, cluster } = this.deps;
    const credentials = (namespace: string, name: string) => cluster.secret(namespace, name);
    return pullImage({ call: cri.call, clock, secret: credentials }, image, secret);
  }

  private async podNow(namespace: string, name: string): Promise<ObservedPod | { missing: string }> {
    const pods = await listPods(this.deps.cri.call);
    const pod = [...pods.values()].find((each) => each.namespace === namespace && each.name === name);
    return pod ?? { missing: `pod ${namespace}/${name} does not run on this node` };
  }

  private logFile(
    namespace: string,
    pod: string,
    container: string,
    previous: boolean,
  ): LogFile | { missing: string } {
    const worker = [...this.workers.values()].find(
      (w) => w.ref.namespace === namespace && w.ref.name === pod,
    );
    if (!worker) return { missing: `pod ${namespace}/${pod} is not on this node` };
    return worker.logFile(container, previous);
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}

function samePod(a: PodRef, b: PodRef): boolean {
  return a.namespace === b.namespace && a.name === b.name;
}
