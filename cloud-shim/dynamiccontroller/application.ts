import { contentObject, isRecord } from '../../runtime/core/message.ts';
import type { ResourceKind } from '../kube/resource-kind.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'delete' | 'update' | 'updatestatus' | 'patch';

/** A request of a node's for the API server. @source KubeEdge pkg/metaserver Application */
export type Application = {
  readonly id: string;
  readonly verb: Verb;
  readonly target: Target;
  /** metav1 options. */
  readonly option: Readonly<Record<string, unknown>>;
  readonly body: Buffer | undefined;
  /** The form that the answer should have; edges of KubeEdge's do not say. */
  readonly accept: string;
  /** As it came: answers repeat it. */
  readonly content: Readonly<Record<string, unknown>>;
};

/** A path of the API server's own, or objects. */
export type Target =
  | { readonly kind: 'document'; readonly path: string }
  | {
      readonly kind: 'objects';
      readonly resource: Pick<ResourceKind, 'apiVersion' | 'plural'>;
      readonly namespace: string | undefined;
      /** Empty for the collection. */
      readonly name: string;
      readonly subresource: string;
    };

const VERBS: ReadonlySet<unknown> = new Set<Verb>([
  'get',
  'list',
  'watch',
  'create',
  'delete',
  'update',
  'updatestatus',
  'patch',
]);
const DOCUMENT =
  /^\/(api|apis|version|healthz|livez|readyz|api\/v\d\w*|apis\/[^/]+(\/v\d\w*)?|openapi\/v2|openapi\/v3(\/(api|apis)\/[\w./-]+)?)$/;

/** Reads an Application; undefined when it is none. */
export function parseApplication(raw: unknown): Application | undefined {
  const content = contentObject(raw);
  if (!content) return undefined;
  const { ID: id, Key: key, Verb: verb, Subresource, Accept } = content;
  if (typeof id !== 'string' || typeof key !== 'string' || !VERBS.has(verb)) return undefined;
  const target = targetOf(key, typeof Subresource === 'string' ? Subresource : '');
  if (!target || (target.kind === 'document' && verb !== 'get')) return undefined;
  return {
    id,
    verb: verb as Verb,
    target,
    option: optionsOf(content.Option),
    body: bytesOf(content.ReqBody),
    accept: typeof Accept === 'string' ? Accept : '',
    content,
  };
}

function targetOf(key: string, subresource: string): Target | undefined {
  // A key of objects has five parts; a path of discovery never has.
  const parts = key.split('/').slice(1);
  if (parts.length !== 5 || key.startsWith('/openapi/'))
    return DOCUMENT.test(key) ? { kind: 'document', path: key } : undefined;
  const [group = '', version = '', plural = '', namespace = '', name = ''] = parts;
  if (!group || !version || !plural) return undefined;
  return {
    kind: 'objects',
    resource: { apiVersion: group === 'core' ? version : `${group}/${version}`, plural },
    namespace: namespace === 'null' ? undefined : namespace,
    name: name === 'null' ? '' : name,
    subresource,
  };
}

function optionsOf(option: unknown): Record<string, unknown> {
  const bytes = bytesOf(option);
  if (!bytes?.length) return {};
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

function bytesOf(base64: unknown): Buffer | undefined {
  return typeof base64 === 'string' ? Buffer.from(base64, 'base64') : undefined;
}
