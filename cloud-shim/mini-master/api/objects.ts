import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock } from '../../../runtime/core/clock.ts';
import { kubeTime } from '../../../runtime/core/k8s.ts';
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
  without,
} from '../json.ts';
import { metaFaults, metaUpdateFaults } from '../kinds/names.ts';
import type { Registry, Served } from '../kinds/registry.ts';
import { apiVersionOf, inVersion, type Resource, toStored } from '../kinds/resource.ts';
import { trackUpdate } from '../patch/managed-fields.ts';
import { applyDefaults, prune } from '../schema/prune.ts';
import { validateSchema } from '../schema/validate.ts';
import { alreadyExists, badRequest, conflict, forbidden, invalid, notFound, STALE } from '../status.ts';
import type { Store } from '../store/store.ts';
import { type DeleteOptions, heldBy } from './delete-options.ts';

/** One object of a served resource. */
export type Target = { readonly served: Served; readonly namespace: string; readonly name: string };

export type WriteOptions = {
  readonly dryRun: boolean;
  /** Who writes, for managedFields. */
  readonly manager: string;
  readonly fieldValidation: 'Ignore' | 'Warn' | 'Strict';
  /** `status`, `binding`, or '' for the object itself. */
  readonly subresource: string;
  /** Server-side apply has seen to managedFields already. */
  readonly applied?: true;
  readonly warn: (text: string) => void;
};

/** Changes an object on its way in, or refuses it. */
export type Admission = (object: ApiObject, resource: Resource, operation: 'create' | 'update') => ApiObject;

export type ObjectsDeps = {
  readonly store: Store;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly admit: Admission;
};

/** What the API's verbs do to the store.
 * @source apiserver pkg/registry/generic/registry store.go */
export class Objects {
  readonly store: Store;
  private readonly deps: ObjectsDeps;

  constructor(deps: ObjectsDeps) {
    this.deps = deps;
    this.store = deps.store;
  }

  /** The object in the version that was asked for. Throws 404. */
  get(target: Target): ApiObject {
    return inVersion(this.stored(target), target.served.resource, target.served.version);
  }

  create(target: Target, body: JsonObject, options: WriteOptions): ApiObject {
    const { served, namespace } = target;
    const { resource } = served;
    this.checkNamespace(resource, namespace);
    const given = this.decoded(target, body, options);
    const name = asText(given.metadata.name) || generated(asText(given.metadata.generateName));
    if (target.name && target.name !== name)
      throw badRequest('the name of the object does not match the name on the URL');
    const now = kubeTime(this.deps.clock.now());
    const {
      selfLink: _s,
      resourceVersion: _r,
      deletionTimestamp: _d,
      deletionGracePeriodSeconds: _g,
      ...kept
    } = given.metadata;
    const metadata = {
      ...kept,
      name,
      ...(resource.namespaced ? { namespace } : {}),
      uid: randomUUID(),
      creationTimestamp: now,
      ...(resource.generation === 'none' ? {} : { generation: 1 }),
    };
    const resets = served.version.hasStatus && !resource.statusOnCreate;
    const fresh = resets ? (without(given, 'status') as ApiObject) : given;
    const prepared = resource.strategy.prepare?.({ ...fresh, metadata }) ?? { ...fresh, metadata };
    const admitted = this.deps.admit(prepared, resource, 'create');
    this.check(served, admitted);
    if (this.store.get(resource.collection, metadata.namespace ?? '', name))
      throw alreadyExists(resource, name);
    const tracked = this.tracked(undefined, admitted, served, options);
    return this.answer(served, options.dryRun ? tracked : this.store.put(resource.collection, tracked));
  }

  update(target: Target, body: JsonObject, options: WriteOptions): ApiObject {
    const { served, namespace, name } = target;
    const { resource } = served;
    const old = this.store.get(resource.collection, namespace, name);
    if (!old) {
      if (resource.createOnUpdate && !options.subresource) return this.create(target, body, options);
      throw notFound(resource, name);
    }
    return this.replace(target, old, this.decoded(target, body, options), options);
  }

  /** Writes what `change` makes of the object; `change` gets it in the version that was asked for. */
  modify(target: Target, change: (object: ApiObject) => JsonObject, options: WriteOptions): ApiObject {
    const old = this.stored(target);
    const { resource, version } = target.served;
    const changed = change(inVersion(old, resource, version));
    return this.replace(target, old, this.decoded(target, changed, options), options);
  }

  delete(target: Target, options: DeleteOptions): { object: ApiObject; gone: boolean } {
    const { served } = target;
    const { resource } = served;
    const stored = this.stored(target);
    const object = heldBy(stored, options.holder);
    const { uid, resourceVersion } = object.metadata;
    const name = target.name;
    if (options.uid && options.uid !== uid)
      throw conflict(
        resource,
        name,
        `the UID in the precondition (${options.uid}) does not match the UID in record (${uid})`,
      );
    if (options.resourceVersion && options.resourceVersion !== resourceVersion)
      throw conflict(resource, name, STALE);
    const grace = graceOf(object, resource, options.gracePeriodSeconds);
    if (grace === 0 && !held(object)) {
      const last = options.dryRun ? object : this.store.remove(resource.collection, object);
      return { object: this.answer(served, last), gone: true };
    }
    const marked = this.marked(object, resource, grace);
    const written =
      options.dryRun || equal(marked, stored) ? marked : this.store.put(resource.collection, marked);
    return { object: this.answer(served, written), gone: false };
  }

