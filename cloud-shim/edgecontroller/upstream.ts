import type { Clock } from '../../runtime/core/clock.ts';
import { type KubeObject, kubeTime, type Status } from '../../runtime/core/k8s.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { contentObject, contentText, isRecord, type Message } from '../../runtime/core/message.ts';
import { parseResource, type ResourcePath } from '../../runtime/core/resource.ts';
import type { Answer as KubeAnswer, KubeApi } from '../kube/client.ts';
import { kinds, type ResourceKind } from '../kube/resource-kind.ts';
import { parseRequest } from '../pki/csr.ts';

export type UpstreamDeps = {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly log: Logger;
  /** The cluster's CA, PEM. */
  readonly clusterCa: string;
  /** Port that `status.daemonEndpoints` should name instead of the node's own; undefined to leave it. */
  readonly kubeletPort: number | undefined;
  /** A node's own object as it now is; it goes down to it. */
  readonly nodeKnown: (node: string) => void;
};

export type Reply = {
  readonly content: unknown;
  readonly operation?: 'response' | 'error';
  readonly source?: string;
};

type Request = ResourcePath & {
  readonly name: string;
  readonly node: string;
  readonly operation: string;
  readonly content: unknown;
};

const queried: Readonly<Record<string, ResourceKind>> = {
  configmap: kinds.configMap,
  secret: kinds.secret,
  persistentvolume: kinds.persistentVolume,
  persistentvolumeclaim: kinds.persistentVolumeClaim,
  volumeattachment: kinds.volumeAttachment,
  certificatesigningrequest: kinds.csr,
  node: kinds.node,
};
const STRATEGIC = 'application/strategic-merge-patch+json';

/** What nodes ask of the API server. Each request ends in exactly one answer, also when the API server refuses.
 * @source KubeEdge cloud/pkg/edgecontroller/controller/upstream.go */
export class Upstream {
  private readonly deps: UpstreamDeps;

  constructor(deps: UpstreamDeps) {
    this.deps = deps;
  }

  async handle(node: string, message: Message): Promise<Reply | undefined> {
    const { resource, operation } = message.route;
    if (resource === 'k8s/ca.crt') return { content: this.deps.clusterCa, source: 'cloudhub' };
    const path = parseResource(resource);
    if (!path?.name) {
      this.deps.log.debug('a message that nobody takes', () => ({ node, operation, resource }));
      return undefined;
    }
    const request = { ...path, name: path.name, node, operation, content: message.content };
    const fault = this.foreign(request);
    return fault ? refused(fault) : this.route(request);
  }

  private async route(request: Request): Promise<Reply | undefined> {
    const { type, operation } = request;
    switch (`${type} ${operation}`) {
      case 'node insert':
        return this.register(request);
      case 'nodepatch patch':
        return this.patchNode(request);
      case 'podpatch patch':
        return this.objectReply(await this.patchStatus(kinds.pod, request, contentText(request.content)));
      case 'pod delete':
        return this.deletePod(request);
      case 'pod insert':
        return this.objectReply(await this.deps.api.create(kinds.pod, whole(request), request.content));
      case 'lease insert':
        return this.objectReply(await this.deps.api.create(kinds.lease, whole(request), request.content));
      case 'lease update':
        return this.objectReply(await this.deps.api.update(kinds.lease, whole(request), request.content));
      case 'lease query':
        return this.objectReply(await this.deps.api.get(kinds.lease, whole(request)));
      case 'serviceaccounttoken query':
        return this.token(request);
      case 'certificatesigningrequest insert':
        return this.objectReply(await this.requestCertificate(request));
      case 'event insert':
        await this.deps.api.create(kinds.event, whole(request), request.content);
        return undefined;
      case 'event patch':
        await this.patchEvent(request);
        return undefined;
      default:
        return this.query(request);
    }
  }

  /** A node speaks for itself alone: its node, its lease, its pods.
   * @returns why not, or undefined */
  private foreign({ type, name, node }: Request): string | undefined {
    const own = ['node', 'nodepatch', 'lease'].includes(type);
    return own && name !== node ? `node ${node} may not write ${type} ${name}` : undefined;
  }

  private async register(request: Request): Promise<Reply> {
    const { api } = this.deps;
    const answer = await api.create<KubeObject>(kinds.node, whole(request), this.withPort(request.content));
    // An edge of KubeEdge's reads its node from its own store only.
    if ('status' in answer && answer.status.reason === 'AlreadyExists') this.deps.nodeKnown(request.node);
    return this.objectReply(answer);
  }

  private async patchNode(request: Request): Promise<Reply> {
    const patch = contentObject(request.content);
    if (!patch) return refused('a node patch that is no JSON object');
    return this.objectReply(
      await this.patchStatus(kinds.node, request, JSON.stringify(this.withPort(patch))),
    );
  }

