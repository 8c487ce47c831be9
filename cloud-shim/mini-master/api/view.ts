import type { ApiObject, Json, JsonObject } from '../json.ts';
import type { Served } from '../kinds/registry.ts';
import { apiVersionOf } from '../kinds/resource.ts';
import { type IncludeObject, partialMetadata, renderTable } from '../table/table.ts';

/** How a client wants objects: whole, as rows of a table, or their metadata alone. */
export type View = {
  readonly as: 'Object' | 'Table' | 'PartialObjectMetadata';
  readonly include: IncludeObject;
};

/** Reads what the Accept header asks for; the first form that is offered wins. */
export function viewOf(accept: string, query: URLSearchParams): View {
  const include = query.get('includeObject');
  const wanted = include === 'None' || include === 'Object' ? include : 'Metadata';
  for (const form of accept.split(',')) {
    const as = form.match(/;\s*as=(\w+)/)?.[1];
    if (as === 'Table') return { as, include: wanted };
    if (as?.startsWith('PartialObjectMetadata')) return { as: 'PartialObjectMetadata', include: wanted };
    if (!as) break;
  }
  return { as: 'Object', include: wanted };
}

/** One object as the client wants it. @param now ms since epoch */
export function showObject(object: ApiObject, { version }: Served, view: View, now: number): JsonObject {
  if (view.as === 'Table') {
    const meta = { resourceVersion: object.metadata.resourceVersion ?? '' };
    return renderTable([object], version.columns, meta, view.include, now);
  }
  return view.as === 'PartialObjectMetadata' ? partialMetadata(object) : object;
}

/** A list as the client wants it. @param metadata the list's own */
export function showList(
  objects: readonly ApiObject[],
  { resource, version }: Served,
  metadata: JsonObject,
  view: View,
  now: number,
): JsonObject {
  if (view.as === 'Table') return renderTable(objects, version.columns, metadata, view.include, now);
  if (view.as === 'PartialObjectMetadata') {
    const items = objects.map(partialMetadata) as Json[];
    return { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items };
  }
  const apiVersion = apiVersionOf(resource.group, version.name);
  return { kind: resource.listKind, apiVersion, metadata, items: objects as readonly Json[] as Json[] };
}
