import type { KubeObject } from '../../runtime/core/k8s.ts';
import { isRecord } from '../../runtime/core/message.ts';
import { type Millis, seconds } from '../../runtime/core/units.ts';

/** The wire's words for the kinds of jobs. */
export type JobType = 'nodeupgradejob' | 'imageprepulljob';

/** `operations.kubeedge.io/v1alpha2` NodeUpgradeJob or ImagePrePullJob.
 * @source KubeEdge api/apis/operations/v1alpha2 */
export type Job = KubeObject & {
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: JobStatus;
};

export type JobStatus = {
  readonly phase: 'Init' | 'InProgress' | 'Completed' | 'Failure';
  readonly reason?: string;
  readonly nodeStatus?: readonly NodeTask[];
};

/** What has become of a job on one node. */
export type NodeTask = {
  readonly nodeName: string;
  readonly phase: 'Pending' | 'InProgress' | 'Successful' | 'Failure' | 'Unknown';
  readonly reason?: string;
  readonly actionFlow?: readonly ActionStatus[];
  readonly historicVersion?: string;
  readonly currentVersion?: string;
  readonly imageStatus?: readonly ImageStatus[];
};

type ActionStatus = {
  readonly action: string;
  readonly status: 'True' | 'False';
  readonly reason?: string;
  readonly time: string;
};
type ImageStatus = { readonly image: string; readonly status: string; readonly reason?: string };

/** What a node says of one action. @source KubeEdge pkg/nodetask/message UpstreamMessage */
export type Report = {
  readonly node: string;
  readonly action: string;
  readonly succ: boolean;
  readonly finishTime: string;
  readonly reason: string;
  readonly extend: string;
};

/** What is known beside the job. */
export type Facts = {
  readonly reports: readonly Report[];
  /** Edge nodes by name, with their labels. */
  readonly edges: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly isConnected: (node: string) => boolean;
  /** How long a node has been silent since it was begun, or away since it was its turn. */
  readonly waited: (node: string) => Millis;
};

/** Where a job goes on. */
export type Step = {
  readonly status: JobStatus;
  /** Nodes that begin now. */
  readonly begun: readonly string[];
  /** Nodes whose turn it is, and that are away. */
  readonly missed: readonly string[];
};

type Settings = {
  readonly timeout: Millis;
  readonly concurrency: number;
  readonly tolerated: number;
  readonly isConfirmed: boolean;
};
type Selector = {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
};

/** In the order of each flow; RollBack follows an Upgrade that failed. @source KubeEdge pkg/nodetask/actionflow */
const flows: Readonly<Record<JobType, readonly string[]>> = {
  nodeupgradejob: ['Check', 'WaitingConfirmation', 'BackUp', 'Upgrade', 'RollBack'],
  imageprepulljob: ['Check', 'Pull'],
};
const LAST: Readonly<Record<JobType, string>> = { nodeupgradejob: 'Upgrade', imageprepulljob: 'Pull' };
const TIMEOUT = 300;
/** A flow has five actions: more are repeats of somebody who is confused. */
const MOST_ACTIONS = 20;
const LONGEST = 2000;

/** Says how a job stands after all that is known, and which nodes begin.
 *
 * Differs: a node that is away is waited for, as gateways are away now and then; KubeEdge's fails at once. When more have
 * failed than is tolerated no further one is begun: a bad version does not go over all of them. Rolled back is failed, with the
 * reason; in KubeEdge it is successful. */
export function advance(type: JobType, job: Job, facts: Facts): Step {
  const common = commonOf(type, job);
  const settings = settingsOf(common);
  const before: JobStatus = job.status?.phase ? job.status : begin(common, facts);
  if (!before.nodeStatus) return { status: before, begun: [], missed: [] };
  const tasks = before.nodeStatus.map((task) =>
    timedOut(told(type, task, facts.reports), settings, facts.waited),
  );
  const isStopped = isTooMuch(tasks, settings);
  const running = tasks.filter(({ phase }) => phase === 'InProgress').length;
  const next = tasks.filter(({ phase }) => phase === 'Pending').map(({ nodeName }) => nodeName);
  const room = isStopped ? 0 : Math.max(0, settings.concurrency - running);
  const begun = next.filter((node) => facts.isConnected(node)).slice(0, room);
  const missed = room > begun.length ? next.filter((node) => !facts.isConnected(node)) : [];
  const nodeStatus = tasks.map((task) =>
    begun.includes(task.nodeName) ? { ...task, phase: 'InProgress' as const } : task,
  );
  return { status: { ...phaseOf(nodeStatus, settings), nodeStatus }, begun, missed };
}

