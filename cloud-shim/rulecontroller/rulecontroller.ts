import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../runtime/core/clock.ts';
import type { KubeObject, Node } from '../../runtime/core/k8s.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { contentObject, type Message, type MessageDraft } from '../../runtime/core/message.ts';
import { formatResource, parseResource } from '../../runtime/core/resource.ts';
import type { KubeApi } from '../kube/client.ts';
import type { Informer } from '../kube/informer.ts';
import { kinds } from '../kube/resource-kind.ts';
import {
  type LocalRule,
  type NodeStatus,
  parseNodeStatus,
  type RuleStatus,
  statusOf,
} from './rule-status.ts';

export type RuleControllerDeps = {
  readonly api: KubeApi;
  readonly link: {
    isConnected(node: string): boolean;
    deliver(node: string, draft: MessageDraft, object: KubeObject, deletion: boolean): void;
  };
  readonly rules: Informer<LocalRule>;
  readonly nodes: Informer<Node>;
  readonly clock: Clock;
  readonly log: Logger;
};

/** One thing that a node should have. */
export type Wanted = { readonly type: string; readonly object: KubeObject };
export type Reply = { readonly content: unknown; readonly operation?: 'error'; readonly source: string };

/** The wire's word for a LocalRule, and for what a node says of it. */
const TYPE = 'localrule';
const STATUS_TYPE = 'localrulestatus';
const CONFIRMED: Reply = { content: 'OK', source: 'rulecontroller' };

type Change = (nodes: Readonly<Record<string, NodeStatus>>) => Readonly<Record<string, NodeStatus>>;

/** LocalRules down to the nodes that they are for; what becomes of them up into their status. */
export class RuleController {
  private readonly deps: RuleControllerDeps;
  /** The nodes of each rule, by its uid. */
  private readonly targets = new Map<string, ReadonlySet<string>>();
  /** What was written last, as the watch may not have brought it yet. */
  private readonly written = new Map<string, RuleStatus>();
  /** Writes of one rule follow each other. */
  private readonly writing = new Map<string, Promise<unknown>>();

  constructor(deps: RuleControllerDeps) {
    this.deps = deps;
    deps.rules.onChange({
      changed: (rule, before) => {
        this.place(rule, !before || essence(rule) !== essence(before));
        this.newly(rule, before);
      },
      removed: (rule) => this.removed(rule),
    });
    deps.nodes.onChange({
      changed: (node, before) => {
        if (!before || !isDeepStrictEqual(node.metadata.labels, before.metadata.labels)) this.placeSelected();
      },
      removed: () => this.placeSelected(),
    });
  }

  /** What a node should have. */
  wanted(node: string): Wanted[] {
    const own = [...this.deps.rules.values()].filter((rule) => this.nodesOf(rule).has(node));
    return own.map((rule) => ({ type: TYPE, object: bare(rule) }));
  }

  send(node: string, type: string, object: KubeObject, operation: 'insert' | 'update' | 'delete'): void {
    if (!this.deps.link.isConnected(node)) return;
    const { namespace, name } = object.metadata;
    const resource = formatResource({ namespace, type, name });
    // An edge of KubeEdge's keeps, and acknowledges, what it does not know only if it comes from there.
    const draft = { source: 'edgecontroller', group: 'resource', operation, resource, content: object };
    this.deps.link.deliver(node, draft, object, operation === 'delete');
  }

  /** Whether a message of a node is for this controller. */
  takes({ route }: Message): boolean {
    return parseResource(route.resource)?.type === STATUS_TYPE;
  }

  /** Takes what a node says of a rule; the answer goes out when the cluster has it. */
  async handle(node: string, message: Message): Promise<Reply> {
    const { namespace = '', name = '' } = parseResource(message.route.resource) ?? {};
    const content = contentObject(message.content);
    const rule = this.deps.rules.get(namespace, name);
    // Gone, another one by now, or no longer that node's: sent again it would be no better.
    if (!rule || !content || content.uid !== rule.metadata.uid || !this.nodesOf(rule).has(node))
      return CONFIRMED;
    const said = parseNodeStatus(content);
    const fault = await this.inTurn(rule, (nodes) => ({ ...nodes, [node]: said }));
    return fault === undefined ? CONFIRMED : { ...CONFIRMED, operation: 'error', content: fault };
  }

