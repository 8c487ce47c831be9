import {
  type ApiObject,
  asText,
  equal,
  isObject,
  type Json,
  type JsonObject,
  listAt,
  objectAt,
  objectsAt,
  textAt,
} from '../json.ts';
import type { Schema } from '../schema/schema.ts';
import { type Cause, cause } from '../status.ts';
import { customColumns } from '../table/custom-columns.ts';
import { nameFault } from './names.ts';
import { apiVersionOf, type Resource, type ResourceVersion, type Strategy } from './resource.ts';

/** Held by a CRD until its objects are gone. */
export const CRD_CLEANUP = 'customresourcecleanup.apiextensions.k8s.io';

const MAX_DEPTH = 64;

/** @source apiextensions-apiserver pkg/registry/customresourcedefinition */
export const crdStrategy: Strategy = {
  prepare: (crd) => established(withFinalizer(withNames(crd))),
  prepareUpdate: (next, old) => {
    const named = withNames(next);
    return { ...named, status: storedVersions(named, old) };
  },
  validate: crdFaults,
  validateUpdate: (next, old) =>
    (['group', 'scope'] as const)
      .filter((key) => !equal(objectAt(next, 'spec')[key], objectAt(old, 'spec')[key]))
      .map((key) => cause.invalid(`spec.${key}`, objectAt(next, 'spec')[key], 'field is immutable')),
};

function withNames(crd: ApiObject): ApiObject {
  const spec = objectAt(crd, 'spec');
  const kind = textAt(spec, 'names', 'kind');
  const names = { singular: kind.toLowerCase(), listKind: `${kind}List`, ...objectAt(spec, 'names') };
  return { ...crd, spec: { conversion: { strategy: 'None' }, ...spec, names } };
}

function withFinalizer(crd: ApiObject): ApiObject {
  return { ...crd, metadata: { ...crd.metadata, finalizers: [CRD_CLEANUP] } };
}

/** Names are accepted at once: two CRDs with the same names cannot have the same object name. */
function established(crd: ApiObject): ApiObject {
  const lastTransitionTime = crd.metadata.creationTimestamp ?? null;
  const condition = (type: string, reason: string, message: string): JsonObject => ({
    lastTransitionTime,
    message,
    reason,
    status: 'True',
    type,
  });
  const conditions: Json[] = [
    condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
    condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
  ];
  return {
    ...crd,
    status: {
      conditions,
      acceptedNames: objectAt(crd, 'spec', 'names'),
      storedVersions: [storageVersion(crd)],
    },
  };
}

function storedVersions(next: ApiObject, old: ApiObject): JsonObject {
  const status = objectAt(old, 'status');
  const known = listAt(status, 'storedVersions');
  const version = storageVersion(next);
  const all = known.includes(version) ? known : [...known, version];
  return { ...status, acceptedNames: objectAt(next, 'spec', 'names'), storedVersions: all };
}

function storageVersion(crd: ApiObject): string {
  return asText(objectsAt(crd, 'spec', 'versions').find((v) => v.storage === true)?.name);
}

function crdFaults(crd: ApiObject): Cause[] {
  const spec = objectAt(crd, 'spec');
  const causes: Cause[] = [];
  const group = asText(spec.group);
  const plural = textAt(spec, 'names', 'plural');
  if (crd.metadata.name !== `${plural}.${group}`) {
    causes.push(
      cause.invalid('metadata.name', crd.metadata.name, `must be spec.names.plural+"."+spec.group`),
    );
  }
  if (!group.includes('.'))
    causes.push(cause.invalid('spec.group', group, 'should be a domain with at least one dot'));
  const pluralFault = nameFault(plural, 'label');
  if (pluralFault) causes.push(cause.invalid('spec.names.plural', plural, pluralFault));
  if (!textAt(spec, 'names', 'kind')) causes.push(cause.required('spec.names.kind'));
  if (spec.scope !== 'Namespaced' && spec.scope !== 'Cluster') {
    causes.push(cause.unsupported('spec.scope', spec.scope ?? '', ['Cluster', 'Namespaced']));
  }
  return [...causes, ...versionFaults(objectsAt(spec, 'versions'))];
}