function begin(common: Readonly<Record<string, unknown>>, { edges }: Facts): JobStatus {
  const names = strings(common.nodeNames);
  const { labelSelector } = common;
  const failed = (reason: string): JobStatus => ({ phase: 'Failure', reason });
  if (names.length > 0 && labelSelector)
    return failed('spec has nodeNames and labelSelector: want one of them');
  if (names.length === 0 && !isRecord(labelSelector))
    return failed('spec says no nodes: want nodeNames or labelSelector');
  const chosen =
    names.length > 0
      ? [...new Set(names)]
      : [...edges].filter(([, labels]) => selects(labelSelector as Selector, labels)).map(([name]) => name);
  if (chosen.length === 0) return failed('spec.labelSelector selects no edge node');
  const nodeStatus = chosen.map((nodeName): NodeTask => {
    if (edges.has(nodeName)) return { nodeName, phase: 'Pending' };
    return { nodeName, phase: 'Failure', reason: 'there is no edge node of that name' };
  });
  return { phase: 'Init', nodeStatus };
}

/** @source apimachinery pkg/apis/meta/v1 LabelSelectorAsSelector */
function selects(
  { matchLabels = {}, matchExpressions = [] }: Selector,
  labels: Readonly<Record<string, string>>,
) {
  const has = (key: string): boolean => Object.hasOwn(labels, key);
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      switch (operator) {
        case 'In':
          return has(key) && values.includes(labels[key] ?? '');
        case 'NotIn':
          return !has(key) || !values.includes(labels[key] ?? '');
        case 'Exists':
          return has(key);
        case 'DoesNotExist':
          return !has(key);
        default:
          // What is not understood selects nothing.
          return false;
      }
    })
  );
}

/** Takes what a node has said. A word that comes twice, as after a restart of the node, counts once. */
function told(type: JobType, before: NodeTask, reports: readonly Report[]): NodeTask {
  let task = before;
  for (const report of reports) {
    const { actionFlow = [] } = task;
    const isNew = !actionFlow.some(
      ({ action, time }) => action === report.action && time === report.finishTime,
    );
    if (report.node === task.nodeName && isNew && actionFlow.length < MOST_ACTIONS)
      task = { ...task, ...after(type, task, report), actionFlow: [...actionFlow, actionOf(report)] };
  }
  return task;
}

function after(type: JobType, task: NodeTask, { action, succ, reason, extend }: Report): Partial<NodeTask> {
  const why = task.reason ?? '';
  switch (action) {
    case 'RollBack': {
      const reasons = [why, ...(succ ? [] : [`rolling back failed: ${reason}`])].filter(Boolean);
      return { phase: 'Failure', reason: reasons.join('; '), ...(succ ? versions(extend) : {}) };
    }
    case LAST[type]:
      if (type === 'imageprepulljob')
        return {
          phase: succ ? 'Successful' : 'Failure',
          reason: succ ? '' : reason,
          imageStatus: images(extend),
        };
      // A rollback is still to come.
      return succ
        ? { phase: 'Successful', reason: '', ...versions(extend) }
        : { phase: 'InProgress', reason };
    default:
      return succ ? { phase: 'InProgress', reason: '' } : { phase: 'Failure', reason };
  }
}

function actionOf({ action, succ, reason, finishTime }: Report): ActionStatus {
  return { action, status: succ ? 'True' : 'False', ...(reason ? { reason } : {}), time: finishTime };
}

