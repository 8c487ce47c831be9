import { isDeepStrictEqual } from 'node:util';
import type { Clock, Timer } from '../../runtime/core/clock.ts';
import type { Node } from '../../runtime/core/k8s.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { contentObject, type Message, type MessageDraft } from '../../runtime/core/message.ts';
import { millis, seconds } from '../../runtime/core/units.ts';
import type { KubeApi } from '../kube/client.ts';
import type { Informer } from '../kube/informer.ts';
import { kinds } from '../kube/resource-kind.ts';
import { advance, isOver, type Job, type JobType, parseReport, type Report } from './job.ts';

export type TaskManagerDeps = {
  readonly api: KubeApi;
  readonly link: { isConnected(node: string): boolean; send(node: string, draft: MessageDraft): void };
  readonly nodes: Informer<Node>;
  readonly upgrades: Informer<Job>;
  readonly prepulls: Informer<Job>;
  readonly clock: Clock;
  readonly log: Logger;
};

/** What is known of a job here, beside its object. Lost with this process: a job goes on by its status. */
type Work = {
  readonly type: JobType;
  /** Newest known. */
  job: Job;
  reports: Report[];
  /** When each node was begun, heard of last, or had its turn while away; monotonic. */
  readonly since: Map<string, number>;
  /** Nodes that were told on their present connection. */
  readonly told: Set<string>;
  isBusy: boolean;
  isAsked: boolean;
};

const LOOK = seconds(5);
/** What a node has to say of a job comes within this time of its connection: only then is it told again. */
const QUIET = seconds(10);
const EDGE_LABEL = 'node-role.kubernetes.io/edge';
const RESOURCE = /^operations\.kubeedge\.io\/v1alpha2\/([a-z]+)\/([^/]+)\/node\/([^/]+)$/;
const kindOf = { nodeupgradejob: kinds.nodeUpgradeJob, imageprepulljob: kinds.imagePrePullJob } as const;

/** NodeUpgradeJobs and ImagePrePullJobs: has the nodes of each begin in their turn, and keeps their status. All that counts is
 * in the status, so that another shim goes on where this one ended.
 * @source KubeEdge cloud/pkg/taskmanager, cloud/pkg/controllermanager/nodetask */
export class TaskManager {
  private readonly deps: TaskManagerDeps;
  /** By uid. */
  private readonly works = new Map<string, Work>();
  private readonly connectedAt = new Map<string, number>();
  private timer: Timer | undefined;

  constructor(deps: TaskManagerDeps) {
    this.deps = deps;
  }

  /** What was begun before goes on. */
  start(): void {
    const { upgrades, prepulls, clock } = this.deps;
    this.timer = clock.every(LOOK, () => this.goOn());
    this.follow('nodeupgradejob', upgrades);
    this.follow('imageprepulljob', prepulls);
  }

  async stop(): Promise<void> {
    this.timer?.cancel();
  }

  /** A node has a link again; what it was told on the one before may not have reached it. */
  connected(node: string): void {
    this.connectedAt.set(node, this.deps.clock.monotonic());
    for (const work of this.works.values()) work.told.delete(node);
    this.goOn();
  }

  disconnected(node: string): void {
    this.connectedAt.delete(node);
  }

  /** Whether a message of a node is for this controller. */
  takes({ route }: Message): boolean {
    return route.operation === 'UpdateNodeActionStatus';
  }

  /** Takes what a node says of a job; it is not answered, as in KubeEdge. */
  handle(node: string, { route, content }: Message): void {
    const [, type = '', name = '', from] = RESOURCE.exec(route.resource) ?? [];
    const said = contentObject(content);
    // A node speaks for itself alone.
    if (!isJobType(type) || from !== node || !said) return this.passOver(node, route.resource);
    const job = (type === 'nodeupgradejob' ? this.deps.upgrades : this.deps.prepulls).get('', name);
    const report = parseReport(type, node, said);
    if (!job || !report) return this.passOver(node, route.resource);
    const work = this.workOf(type, job);
    work.reports.push(report);
    work.since.set(node, this.deps.clock.monotonic());
    void this.pump(work);
  }

  private passOver(node: string, resource: string): void {
    this.deps.log.debug('a word about no job of that node', () => ({ node, resource }));
  }

  private follow(type: JobType, jobs: Informer<Job>): void {
    const changed = (job: Job): void => {
      const isKnown = this.works.has(job.metadata.uid ?? '');
      if (!isKnown && job.status && isOver(job.status)) return;
      void this.pump(this.workOf(type, job));
    };
    for (const job of jobs.values()) changed(job);
    jobs.onChange({
      changed,
      removed: ({ metadata }) => this.works.delete(metadata.uid ?? ''),
    });
  }

