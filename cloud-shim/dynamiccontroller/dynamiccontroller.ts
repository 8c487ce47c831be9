import type { Status } from '../../runtime/core/k8s.ts';
import { isRecord, type Message } from '../../runtime/core/message.ts';
import type { ApiAnswer, ApiCall, RawApi } from '../kube/client.ts';
import { type Application, parseApplication } from './application.ts';
import { callOf } from './calls.ts';
import { Followers, type FollowersDeps, type Selection } from './followers.ts';

export type DynamicControllerDeps = FollowersDeps & {
  readonly raw: RawApi;
  /** Calls are made in the name of the node, with its rights; else with those of the cloud side. */
  readonly impersonate: boolean;
};

const RESOURCE = 'ignore/Application/ignore';
const ANSWER = {
  source: 'dynamiccontroller',
  group: 'resource',
  operation: 'applicationResponse',
} as const;

/** What goes back to the node. */
export type Answer = typeof ANSWER & { readonly resource: string; readonly content: unknown };

/** Base64 of it fits the largest frame. */
const LARGEST_BODY = 5 * 1024 * 1024;

/** Serves the local API of nodes from the API server.
 * @source KubeEdge cloud/pkg/dynamiccontroller */
export class DynamicController {
  private readonly deps: DynamicControllerDeps;
  private readonly followers: Followers;

  constructor(deps: DynamicControllerDeps) {
    this.deps = deps;
    this.followers = new Followers(deps);
  }

  stop(): Promise<void> {
    return this.followers.stop();
  }

  disconnected(node: string): void {
    this.followers.forget(node);
  }

  async handle(node: string, { route, content }: Message): Promise<Answer | undefined> {
    if (route.resource === 'watchapp/sync') return this.sync(node, content);
    const application = parseApplication(content);
    if (!application) {
      this.deps.log.warn('a request of a node is no application', { node });
      return isRecord(content) ? rejected(content, refusal(400, 'BadRequest', 'not understood')) : undefined;
    }
    if (application.verb === 'watch') {
      const fault = await this.follow(node, application);
      return fault ? rejected(application.content, fault) : approved(application.content, undefined);
    }
    return this.ask(node, application);
  }

  private async ask(node: string, application: Application): Promise<Answer> {
    const answer = await this.call(node, callOf(application));
    if (answer.code >= 300) return rejected(application.content, statusOf(answer));
    if (answer.body.length <= LARGEST_BODY) return approved(application.content, answer);
    const text = `the answer has ${answer.body.length} bytes, and at most ${LARGEST_BODY} go to a node`;
    return rejected(application.content, refusal(413, 'RequestEntityTooLarge', text));
  }

  /** @returns why not, or undefined */
  private async follow(node: string, application: Application): Promise<Status | undefined> {
    const { target, option, id } = application;
    if (target.kind !== 'objects') return refusal(400, 'BadRequest', 'only collections can be watched');
    // Who may list may watch, and the list tells the kind.
    const first = await this.call(
      node,
      callOf({ ...application, verb: 'list', option: { ...selectors(option), limit: 1 } }),
    );
    if (first.code >= 300) return statusOf(first);
    const list: unknown = JSON.parse(first.body.toString());
    const kind = isRecord(list) ? String(list.kind ?? '').replace(/List$/, '') : '';
    const { apiVersion, plural } = target.resource;
    this.followers.add(node, id, {
      kind: { apiVersion, plural, kind, namespaced: target.namespace !== undefined },
      query: selectionOf(target, option),
    });
    return undefined;
  }

  /** The node's own list of what it watches: what it lacks here is added, what is too much here ends. */
  private async sync(node: string, content: unknown): Promise<Answer> {
    const wanted = isRecord(content) ? content : {};
    const known = new Set(this.followers.of(node));
    for (const id of known) if (!Object.hasOwn(wanted, id)) this.followers.remove(node, id);
    const failed: Record<string, unknown> = {};
    for (const [id, raw] of Object.entries(wanted)) {
      if (known.has(id)) continue;
      const application = parseApplication(raw);
      const fault = application ? await this.follow(node, application) : undefined;
      if (application && fault) failed[id] = rejected(application.content, fault).content;
    }
    return { ...ANSWER, resource: 'watchapp/sync', content: failed };
  }

  private call(node: string, call: ApiCall): Promise<ApiAnswer> {
    const { raw, impersonate } = this.deps;
    return raw.raw(
      impersonate ? { ...call, as: { user: `system:node:${node}`, group: 'system:nodes' } } : call,
    );
  }
}

function approved(content: Application['content'], answer: ApiAnswer | undefined): Answer {
  const RespBody = answer ? answer.body.toString('base64') : null;
  return {
    ...ANSWER,
    resource: RESOURCE,
    content: { ...content, RespBody, Status: 'Approved', ...(answer ? { ContentType: answer.type } : {}) },
  };
}

function rejected(content: Application['content'], status: Status): Answer {
  const failure = { ErrStatus: { ...status, metadata: status.metadata ?? {} } };
  return {
    ...ANSWER,
    resource: RESOURCE,
    content: { ...content, RespBody: null, Status: 'Rejected', Reason: status.message, Error: failure },
  };
}

/** The API server's own Status where it sent one. */
function statusOf({ code, body }: ApiAnswer): Status {
  const text = body.toString();
  try {
    const status: unknown = JSON.parse(text);
    if (isRecord(status) && status.kind === 'Status') return status as unknown as Status;
  } catch {
    // A proxy's page, or nothing.
  }
  return refusal(code, 'InternalError', `the API server answered ${code}: ${text.slice(0, 200)}`);
}

function refusal(code: number, reason: string, message: string): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

function selectors({ labelSelector, fieldSelector }: Application['option']): Record<string, string> {
  return {
    ...(typeof labelSelector === 'string' && labelSelector ? { labelSelector } : {}),
    ...(typeof fieldSelector === 'string' && fieldSelector ? { fieldSelector } : {}),
  };
}

/** Informers follow collections of all namespaces: one namespace, or one object, is a selection. */
function selectionOf(
  { namespace, name }: Extract<Application['target'], { kind: 'objects' }>,
  option: Application['option'],
): Selection['query'] {
  const { fieldSelector, ...rest } = selectors(option);
  const fields = [
    ...(fieldSelector ? [fieldSelector] : []),
    ...(namespace ? [`metadata.namespace=${namespace}`] : []),
    ...(name ? [`metadata.name=${name}`] : []),
  ];
  return { ...rest, ...(fields.length > 0 ? { fieldSelector: fields.join(',') } : {}) };
}