  /** Takes an object out whose last holder has let go. */
  private settle(resource: Resource, object: ApiObject): ApiObject {
    const { deletionTimestamp, deletionGracePeriodSeconds } = object.metadata;
    if (!deletionTimestamp || held(object) || (deletionGracePeriodSeconds ?? 0) > 0)
      return this.store.put(resource.collection, object);
    return this.store.remove(resource.collection, object);
  }

  private replace(target: Target, old: ApiObject, given: ApiObject, options: WriteOptions): ApiObject {
    const { served, name } = target;
    const { resource } = served;
    this.checkIdentity(resource, old, given, name);
    const next =
      options.subresource === 'status' ? withStatus(old, given, options) : this.next(served, old, given);
    const admitted = this.deps.admit(next, resource, 'update');
    this.check(served, admitted);
    const faults = options.subresource
      ? []
      : [...metaUpdateFaults(admitted, old), ...(resource.strategy.validateUpdate?.(admitted, old) ?? [])];
    if (faults.length > 0) throw invalid(resource.group, resource.kind, name, faults);
    const tracked = this.tracked(old, admitted, served, options);
    // What changes nothing gets no new version, and no watcher hears of it.
    if (options.dryRun || sameBut(tracked, old)) return this.answer(served, options.dryRun ? tracked : old);
    return this.answer(served, this.settle(resource, tracked));
  }

  private next(served: Served, old: ApiObject, given: ApiObject): ApiObject {
    const { resource, version } = served;
    const { uid, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds, generation } =
      old.metadata;
    const owned = { uid, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds, generation };
    const set = Object.fromEntries(
      Object.entries(owned).filter(([, value]) => value !== undefined && value !== null),
    );
    const base: ApiObject = { ...given, metadata: { ...given.metadata, ...set } };
    const own = version.hasStatus
      ? { ...base, ...(old.status === undefined ? {} : { status: old.status }) }
      : base;
    if (version.hasStatus && old.status === undefined) delete own.status;
    const prepared = resource.strategy.prepareUpdate?.(own, old) ?? own;
    if (resource.generation === 'none' || !counts(resource, prepared, old)) return prepared;
    return { ...prepared, metadata: { ...prepared.metadata, generation: (generation ?? 0) + 1 } };
  }

  private checkIdentity(resource: Resource, old: ApiObject, given: ApiObject, name: string): void {
    const { uid, resourceVersion } = given.metadata;
    if (given.metadata.name !== name)
      throw badRequest(
        `the name of the object (${given.metadata.name}) does not match the name on the URL (${name})`,
      );
    if (uid && uid !== old.metadata.uid)
      throw conflict(
        resource,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
      );
    if (resourceVersion ? resourceVersion !== old.metadata.resourceVersion : !resource.unconditionalUpdate) {
      if (resourceVersion) throw conflict(resource, name, STALE);
      const text = 'Invalid value: 0x0: must be specified for an update';
      throw invalid(resource.group, resource.kind, name, [
        { reason: 'FieldValueInvalid', field: 'metadata.resourceVersion', message: text },
      ]);
    }
  }

  /** An object of a body: of the right kind, unknown fields dropped, defaults filled in, in the stored version. */
  private decoded({ served, namespace }: Target, body: JsonObject, options: WriteOptions): ApiObject {
    const { resource, version } = served;
    const apiVersion = apiVersionOf(resource.group, version.name);
    for (const [field, wanted] of [
      ['apiVersion', apiVersion],
      ['kind', resource.kind],
    ] as const) {
      if (body[field] !== undefined && body[field] !== '' && body[field] !== wanted)
        throw badRequest(
          `the ${field} in the data (${asText(body[field])}) does not match the expected one (${wanted})`,
        );
    }
    if (body.metadata !== undefined && !isObject(body.metadata))
      throw badRequest('metadata must be an object');
    const whole: ApiObject = {
      ...body,
      apiVersion,
      kind: resource.kind,
      metadata: filled(inNamespace(objectAt(body, 'metadata'), resource.namespaced ? namespace : '')),
    };
    const { value, unknown } = prune(whole, version.schema);
    this.reportUnknown(unknown, options);
    return toStored(applyDefaults(value, version.schema), resource, version);
  }

  private reportUnknown(unknown: readonly string[], { fieldValidation, warn }: WriteOptions): void {
    if (unknown.length === 0 || fieldValidation === 'Ignore') return;
    const texts = unknown.map((path) => `unknown field "${path}"`);
    if (fieldValidation === 'Strict') throw badRequest(`strict decoding error: ${texts.join(', ')}`);
    for (const text of texts) warn(text);
  }