  private workOf(type: JobType, job: Job): Work {
    const uid = job.metadata.uid ?? '';
    const known = this.works.get(uid);
    if (known) {
      if (versionOf(job) > versionOf(known.job)) known.job = job;
      return known;
    }
    const work = {
      type,
      job,
      reports: [],
      since: new Map(),
      told: new Set<string>(),
      isBusy: false,
      isAsked: false,
    };
    this.works.set(uid, work);
    return work;
  }

  private goOn(): void {
    for (const work of this.works.values()) void this.pump(work);
  }

  /** One step after the other of a job, until nothing is left to do now. Never rejects. */
  private async pump(work: Work): Promise<void> {
    work.isAsked = true;
    if (work.isBusy) return;
    work.isBusy = true;
    while (work.isAsked) {
      work.isAsked = false;
      await this.step(work);
    }
    work.isBusy = false;
  }

  private async step(work: Work): Promise<void> {
    const { clock, link, log } = this.deps;
    const { type, since } = work;
    const taken = [...work.reports];
    const now = clock.monotonic();
    const { status, begun, missed } = advance(type, work.job, {
      reports: taken,
      edges: this.edges(),
      isConnected: (node) => link.isConnected(node),
      waited: (node) => millis(now - (since.get(node) ?? now)),
    });
    for (const node of missed) if (!since.has(node)) since.set(node, now);
    if (!isDeepStrictEqual(status, work.job.status) && !(await this.write(work, status))) return;
    work.reports = work.reports.filter((report) => !taken.includes(report));
    for (const node of begun) {
      since.set(node, now);
      log.info('a node begins with a job', { node, resource: nameOf(work) });
      this.tell(work, node);
    }
    this.remind(work);
    if (isOver(status) && work.reports.length === 0) this.works.delete(work.job.metadata.uid ?? '');
  }

  /** Nodes that were begun, have said nothing, and may not have been told: the way to them is not an acknowledged one. */
  private remind(work: Work): void {
    const { clock, link } = this.deps;
    const now = clock.monotonic();
    for (const { nodeName, phase, actionFlow = [] } of work.job.status?.nodeStatus ?? []) {
      if (phase !== 'InProgress') continue;
      if (!work.since.has(nodeName)) work.since.set(nodeName, now);
      if (actionFlow.length > 0 || work.told.has(nodeName) || !link.isConnected(nodeName)) continue;
      if (now - (this.connectedAt.get(nodeName) ?? 0) >= QUIET) this.tell(work, nodeName);
    }
  }

  /** @source KubeEdge cloud/pkg/common/messagelayer BuildNodeTaskRouter */
  private tell(work: Work, node: string): void {
    const { type, job, told } = work;
    told.add(node);
    const resource = `operations.kubeedge.io/v1alpha2/${type}/${job.metadata.name}/node/${node}`;
    const route = { source: 'taskmanager', group: 'taskmanager', operation: 'Check', resource };
    this.deps.link.send(node, { ...route, content: job.spec });
  }

  /** @returns whether the cluster has it; if not, the step is taken again */
  private async write(work: Work, status: Job['status']): Promise<boolean> {
    const { api, log } = this.deps;
    const kind = kindOf[work.type];
    const { name, uid = '' } = work.job.metadata;
    const at = { name, subresource: 'status' };
    // With the version that it was made from: another shim may have written meanwhile.
    const answer = await api.update<Job>(kind, at, { ...work.job, status });
    if ('object' in answer) {
      work.job = answer.object;
      return true;
    }
    const { reason, message } = answer.status;
    if (reason === 'NotFound') this.works.delete(uid);
    else if (reason === 'Conflict') await this.refresh(work);
    else log.warn("a job's status could not be written", { resource: nameOf(work), reason: message });
    return false;
  }

  private async refresh(work: Work): Promise<void> {
    const { name, uid } = work.job.metadata;
    const answer = await this.deps.api.get<Job>(kindOf[work.type], { name });
    if (!('object' in answer)) return;
    if (answer.object.metadata.uid !== uid) this.works.delete(uid ?? '');
    else if (versionOf(answer.object) > versionOf(work.job)) {
      work.job = answer.object;
      work.isAsked = true;
    }
  }

  private edges(): Map<string, Readonly<Record<string, string>>> {
    const labelled = [...this.deps.nodes.values()].map(
      ({ metadata }) => [metadata.name, metadata.labels ?? {}] as const,
    );
    return new Map(labelled.filter(([, labels]) => EDGE_LABEL in labels));
  }
}

function isJobType(type: string): type is JobType {
  return Object.hasOwn(kindOf, type);
}

function nameOf({ type, job }: Work): string {
  return `${type}/${job.metadata.name}`;
}

function versionOf({ metadata }: Job): bigint {
  return BigInt(metadata.resourceVersion || '0');
}
