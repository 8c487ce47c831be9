import type { KubeObject } from '../../core/k8s.ts';
import { badRequest } from './refusal.ts';

/** What a URL names: a collection, an object of it, or a subresource of that. */
export type ApiPath = {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  /** undefined for all namespaces, and for kinds without. */
  readonly namespace: string | undefined;
  /** Empty for the collection. */
  readonly name: string;
  readonly subresource: string;
};

/** Takes `/api/v1/…` or `/apis/GROUP/VERSION/…` apart; undefined for any other path. Throws 400.
 * @source Kubernetes API concepts, resource URIs */
export function parseApiPath(path: string): ApiPath | undefined {
  const parts = path.split('/').filter(Boolean).map(decode);
  const core = parts[0] === 'api';
  if (!core && parts[0] !== 'apis') return undefined;
  const [group = '', version = '', ...rest] = core ? ['', ...parts.slice(1)] : parts.slice(1);
  if (rest.length === 0) return undefined;
  // `namespaces/NAME/status` is of the namespace itself.
  const within = rest[0] === 'namespaces' && rest.length > 2 && !/^(status|finalize)$/.test(rest[2] ?? '');
  const [plural = '', name = '', ...sub] = within ? rest.slice(2) : rest;
  // The parts become those of a key, where a slash would name another object.
  if ([group, version, plural, name, rest[1] ?? ''].some((part) => part.includes('/')))
    throw badRequest('a name with a slash');
  return {
    group,
    version,
    plural,
    namespace: within ? rest[1] : undefined,
    name,
    subresource: sub.join('/'),
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw badRequest(`the path is not well encoded: ${text}`);
  }
}

type CollectionPath = Pick<ApiPath, 'group' | 'version' | 'plural'>;

export function collectionOf({ group, version, plural }: CollectionPath): string {
  return `/${group || 'core'}/${version}/${plural}`;
}

/** The collection's parts again. */
export function parseCollection(collection: string): CollectionPath {
  const [, group = '', version = '', plural = ''] = collection.split('/');
  return { group: group === 'core' ? '' : group, version, plural };
}

export function keyOf(collection: string, namespace: string | undefined, name: string): string {
  return `${collection}/${namespace || 'null'}/${name || 'null'}`;
}

export function apiVersionOf({ group, version }: Pick<ApiPath, 'group' | 'version'>): string {
  return group ? `${group}/${version}` : version;
}

/** The collection of an object; undefined without apiVersion and kind. */
export function collectionOfObject({ apiVersion, kind }: KubeObject): string | undefined {
  if (!apiVersion || !kind) return undefined;
  const group = apiVersion.includes('/') ? apiVersion : `core/${apiVersion}`;
  return `/${group}/${pluralOf(kind)}`;
}

/** @source apimachinery pkg/api/meta UnsafeGuessKindToResource, by which KubeEdge names watched objects */
export function pluralOf(kind: string): string {
  const word = kind.toLowerCase();
  if (word === 'endpoints') return word;
  if (word.endsWith('s')) return `${word}es`;
  return word.endsWith('y') ? `${word.slice(0, -1)}ies` : `${word}s`;
}
