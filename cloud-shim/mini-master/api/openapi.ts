import { createHash } from 'node:crypto';
import type { Json, JsonObject } from '../json.ts';
import type { Registry } from '../kinds/registry.ts';
import type { Resource, ResourceVersion } from '../kinds/resource.ts';
import { noSuchPath } from '../status.ts';

/** OpenAPI V3 of what is served now. Every create and apply of kubectl reads it, so it is written only when that changes. */
export class OpenApi {
  private readonly registry: Registry;
  private readonly written = new Map<string, string>();
  private generation = -1;

  constructor(registry: Registry) {
    this.registry = registry;
  }

  /** The JSON below `/openapi/v3`. @param path '' for the index, else `apis/GROUP/VERSION`. Throws 404. */
  text(path: string): string {
    if (this.generation !== this.registry.generation) this.written.clear();
    this.generation = this.registry.generation;
    const known = this.written.get(path);
    if (known !== undefined) return known;
    const text = JSON.stringify(path ? openApiDocument(this.registry, path) : openApiIndex(this.registry));
    this.written.set(path, text);
    return text;
  }
}

/** `/openapi/v3`: where the document of each group and version lies. */
function openApiIndex(registry: Registry): JsonObject {
  const paths: JsonObject = {};
  for (const group of registry.groups()) {
    for (const version of registry.versions(group)) {
      const path = group ? `apis/${group}/${version}` : `api/${version}`;
      // A client keeps a document until its hash changes.
      const hash = createHash('sha256')
        .update(JSON.stringify(document(registry, group, version)))
        .digest('hex');
      paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash.toUpperCase()}` };
    }
  }
  return { paths };
}

/** `/openapi/v3/apis/GROUP/VERSION`: the schemas, and paths that say that fields are validated here. Throws 404.
 * @source Kubernetes API: OpenAPI V3 */
function openApiDocument(registry: Registry, path: string): JsonObject {
  const [root, ...rest] = path.split('/');
  const [group = '', version = ''] = root === 'api' ? ['', rest[0]] : rest;
  const result = document(registry, group, version);
  if (Object.keys(result.paths as JsonObject).length === 0) throw noSuchPath();
  return result;
}

function document(registry: Registry, group: string, version: string): JsonObject {
  const paths: JsonObject = {};
  const schemas: JsonObject = {};
  for (const resource of registry.all()) {
    const served = resource.versions.find((v) => v.name === version);
    if (resource.group !== group || !served) continue;
    const name = `${(group || 'core').split('.').reverse().join('.')}.${version}.${resource.kind}`;
    const kind = { group, kind: resource.kind, version };
    schemas[name] = { ...(served.schema as JsonObject), 'x-kubernetes-group-version-kind': [kind] };
    Object.assign(paths, pathsOf(resource, served, name, kind));
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.32.0' },
    paths,
    components: { schemas },
  };
}

function pathsOf(resource: Resource, version: ResourceVersion, schema: string, kind: JsonObject): JsonObject {
  const root = resource.group ? `/apis/${resource.group}/${version.name}` : `/api/${version.name}`;
  const collection = `${root}${resource.namespaced ? '/namespaces/{namespace}' : ''}/${resource.plural}`;
  const operation = (action: string, validated: boolean): JsonObject => ({
    responses: {
      '200': {
        description: 'OK',
        content: { 'application/json': { schema: { $ref: `#/components/schemas/${schema}` } } },
      },
    },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': kind,
    ...(validated ? { parameters: ['dryRun', 'fieldManager', 'fieldValidation'].map(parameter) } : {}),
  });
  return {
    [collection]: { get: operation('list', false), post: operation('post', true) },
    [`${collection}/{name}`]: {
      get: operation('get', false),
      put: operation('put', true),
      patch: operation('patch', true),
      delete: operation('delete', false),
    },
  };
}

function parameter(name: string): Json {
  return { name, in: 'query', schema: { type: 'string', uniqueItems: true } };
}