  /** The API server reaches the kubelet's port through the tunnel's. */
  private withPort(object: unknown): unknown {
    const { kubeletPort } = this.deps;
    if (kubeletPort === undefined || !isRecord(object) || !isRecord(object.status)) return object;
    if (!object.status.daemonEndpoints) return object;
    return {
      ...object,
      status: { ...object.status, daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } } },
    };
  }

  private patchStatus(kind: ResourceKind, request: Request, patch: string): Promise<KubeAnswer<KubeObject>> {
    return this.deps.api.patch(kind, { ...whole(request), subresource: 'status' }, STRATEGIC, patch);
  }

  private async deletePod(request: Request): Promise<Reply> {
    const { content } = request;
    const options = isRecord(content)
      ? content
      : { gracePeriodSeconds: 0, preconditions: { uid: contentText(content) } };
    const answer = await this.deps.api.delete(kinds.pod, whole(request), options);
    // Gone already, or another pod by now: what the node wants is so.
    const done =
      'object' in answer || answer.status.reason === 'NotFound' || answer.status.reason === 'Conflict';
    return done ? { content: 'OK' } : refused(answer.status.message);
  }

  private async token(request: Request): Promise<Reply> {
    const { content } = request;
    const name = { ...whole(request), subresource: 'token' };
    const answer = await this.deps.api.create<KubeObject>(kinds.serviceAccount, name, content);
    return 'object' in answer ? { content: answer.object } : refused(answer.status.message);
  }

  /** A node's request for the certificate of its own API. It is approved for addresses that lead nowhere but to the
   * node itself; any other one would let the node pass for somebody else, and is left to the operator.
   * @source KubeEdge cloud/pkg/csrapprovercontroller */
  private async requestCertificate(request: Request): Promise<KubeAnswer<KubeObject>> {
    const { api, clock, log } = this.deps;
    const { name, node, content } = request;
    const asked = servingRequest(content, node);
    if ('fault' in asked) return { status: forbidden(asked.fault) };
    const made = await api.create<KubeObject>(kinds.csr, { name }, content);
    if ('status' in made) return made;
    if (!asked.names.every((address) => /^(7f.{6}|a9fe.{4}|0{31}1)$/.test(address))) {
      log.warn('a certificate waits for an operator to approve it', { node, resource: name });
      return made;
    }
    const time = kubeTime(clock.now());
    const message = `asked for by node ${node}`;
    const approval = { type: 'Approved', status: 'True', reason: 'NodeServing', message };
    const conditions = [{ ...approval, lastUpdateTime: time, lastTransitionTime: time }];
    const approved = { ...made.object, status: { conditions } };
    return api.update(kinds.csr, { name, subresource: 'approval' }, approved);
  }

  private async patchEvent(request: Request): Promise<void> {
    const { content } = request;
    const patch = isRecord(content) ? content.patchData : undefined;
    if (typeof patch === 'string') await this.deps.api.patch(kinds.event, whole(request), STRATEGIC, patch);
  }

  /** Differs: KubeEdge answers a failed query with operation response; edges then store the failure as the object. */
  private async query(request: Request): Promise<Reply> {
    const kind = queried[request.type];
    if (!kind || request.operation !== 'query')
      return refused(`${request.operation} of ${request.type} is not offered`);
    const answer = await this.deps.api.get<KubeObject>(kind, whole(request));
    if ('status' in answer) return refused(answer.status.message);
    return { content: { ...answer.object, apiVersion: kind.apiVersion, kind: kind.kind } };
  }

  private objectReply(answer: KubeAnswer<KubeObject>): Reply {
    if ('object' in answer) return { content: { Object: answer.object, Err: null } };
    return { content: { Object: null, Err: { ErrStatus: forGo(answer.status) } } };
  }
}

/** The names that a node asks a serving certificate for, or why it may not have one. */
function servingRequest(content: unknown, node: string): { names: readonly string[] } | { fault: string } {
  const { spec } = isRecord(content) ? content : {};
  const { signerName, request } = isRecord(spec) ? spec : {};
  if (signerName !== 'kubernetes.io/kubelet-serving')
    return { fault: `node ${node} may not use signer ${signerName}` };
  const pem = Buffer.from(typeof request === 'string' ? request : '', 'base64').toString();
  const parsed = parseRequest(Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64'));
  if (!parsed) return { fault: 'the request for a certificate cannot be understood' };
  const { commonName } = parsed.subject;
  return commonName === `system:node:${node}`
    ? { names: parsed.names }
    : { fault: `node ${node} may not be ${commonName}` };
}

function forbidden(message: string): Status {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Forbidden', message, code: 403 };
}

function whole({ namespace, name }: Request): { namespace?: string; name: string } {
  return namespace === undefined ? { name } : { namespace, name };
}

function refused(message: string): Reply {
  return { operation: 'error', content: message };
}

/** Go's client refuses a Status without its metadata. */
function forGo(status: Status): Status {
  return { ...status, metadata: status.metadata ?? {} };
}
