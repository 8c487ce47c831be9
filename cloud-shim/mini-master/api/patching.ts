import { parse as parseYaml } from 'yaml';
import { kubeTime } from '../../../runtime/core/k8s.ts';
import {
  type ApiObject,
  isObject,
  type Json,
  type JsonObject,
  objectAt,
  parseJson,
  without,
} from '../json.ts';
import { apiVersionOf } from '../kinds/resource.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import { applyMergePatch } from '../patch/merge-patch.ts';
import { applyConfiguration } from '../patch/server-side-apply.ts';
import { applyStrategicMerge } from '../patch/strategic-merge.ts';
import { badRequest, notFound, Refusal } from '../status.ts';
import type { Objects, Target, WriteOptions } from './objects.ts';

export type PatchRequest = {
  readonly contentType: string;
  readonly body: string;
  readonly force: boolean;
  /** ms since epoch. */
  readonly now: number;
};

/** Applies a patch of any of the four kinds.
 * @returns the object, and whether server-side apply made it
 * @source Kubernetes API concepts, PATCH */
export function patchObject(
  objects: Objects,
  target: Target,
  patch: PatchRequest,
  options: WriteOptions,
): { object: ApiObject; created: boolean } {
  if (patch.contentType === 'application/apply-patch+yaml') return apply(objects, target, patch, options);
  const change = changeOf(patch, target);
  const keep = (object: ApiObject): JsonObject => change(object);
  return { object: objects.modify(target, keep, options), created: false };
}

function changeOf(
  { contentType, body }: PatchRequest,
  { served }: Target,
): (object: ApiObject) => JsonObject {
  const patch = json(body);
  switch (contentType) {
    case 'application/json-patch+json':
      return (object) => applyJsonPatch(object, patch);
    case 'application/merge-patch+json':
      return (object) => applyMergePatch(object, record(patch));
    case 'application/strategic-merge-patch+json':
      if (served.resource.custom) throw unsupported(contentType);
      return (object) => applyStrategicMerge(object, record(patch), served.version.schema);
    default:
      throw unsupported(contentType);
  }
}

function apply(
  objects: Objects,
  target: Target,
  { body, force, now }: PatchRequest,
  options: WriteOptions,
): { object: ApiObject; created: boolean } {
  const { served, namespace, name } = target;
  const { resource, version } = served;
  const apiVersion = apiVersionOf(resource.group, version.name);
  const writer = {
    manager: options.manager,
    operation: 'Apply',
    apiVersion,
    subresource: options.subresource,
    time: kubeTime(now),
  } as const;
  let parsed: unknown;
  try {
    parsed = parseYaml(body);
  } catch (error) {
    throw badRequest(`the configuration is no YAML: ${String(error)}`);
  }
  const given = record(parsed as Json);
  const content = version.hasStatus ? ownPart(given, options.subresource) : given;
  const metadata = { ...objectAt(content, 'metadata'), name };
  const config: ApiObject = { ...content, apiVersion, kind: resource.kind, metadata };
  const merged = (live: ApiObject): JsonObject =>
    applyConfiguration(live, config, writer, version.schema, force);
  const done = { ...options, applied: true } as const;
  if (objects.store.get(resource.collection, namespace, name))
    return { object: objects.modify(target, merged, done), created: false };
  if (options.subresource) throw notFound(resource, name);
  const empty: ApiObject = {
    apiVersion,
    kind: resource.kind,
    metadata: { name, ...(namespace ? { namespace } : {}) },
  };
  return { object: objects.create(target, merged(empty), done), created: true };
}

/** Who applies the status owns nothing else, and who applies the rest owns no status.
 * @source apiserver pkg/registry/rest ResetFieldsStrategy */
function ownPart(given: JsonObject, subresource: string): JsonObject {
  if (subresource !== 'status') return without(given, 'status');
  const { uid, resourceVersion } = objectAt(given, 'metadata');
  return { metadata: { uid, resourceVersion }, status: given.status };
}

function json(body: string): Json {
  try {
    return parseJson(body);
  } catch (error) {
    throw badRequest(`the patch is no JSON: ${String(error)}`);
  }
}

function record(value: Json): JsonObject {
  if (!isObject(value)) throw badRequest('the patch must be an object');
  return value;
}

function unsupported(contentType: string): Refusal {
  return new Refusal(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml; not ${contentType}`,
  );
}
