import type { Clock } from '../core/clock.ts';
import { EdgeError } from '../core/errors.ts';
import type { Lease, Node, TokenRequestSpec } from '../core/k8s.ts';
import type { Message, MessageDraft } from '../core/message.ts';
import { type Millis, seconds } from '../core/units.ts';
import { type ObjectResponse, parseObjectResponse, parseQueryAnswer } from './object-response.ts';
import { parseTokenRequest, type StoredToken } from './tokens.ts';

/** The cloud link, as far as requests need it. */
export interface CloudLink {
  readonly online: boolean;
  request(draft: MessageDraft, timeout: Millis): Promise<Message>;
}

/** Node traffic is renewed every few seconds; its answer is worthless later. */
const NODE_TIMEOUT = seconds(15);

/** The requests that a node makes of the API server, through the cloud link.
 * @source KubeEdge edge/pkg/metamanager/client */
export class Remote {
  private readonly link: CloudLink;
  private readonly clock: Clock;
  private readonly queryTimeout: Millis;
  private lease: Lease | undefined;

  constructor(deps: { link: CloudLink; clock: Clock; queryTimeout: Millis }) {
    this.link = deps.link;
    this.clock = deps.clock;
    this.queryTimeout = deps.queryTimeout;
  }

  get online(): boolean {
    return this.link.online;
  }

  /** Fetches a configmap, secret, PV, PVC or volume attachment.
   * @throws EdgeError OBJECT_NOT_FOUND, LINK_OFFLINE, LINK_TIMEOUT */
  async query(resource: string): Promise<Record<string, unknown>> {
    const reply = await this.ask('query', resource, null, this.queryTimeout);
    return objectOf(parseQueryAnswer(reply), resource);
  }

  async token(namespace: string, account: string, spec: TokenRequestSpec): Promise<StoredToken> {
    const resource = `${namespace}/serviceaccounttoken/${account}`;
    const content = { metadata: {}, spec, status: { token: '', expirationTimestamp: null } };
    const reply = await this.ask('query', resource, content, this.queryTimeout);
    const token = parseTokenRequest(objectOf(parseQueryAnswer(reply), resource), this.clock.now());
    if (!token) throw new EdgeError('MESSAGE_MALFORMED', { detail: `${resource}: an answer without token` });
    return token;
  }

  /** Creates the Node; one that is there already is as good. */
  async registerNode(node: Node): Promise<Node> {
    const resource = `null/node/${node.metadata.name}`;
    const response = parseObjectResponse(await this.ask('insert', resource, node, NODE_TIMEOUT));
    if (response.kind === 'refused' && response.reason === 'AlreadyExists') return node;
    return objectOf(response, resource) as unknown as Node;
  }

  /** @param patch strategic-merge patch of the status subresource, JSON
   * @returns the node as it now is */
  async patchNodeStatus(name: string, patch: string): Promise<Record<string, unknown>> {
    const resource = `null/nodepatch/${name}`;
    return objectOf(parseObjectResponse(await this.ask('patch', resource, patch, NODE_TIMEOUT)), resource);
  }

  /** Creates or renews the node's lease. An update needs the version that the last answer brought; when that answer was
   * lost with its link, the cluster has a newer one, which is read and built upon at once. */
  async renewLease(lease: Lease): Promise<void> {
    const resource = `${lease.metadata.namespace}/lease/${lease.metadata.name}`;
    let response = await this.putLease(resource, lease);
    if (response.kind === 'refused' && ['Conflict', 'AlreadyExists'].includes(response.reason))
      response = await this.putLease(resource, lease);
    this.lease = withoutManagedFields(objectOf(response, resource)) as unknown as Lease;
  }

  private async putLease(resource: string, lease: Lease): Promise<ObjectResponse> {
    this.lease ??= await this.readLease(resource);
    const known = this.lease;
    const next = known ? { ...known, spec: lease.spec } : lease;
    const reply = await this.ask(known ? 'update' : 'insert', resource, next, NODE_TIMEOUT);
    const response = parseObjectResponse(reply);
    // Whatever it is that the cluster holds instead, the next try reads it first.
    if (response.kind === 'refused') this.lease = undefined;
    return response;
  }

  private async readLease(resource: string): Promise<Lease | undefined> {
    const response = parseObjectResponse(await this.ask('query', resource, null, NODE_TIMEOUT));
    if (response.kind === 'refused' && response.reason === 'NotFound') return undefined;
    return withoutManagedFields(objectOf(response, resource)) as unknown as Lease;
  }

  private ask(operation: string, resource: string, content: unknown, timeout: Millis): Promise<Message> {
    return this.link.request({ source: 'edged', group: 'meta', operation, resource, content }, timeout);
  }
}

function objectOf(response: ObjectResponse, resource: string): Record<string, unknown> {
  if (response.kind === 'object') return response.object;
  const code = response.reason === 'NotFound' ? 'OBJECT_NOT_FOUND' : 'CLOUD_REFUSED';
  throw new EdgeError(code, { detail: `${resource}: ${response.message}` });
}

/** Bookkeeping of the API server that would travel back with every renewal. */
function withoutManagedFields(object: Record<string, unknown>): Record<string, unknown> {
  const { managedFields: _, ...metadata } = (object.metadata ?? {}) as Record<string, unknown>;
  return { ...object, metadata };
}