  /** A new rule, or a new spec: nothing was said of it yet. */
  private newly(rule: LocalRule, before: LocalRule | undefined): void {
    const isNew = before
      ? before.metadata.generation !== rule.metadata.generation
      : rule.status?.conditions === undefined;
    if (isNew) void this.inTurn(rule, () => ({}));
  }

  /** Writes the status after a change of what the nodes say.
   * @returns why the API server did not take it */
  private async inTurn(rule: LocalRule, change: Change): Promise<string | undefined> {
    const uid = rule.metadata.uid ?? '';
    const work = (this.writing.get(uid) ?? Promise.resolve()).then(() => this.write(rule, change));
    this.writing.set(uid, work);
    const fault = await work;
    if (this.writing.get(uid) === work) this.writing.delete(uid);
    return fault;
  }

  private async write(rule: LocalRule, change: Change): Promise<string | undefined> {
    const { api, clock, rules, log } = this.deps;
    const { namespace = '', name, uid = '' } = rule.metadata;
    const before = this.written.get(uid) ?? rules.get(namespace, name)?.status ?? {};
    const status = statusOf(before, change(before.nodes ?? {}), this.nodesOf(rule), clock.now());
    const nodes = replaced(before.nodes ?? {}, status.nodes ?? {}, (was, is) => replaced(was, is));
    const patch = { metadata: { uid }, status: { ...replaced(before, status), nodes } };
    const where = { namespace, name, subresource: 'status' };
    const answer = await api
      .patch<LocalRule>(kinds.localRule, where, 'application/merge-patch+json', patch)
      .catch((error: Error) => ({ status: { reason: 'Unreachable', message: error.message } }));
    if ('object' in answer) {
      this.written.set(uid, status);
      return undefined;
    }
    const { reason, message } = answer.status;
    if (reason === 'NotFound' || reason === 'Conflict') return undefined;
    log.warn("a rule's status could not be written", { resource: `${namespace}/${name}`, reason: message });
    return message;
  }

  private place(rule: LocalRule, isNews: boolean): void {
    const uid = rule.metadata.uid ?? '';
    const before = this.targets.get(uid) ?? new Set();
    const now = this.nodesOf(rule);
    this.targets.set(uid, now);
    for (const node of before) if (!now.has(node)) this.send(node, TYPE, bare(rule), 'delete');
    for (const node of now) {
      if (!before.has(node)) this.send(node, TYPE, bare(rule), 'insert');
      else if (isNews) this.send(node, TYPE, bare(rule), 'update');
    }
  }

  private placeSelected(): void {
    for (const rule of this.deps.rules.values()) if (rule.spec.nodeSelector) this.place(rule, false);
  }

  private removed(rule: LocalRule): void {
    const uid = rule.metadata.uid ?? '';
    for (const node of this.targets.get(uid) ?? []) this.send(node, TYPE, bare(rule), 'delete');
    this.targets.delete(uid);
    this.written.delete(uid);
  }

  private nodesOf({ spec }: LocalRule): Set<string> {
    const { nodeName, nodeSelector } = spec;
    if (nodeName) return new Set([nodeName]);
    const wanted = Object.entries(nodeSelector ?? {});
    // One that names nothing is for no node, not for all.
    if (wanted.length === 0) return new Set();
    const selected = [...this.deps.nodes.values()].filter(({ metadata }) =>
      wanted.every(([label, value]) => metadata.labels?.[label] === value),
    );
    return new Set(selected.map(({ metadata }) => metadata.name));
  }
}

/** A rule as nodes get it: its status came from them. */
function bare(rule: LocalRule): KubeObject {
  const { status: _status, ...rest } = rule;
  return rest;
}

/** What a node acts on: the rest of an object changes with every status that is written. */
function essence({ metadata, spec }: LocalRule): string {
  return JSON.stringify([metadata.uid, spec, metadata.annotations]);
}

/** For a merge patch: what is not said any more goes.
 * @param each the same for what is within */
function replaced<T extends object>(
  before: Readonly<Record<string, T>> | T,
  now: Readonly<Record<string, T>> | T,
  each: (before: T, now: T) => unknown = (_, value) => value,
): Readonly<Record<string, unknown>> {
  const was = before as Readonly<Record<string, T>>;
  const gone = Object.keys(was).filter((key) => !(key in now));
  const kept = Object.entries(now).map(([key, value]) => {
    const known = was[key];
    return [key, known === undefined ? value : each(known, value as T)];
  });
  return Object.fromEntries([...kept, ...gone.map((key) => [key, null])]);
}
