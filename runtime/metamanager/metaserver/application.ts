import { createHash } from 'node:crypto';
import type { Status } from '../../core/k8s.ts';
import { isRecord } from '../../core/message.ts';

/** What is asked of the API server. */
export type Verb = 'get' | 'list' | 'watch' | 'create' | 'delete' | 'update' | 'updatestatus' | 'patch';

/** One request of the API server as it travels through the cloud link. Byte fields are base64.
 * @source KubeEdge edge/pkg/metamanager/metaserver/application, pkg/metaserver Application */
export type Application = {
  readonly ID: string;
  readonly Key: string;
  readonly Verb: Verb;
  readonly Nodename: string;
  readonly Option: string;
  readonly ReqBody: string | null;
  readonly Subresource: string;
  readonly RespBody: null;
  readonly Status: 'InApplying';
  readonly Reason: '';
  readonly Error: { readonly ErrStatus: { readonly metadata: Readonly<Record<string, never>> } };
  readonly Timestamp: '0001-01-01T00:00:00Z';
  /** Differs: not KubeEdge's, whose cloud ignores it. The form that the answer should have. */
  readonly Accept?: string;
};

export type ApplicationRequest = {
  readonly key: string;
  readonly verb: Verb;
  readonly node: string;
  /** metav1 options of the verb. */
  readonly option?: Readonly<Record<string, unknown>>;
  readonly body?: Buffer;
  readonly subresource?: string;
  readonly accept?: string;
};

export function newApplication(request: ApplicationRequest): Application {
  const { key, verb, node, option = {}, body, subresource = '', accept } = request;
  const options = JSON.stringify(option);
  const id = createHash('sha256').update(`${node}${key}${verb}${options}`);
  if (body) id.update(body);
  return {
    ID: id.update(subresource).digest('hex'),
    Key: key,
    Verb: verb,
    Nodename: node,
    Option: Buffer.from(options).toString('base64'),
    ReqBody: body ? body.toString('base64') : null,
    Subresource: subresource,
    RespBody: null,
    Status: 'InApplying',
    Reason: '',
    Error: { ErrStatus: { metadata: {} } },
    Timestamp: '0001-01-01T00:00:00Z',
    ...(accept ? { Accept: accept } : {}),
  };
}

/** What became of a request. */
export type Verdict =
  | { readonly kind: 'approved'; readonly body: Buffer; readonly type: string | undefined }
  | { readonly kind: 'rejected'; readonly status: Status }
  /** There is no cloud, or none that answers. */
  | { readonly kind: 'away'; readonly why: string };

/** Reads the Application of an `applicationResponse`. */
export function parseVerdict(content: unknown): Verdict {
  if (!isRecord(content)) return { kind: 'away', why: 'the answer of the cloud is no application' };
  const { Status: outcome, RespBody, ContentType, Reason, Error: failure } = content;
  if (outcome === 'Approved') {
    const body = Buffer.from(typeof RespBody === 'string' ? RespBody : '', 'base64');
    return { kind: 'approved', body, type: typeof ContentType === 'string' ? ContentType : undefined };
  }
  const status = isRecord(failure) && isRecord(failure.ErrStatus) ? failure.ErrStatus : {};
  return { kind: 'rejected', status: statusOf(status, typeof Reason === 'string' ? Reason : '') };
}

function statusOf(status: Record<string, unknown>, reason: string): Status {
  const { code, message } = status;
  return {
    ...status,
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: typeof message === 'string' && message ? message : reason || 'the cloud did not say why',
    reason: typeof status.reason === 'string' && status.reason ? status.reason : 'InternalError',
    code: typeof code === 'number' && code >= 400 ? code : 500,
  };
}
