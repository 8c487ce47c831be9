import { badRequest } from '../status.ts';

/** A request's path, taken apart. @source Kubernetes API concepts, resource URIs */
export type ResourcePath = {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  /** '' for all namespaces and for kinds without. */
  readonly namespace: string;
  /** '' for the collection. */
  readonly name: string;
  readonly subresource: string;
};

/** Takes `/api/v1/…` or `/apis/GROUP/VERSION/…` apart; undefined for any other path. */
export function parsePath(path: string): ResourcePath | undefined {
  const parts = path.split('/').filter(Boolean).map(decode);
  const core = parts[0] === 'api';
  if (!core && parts[0] !== 'apis') return undefined;
  const [group = '', version = '', ...rest] = core ? ['', ...parts.slice(1)] : parts.slice(1);
  if (rest.length === 0) return undefined;
  const named =
    rest[0] === 'namespaces' && rest.length > 2 && !['status', 'finalize'].includes(rest[2] ?? '');
  const [plural = '', name = '', subresource = ''] = named ? rest.slice(2) : rest;
  return { group, version, plural, namespace: named ? (rest[1] ?? '') : '', name, subresource };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw badRequest(`the path is not well encoded: ${text}`);
  }
}

export function isTrue(text: string | null): boolean {
  return text === 'true' || text === '1';
}