function versionFaults(versions: readonly JsonObject[]): Cause[] {
  const causes: Cause[] = [];
  const stored = versions.filter((v) => v.storage === true).length;
  if (stored !== 1) {
    const detail = 'must have exactly one version marked as storage version';
    causes.push(
      cause.invalid(
        'spec.versions',
        versions.map((v) => v.name),
        detail,
      ),
    );
  }
  const seen = new Set<Json | undefined>();
  for (const [i, version] of versions.entries()) {
    const path = `spec.versions[${i}]`;
    if (seen.has(version.name)) causes.push(cause.duplicate(`${path}.name`, version.name));
    seen.add(version.name);
    const schema = objectAt(version, 'schema').openAPIV3Schema;
    if (!isObject(schema))
      causes.push(cause.required(`${path}.schema.openAPIV3Schema`, 'schemas are required'));
    else causes.push(...schemaFaults(schema, `${path}.schema.openAPIV3Schema`, 0));
  }
  return causes;
}

/** A schema must say the type of every part, or leave it open on purpose. */
function schemaFaults(schema: JsonObject, path: string, depth: number): Cause[] {
  if (depth > MAX_DEPTH) return [cause.invalid(path, '', `must not be deeper than ${MAX_DEPTH}`)];
  const causes: Cause[] = [];
  const anything =
    schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (!schema.type && !anything)
    causes.push(cause.required(`${path}.type`, 'must not be empty for specified object fields'));
  if (depth === 0 && schema.type !== 'object')
    causes.push(cause.invalid(`${path}.type`, schema.type, 'must be object at the root'));
  for (const [name, field] of Object.entries(objectAt(schema, 'properties'))) {
    if (isObject(field)) causes.push(...schemaFaults(field, `${path}.properties[${name}]`, depth + 1));
  }
  if (schema.type === 'array' && !isObject(schema.items))
    causes.push(cause.required(`${path}.items`, 'must be specified'));
  for (const key of ['items', 'additionalProperties']) {
    const part = schema[key];
    if (isObject(part)) causes.push(...schemaFaults(part, `${path}.${key}`, depth + 1));
  }
  return causes;
}

/** The resource that a CRD defines, undefined where no version is served. */
export function customResource(crd: ApiObject): Resource | undefined {
  const spec = objectAt(crd, 'spec');
  const group = asText(spec.group);
  const names = objectAt(spec, 'names');
  const served = objectsAt(spec, 'versions').filter((v) => v.served === true);
  const versions = served.map(customVersion).sort(byPriority);
  const plural = asText(names.plural);
  if (versions.length === 0 || !plural) return undefined;
  const kind = asText(names.kind);
  const hasStatus = versions.some((v) => v.hasStatus);
  return {
    group,
    plural,
    kind,
    singular: asText(names.singular) || kind.toLowerCase(),
    listKind: asText(names.listKind) || `${kind}List`,
    shortNames: listAt(names, 'shortNames').map(asText),
    categories: listAt(names, 'categories').map(asText),
    namespaced: spec.scope === 'Namespaced',
    nameRule: 'subdomain',
    collection: `${plural}.${group}`,
    storedVersion: apiVersionOf(group, storageVersion(crd)),
    versions,
    custom: true,
    strategy: {},
    selectable: [...new Set(served.flatMap(selectableFields))],
    subresources: [],
    createOnUpdate: false,
    statusOnCreate: false,
    unconditionalUpdate: false,
    answersDeleted: false,
    generation: hasStatus ? 'spec' : 'all',
  };
}

function customVersion(version: JsonObject): ResourceVersion {
  const warning = version.deprecated === true ? asText(version.deprecationWarning) : '';
  return {
    name: asText(version.name),
    schema: objectAt(version, 'schema', 'openAPIV3Schema') as Schema,
    hasStatus: isObject(objectAt(version, 'subresources').status),
    columns: customColumns(version),
    ...(warning ? { warning } : {}),
  };
}

function selectableFields(version: JsonObject): string[] {
  return objectsAt(version, 'selectableFields').map((f) => asText(f.jsonPath).replace(/^\./, ''));
}

/** v2, v1, v1beta2, v1beta1, v1alpha1, then the rest by name. @source apimachinery util/version CompareKubeAwareVersionStrings */
function byPriority(a: ResourceVersion, b: ResourceVersion): number {
  const rank = (name: string): readonly number[] => {
    const parts = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(name);
    if (!parts) return [3, 0, 0];
    const level = parts[2] === 'alpha' ? 2 : parts[2] === 'beta' ? 1 : 0;
    return [level, -Number(parts[1]), -Number(parts[3] ?? 0)];
  };
  const [left, right] = [rank(a.name), rank(b.name)];
  for (const [i, n] of left.entries()) {
    const difference = n - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.name < b.name ? -1 : 1;
}
