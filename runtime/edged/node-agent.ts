import type { Clock, Timer } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import { kubeMicroTime, type Lease, type Node, type NodeStatus } from '../core/k8s.ts';
import type { Logger } from '../core/log.ts';
import type { NodeProblem } from '../core/node-problem.ts';
import { type Millis, seconds } from '../core/units.ts';
import type { EdgedConfig } from './config.ts';
import { type NodeFacts, nodeObject, nodeStatus, type RuntimeFacts, readFacts } from './node.ts';

/** The cluster, as far as the node tells it of itself. */
export interface NodeApi {
  registerNode(node: Node): Promise<Node>;
  /** @param patch strategic-merge patch of the status subresource, JSON */
  patchNodeStatus(name: string, patch: string): Promise<void>;
  renewLease(lease: Lease): Promise<void>;
}

export type NodeAgentDeps = {
  readonly config: EdgedConfig;
  readonly version: string;
  readonly api: NodeApi;
  readonly clock: Clock;
  readonly log: Logger;
  readonly runtime: () => RuntimeFacts;
  /** Why the node's own state does not reach the disk; undefined while it does. */
  readonly storeFault: () => string | undefined;
  readonly condition: () => NodeFacts['condition'];
  /** What is measured on the machine, and may be wrong. */
  readonly problems: () => readonly NodeProblem[];
};

/** An unchanged status is told again after this long, so that its heartbeat times do not look abandoned. */
const FULL_REPORT = seconds(300);
const RETRY = seconds(3);
/** Renewals of the lease may be so many intervals apart before the cluster may have taken the node for lost. It says so in
 * the node's status, so that this has to be told again, after the renewal: before it the cluster might do so once more. */
const MISSED = 2;

/** Registers the node, tells its status when that changes, and renews its lease. All of it only while there is a link.
 * @source kubelet node status and lease; KubeEdge §node life cycle */
export class NodeAgent {
  private readonly deps: NodeAgentDeps;
  private readonly timers: Timer[] = [];
  private retry: Timer | undefined;
  private online = false;
  private registered = false;
  private busy = false;
  private status: NodeStatus | undefined;
  private told = '';
  private toldAt = Number.NEGATIVE_INFINITY;
  /** Whether the cluster may show something else than what it was told. */
  private isInDoubt = true;
  /** When the cluster took the lease last, monotonic. */
  private renewedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: NodeAgentDeps) {
    this.deps = deps;
  }

  start(): void {
    const { clock, config } = this.deps;
    this.timers.push(
      clock.every(seconds(config.tailoredKubeletConfig.nodeStatusUpdateFrequency), () => void this.update()),
      clock.every(this.leaseInterval, () => void this.keepLease()),
    );
  }

  stop(): void {
    for (const timer of this.timers) timer.cancel();
    this.retry?.cancel();
    this.online = false;
  }

  /** The link came up or went. */
  link(up: boolean): void {
    this.online = up;
    if (!up) return;
    // The cloud side may be another one, or the Node may have been deleted meanwhile.
    this.registered = false;
    this.isInDoubt = true;
    void this.update();
  }

  /** Tells the status now if it changed. */
  async update(): Promise<void> {
    if (!this.online || this.busy) return;
    this.busy = true;
    try {
      if (!this.registered) await this.register();
      await this.report();
    } catch (error) {
      this.deps.log.warn("the node's status could not be told", { reason: errorText(error) });
      this.registered = false;
      // One retry at a time: the regular round fails as well while the cloud refuses.
      this.retry?.cancel();
      if (this.online) this.retry = this.deps.clock.after(RETRY, () => void this.update());
    } finally {
      this.busy = false;
    }
  }

  private get leaseInterval(): Millis {
    return seconds(this.deps.config.tailoredKubeletConfig.nodeLeaseDurationSeconds / 4);
  }

  private facts(): NodeFacts {
    const { config, storeFault, problems, condition } = this.deps;
    return {
      ...readFacts(config, config.rootDirectory),
      storeFault: storeFault(),
      problems: problems(),
      condition: condition(),
    };
  }

  private async register(): Promise<void> {
    const { config, version, api, clock, runtime } = this.deps;
    const facts = this.facts();
    if (config.tailoredKubeletConfig.registerNode)
      await api.registerNode(nodeObject(config, version, facts, runtime(), clock.now()));
    this.registered = true;
    await this.renew();
  }

  private async report(): Promise<void> {
    const { config, version, api, clock, runtime } = this.deps;
    const facts = this.facts();
    const status = nodeStatus(config, version, facts, runtime(), clock.now(), this.status);
    const text = JSON.stringify(withoutHeartbeat(status));
    const isDue = this.isInDoubt || clock.monotonic() - this.toldAt >= FULL_REPORT;
    if (text === this.told && !isDue) return;
    this.isInDoubt = false;
    await api.patchNodeStatus(config.hostnameOverride, JSON.stringify({ status }));
    this.status = status;
    this.told = text;
    this.toldAt = clock.monotonic();
  }

  private async keepLease(): Promise<void> {
    if (!this.online || !this.registered) return;
    await this.renew();
    if (this.isInDoubt) await this.update();
  }

  private async renew(): Promise<void> {
    const { config, api, clock, log } = this.deps;
    const name = config.hostnameOverride;
    try {
      await api.renewLease({
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name, namespace: 'kube-node-lease' },
        spec: {
          holderIdentity: name,
          leaseDurationSeconds: config.tailoredKubeletConfig.nodeLeaseDurationSeconds,
          renewTime: kubeMicroTime(clock.now()),
        },
      });
      if (clock.monotonic() - this.renewedAt > MISSED * this.leaseInterval) this.isInDoubt = true;
      this.renewedAt = clock.monotonic();
    } catch (error) {
      log.warn("the node's lease could not be renewed", { reason: errorText(error) });
    }
  }
}

/** What counts as a change; free memory and disk do not stand in the status, only their pressure. */
function withoutHeartbeat(status: NodeStatus): unknown {
  return { ...status, conditions: status.conditions?.map(({ lastHeartbeatTime: _, ...rest }) => rest) };
}