  private check({ resource, version }: Served, object: ApiObject): void {
    const causes = [
      ...metaFaults(object, resource.nameRule),
      ...validateSchema(inVersion(object, resource, version), version.schema),
      ...(resource.strategy.validate?.(object) ?? []),
    ];
    if (causes.length > 0) throw invalid(resource.group, resource.kind, object.metadata.name ?? '', causes);
  }

  private checkNamespace(resource: Resource, namespace: string): void {
    if (!resource.namespaced) return;
    if (!namespace) throw badRequest('an empty namespace may not be set during creation');
    const found = this.store.get('namespaces', '', namespace);
    if (!found) throw notFound({ group: '', plural: 'namespaces' }, namespace);
    if (!found.metadata.deletionTimestamp) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    throw forbidden(resource, '', why);
  }

  private tracked(
    old: ApiObject | undefined,
    next: ApiObject,
    served: Served,
    options: WriteOptions,
  ): ApiObject {
    const { manager, subresource, applied } = options;
    if (applied) return next;
    const apiVersion = apiVersionOf(served.resource.group, served.version.name);
    const time = kubeTime(this.deps.clock.now());
    return trackUpdate(
      old,
      next,
      { manager, operation: 'Update', apiVersion, subresource, time },
      served.version.schema,
    );
  }

  private marked(object: ApiObject, resource: Resource, grace: number): ApiObject {
    const { deletionTimestamp, deletionGracePeriodSeconds } = object.metadata;
    // A second deletion may only shorten the time.
    if (deletionTimestamp && grace >= (deletionGracePeriodSeconds ?? 0)) return object;
    const metadata = {
      ...object.metadata,
      deletionTimestamp: kubeTime(this.deps.clock.now() + grace * 1000),
      deletionGracePeriodSeconds: grace,
    };
    const status = resource.kind === 'Namespace' ? { status: { phase: 'Terminating' } } : {};
    return { ...object, metadata, ...status };
  }

  private stored({ served, namespace, name }: Target): ApiObject {
    const found = this.store.get(served.resource.collection, namespace, name);
    if (!found) throw notFound(served.resource, name);
    return found;
  }

  private answer({ resource, version }: Served, object: ApiObject): ApiObject {
    return inVersion(object, resource, version);
  }
}

/** Metadata has no empty fields: taking the last label away takes the labels away. */
function filled(metadata: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(metadata).filter(([, value]) => !isEmpty(value)));
}

function isEmpty(value: Json | undefined): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === '';
}

/** What says nothing of its namespace gets that of the URL; '' for kinds that have none.
 * @source apiserver pkg/registry/rest EnsureObjectNamespaceMatchesRequestNamespace */
function inNamespace(metadata: JsonObject, namespace: string): JsonObject {
  if (!namespace) return without(metadata, 'namespace');
  if (metadata.namespace && metadata.namespace !== namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  return { ...metadata, namespace };
}

/** Held by finalizers, or as a namespace by its content. */
function held(object: ApiObject): boolean {
  return (
    listAt(object, 'metadata', 'finalizers').length > 0 || listAt(object, 'spec', 'finalizers').length > 0
  );
}

/** Seconds that a deletion gives; only pods have a node that has to let go.
 * @source kubernetes pkg/registry/core/pod strategy.go CheckGracefulDelete */
function graceOf(object: ApiObject, resource: Resource, asked: number | undefined): number {
  if (resource.kind !== 'Pod') return 0;
  const { spec, status } = object;
  const { nodeName, terminationGracePeriodSeconds } = isObject(spec) ? spec : {};
  const phase = isObject(status) ? status.phase : '';
  if (!nodeName || phase === 'Succeeded' || phase === 'Failed') return 0;
  return Math.max(0, asked ?? Number(terminationGracePeriodSeconds ?? 30));
}

function withStatus(old: ApiObject, given: ApiObject, { applied }: WriteOptions): ApiObject {
  const { managedFields } = given.metadata;
  const next: ApiObject =
    applied && managedFields ? { ...old, metadata: { ...old.metadata, managedFields } } : { ...old };
  if (given.status === undefined) delete next.status;
  else next.status = given.status;
  return next;
}

/** Whether a change counts in metadata.generation. */
function counts(resource: Resource, next: ApiObject, old: ApiObject): boolean {
  if (resource.generation === 'spec') return !equal(next.spec, old.spec);
  const content = (object: ApiObject): Json => without(object, 'metadata', 'apiVersion', 'kind');
  return !equal(content(next), content(old));
}

function sameBut(next: ApiObject, old: ApiObject): boolean {
  // Who manages what counts, the time of it alone does not.
  const bare = (object: ApiObject): JsonObject => ({
    ...object,
    metadata: {
      ...without(object.metadata, 'resourceVersion'),
      managedFields: objectsAt(object, 'metadata', 'managedFields').map((entry) => without(entry, 'time')),
    },
  });
  return equal(bare(next), bare(old));
}

function generated(prefix: string): string {
  if (!prefix) return '';
  const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
  return prefix + [...randomBytes(5)].map((byte) => alphabet[byte % alphabet.length]).join('');
}
