import type { ApiObject } from '../json.ts';
import { isObject, type Json, type JsonObject, parseJson } from '../json.ts';
import { badRequest, expired } from '../status.ts';
import { keyOf, type Store } from '../store/store.ts';

/** Which part of a list is asked for. */
export type Page = {
  /** 0 for no limit. */
  readonly limit: number;
  /** The list continues as it was at this revision. */
  readonly revision: number | undefined;
  /** Key of the last object that the client has, '' at the beginning. */
  readonly after: string;
};

const TOKEN_VERSION = 'meta.k8s.io/v1';

/** Reads `limit` and `continue`. Throws 400. @source apiserver pkg/storage/continue.go */
export function pageOf(query: URLSearchParams): Page {
  const limit = Number(query.get('limit') ?? 0);
  if (!Number.isInteger(limit) || limit < 0) throw badRequest(`limit ${query.get('limit')} is no number`);
  const token = query.get('continue');
  if (!token) return { limit, revision: undefined, after: '' };
  const { v, rv, start } = decoded(token);
  if (v !== TOKEN_VERSION || typeof rv !== 'number' || typeof start !== 'string')
    throw badRequest('continue key is not valid');
  return { limit, revision: rv, after: start };
}

/** The objects of a collection that a page is cut from: those of now, or of when its list began.
 * Throws 410 when that is forgotten. */
export function contentFor(
  page: Page,
  store: Store,
  collection: string,
  namespace: string | undefined,
): readonly ApiObject[] {
  if (page.revision === undefined) return store.list(collection, namespace);
  const then = store.listAt(collection, namespace, page.revision);
  if (then) return then;
  throw expired(
    'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.',
  );
}

/** Cuts a page.
 * @param counted whether the client is told how many follow, which Kubernetes does only where nothing selects
 * @returns its objects, and the metadata of the list */
export function cutPage(
  all: readonly ApiObject[],
  page: Page,
  revision: number,
  counted: boolean,
): { objects: readonly ApiObject[]; metadata: JsonObject } {
  const resourceVersion = String(page.revision ?? revision);
  const rest = page.after ? all.filter((object) => keyOf(object) > page.after) : all;
  const last = page.limit > 0 && rest.length > page.limit ? rest[page.limit - 1] : undefined;
  if (!last) return { objects: rest, metadata: { resourceVersion } };
  const token = { v: TOKEN_VERSION, rv: Number(resourceVersion), start: keyOf(last) };
  return {
    objects: rest.slice(0, page.limit),
    metadata: {
      resourceVersion,
      continue: Buffer.from(JSON.stringify(token)).toString('base64url'),
      ...(counted ? { remainingItemCount: rest.length - page.limit } : {}),
    },
  };
}

function decoded(token: string): JsonObject {
  let value: Json;
  try {
    value = parseJson(Buffer.from(token, 'base64url').toString());
  } catch {
    throw badRequest('continue key is not valid');
  }
  return isObject(value) ? value : {};
}