function timedOut(task: NodeTask, { timeout, isConfirmed }: Settings, waited: Facts['waited']): NodeTask {
  const { nodeName, phase, actionFlow = [] } = task;
  const last = actionFlow.at(-1)?.action;
  // People take their time.
  const waitsForSomebody = isConfirmed && last === 'WaitingConfirmation';
  if ((phase !== 'InProgress' && phase !== 'Pending') || waitsForSomebody || waited(nodeName) < timeout)
    return task;
  if (phase === 'Pending')
    return { ...task, phase: 'Failure', reason: `it was away for ${timeout / 1000} s` };
  const said = last ? `since ${last}` : 'since it was begun';
  return { ...task, phase: 'Unknown', reason: `nothing was heard ${said} for ${timeout / 1000} s` };
}

function phaseOf(tasks: readonly NodeTask[], settings: Settings): Pick<JobStatus, 'phase' | 'reason'> {
  const isStopped = isTooMuch(tasks, settings);
  const isRunning = tasks.some(({ phase }) => phase === 'InProgress');
  const isWaiting = tasks.some(({ phase }) => phase === 'Pending');
  if (isRunning || (isWaiting && !isStopped)) return { phase: 'InProgress', reason: '' };
  if (!isStopped) return { phase: 'Completed', reason: '' };
  const failed = tasks.filter(isFailed);
  const [first] = failed;
  const reason = `${failed.length} of ${tasks.length} nodes failed; ${first?.nodeName}: ${first?.reason}`;
  return { phase: 'Failure', reason: reason.slice(0, LONGEST) };
}

function isTooMuch(tasks: readonly NodeTask[], { tolerated }: Settings): boolean {
  return tasks.filter(isFailed).length / tasks.length > tolerated;
}

function isFailed({ phase }: NodeTask): boolean {
  return phase === 'Failure' || phase === 'Unknown';
}

/** Whether nothing more happens to a job by itself. */
export function isOver({ phase, nodeStatus = [] }: JobStatus): boolean {
  return (
    (phase === 'Completed' || phase === 'Failure') && !nodeStatus.some((task) => task.phase === 'InProgress')
  );
}

function commonOf(type: JobType, { spec = {} }: Job): Readonly<Record<string, unknown>> {
  if (type === 'nodeupgradejob') return spec;
  return isRecord(spec.imagePrePullTemplate) ? spec.imagePrePullTemplate : {};
}

function settingsOf(common: Readonly<Record<string, unknown>>): Settings {
  const number = (value: unknown): number => Math.max(0, Number(value) || 0);
  return {
    timeout: seconds(number(common.timeoutSeconds) || TIMEOUT),
    concurrency: Math.floor(number(common.concurrency)) || 1,
    tolerated: number(common.failureTolerate),
    isConfirmed: common.requireConfirmation === true,
  };
}

/** Reads a node's word about an action.
 * @returns undefined for what is none of that job's */
export function parseReport(
  type: JobType,
  node: string,
  content: Readonly<Record<string, unknown>>,
): Report | undefined {
  const text = (key: string): string => String(content[key] ?? '').slice(0, LONGEST);
  const action = text('action');
  if (!flows[type].includes(action)) return undefined;
  // What does not fit is no JSON any more.
  const extend = String(content.extend ?? '').slice(0, 100_000);
  return {
    node,
    action,
    succ: content.succ === true,
    finishTime: text('finishTime'),
    reason: text('reason'),
    extend,
  };
}

/** `from,to` */
function versions(extend: string): Pick<NodeTask, 'historicVersion' | 'currentVersion'> {
  const [historicVersion, currentVersion] = extend.split(',');
  return historicVersion && currentVersion ? { historicVersion, currentVersion } : {};
}

/** @source KubeEdge pkg/nodetask/message extend_conv.go */
function images(extend: string): ImageStatus[] {
  try {
    const list: unknown = JSON.parse(extend || '[]');
    return (Array.isArray(list) ? list : []).filter(isRecord).map(({ image, status, reason }) => ({
      image: String(image),
      status: String(status),
      ...(reason ? { reason: String(reason).slice(0, LONGEST) } : {}),
    }));
  } catch {
    return [];
  }
}

function strings(list: unknown): string[] {
  return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : [];
}
