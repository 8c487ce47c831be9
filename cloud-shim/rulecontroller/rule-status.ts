import { type Condition, type KubeObject, kubeTime } from '../../runtime/core/k8s.ts';

/** `rules.edgecore.io/v1alpha1` LocalRule, as far as the cloud side reads it. */
export type LocalRule = KubeObject & {
  readonly spec: {
    readonly nodeName?: string;
    readonly nodeSelector?: Readonly<Record<string, string>>;
  };
  readonly status?: RuleStatus;
};

export type RuleStatus = {
  readonly conditions?: readonly Condition[];
  readonly fired?: number;
  readonly lastFired?: string;
  readonly nodes?: Readonly<Record<string, NodeStatus>>;
};

/** What one node says of a rule. */
export type NodeStatus = {
  readonly observedGeneration?: number;
  readonly accepted: boolean;
  readonly state: string;
  readonly fired: number;
  readonly lastFired?: string;
  readonly reason?: string;
  readonly lastError?: string;
};

/** Reads a node's word about a rule; what else it says is passed over. */
export function parseNodeStatus(raw: Readonly<Record<string, unknown>>): NodeStatus {
  const text = (key: string): string | undefined => {
    const value = raw[key];
    return typeof value === 'string' && value !== '' ? value.slice(0, 2000) : undefined;
  };
  const { observedGeneration, fired } = raw;
  const [lastFired, reason, lastError] = [text('lastFired'), text('reason'), text('lastError')];
  return {
    ...(Number.isSafeInteger(observedGeneration) ? { observedGeneration: Number(observedGeneration) } : {}),
    accepted: raw.accepted === true,
    state: text('state') ?? 'unknown',
    fired: Number.isSafeInteger(fired) ? Number(fired) : 0,
    ...(lastFired ? { lastFired } : {}),
    ...(reason ? { reason } : {}),
    ...(lastError ? { lastError } : {}),
  };
}

/** The status of a rule after what its nodes say.
 * @param targets the nodes that it is for; what others said is dropped
 * @param now ms since epoch */
export function statusOf(
  before: RuleStatus,
  nodes: Readonly<Record<string, NodeStatus>>,
  targets: ReadonlySet<string>,
  now: number,
): RuleStatus {
  const said = Object.entries(nodes).filter(([node]) => targets.has(node));
  const refused = said.filter(([, { accepted }]) => !accepted);
  const stopped = said.filter(([, { state }]) => state === 'stopped');
  const words = (of: typeof said): string =>
    of.map(([node, { reason = '' }]) => `${node}: ${reason}`).join('; ');
  const missing = [...targets].filter((node) => nodes[node] === undefined);
  const waits = `no word from ${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ` and ${missing.length - 5} more` : ''}`;
  const accepted: Verdict =
    refused.length > 0
      ? ['False', 'Refused', words(refused)]
      : missing.length > 0
        ? ['Unknown', 'Waiting', waits]
        : ['True', 'Accepted', ''];
  const running: Verdict =
    stopped.length > 0
      ? ['False', 'LoopDetected', words(stopped)]
      : said.length > refused.length
        ? ['True', 'Running', '']
        : ['Unknown', 'NotAccepted', ''];
  const times = said.flatMap(([, { lastFired }]) => lastFired ?? []).sort();
  const lastFired = times.at(-1);
  return {
    conditions: [condition('Accepted', accepted, before, now), condition('Running', running, before, now)],
    fired: said.reduce((sum, [, { fired }]) => sum + fired, 0),
    ...(lastFired ? { lastFired } : {}),
    nodes: Object.fromEntries(said),
  };
}

type Verdict = readonly [status: Condition['status'], reason: string, message: string];

function condition(type: string, verdict: Verdict, { conditions = [] }: RuleStatus, now: number): Condition {
  const [status, reason, message] = verdict;
  const known = conditions.find((one) => one.type === type);
  const lastTransitionTime = known?.status === status ? known.lastTransitionTime : undefined;
  return { type, status, reason, message, lastTransitionTime: lastTransitionTime ?? kubeTime(now) };
}
