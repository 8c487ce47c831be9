import { type ApiObject, asText, isObject, type Json, listAt, objectAt } from '../json.ts';
import { badRequest } from '../status.ts';

export type DeleteOptions = {
  readonly dryRun: boolean;
  readonly gracePeriodSeconds: number | undefined;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Holds the object until what it owns was let go, or is gone; undefined where that goes later by itself. */
  readonly holder: Holder | undefined;
};

/** Finalizers that the server sets and takes away itself.
 * @source apimachinery meta/v1 FinalizerOrphanDependents, FinalizerDeleteDependents */
export const ORPHAN = 'orphan';
export const FOREGROUND = 'foregroundDeletion';
export type Holder = typeof ORPHAN | typeof FOREGROUND;

/** Reads DeleteOptions from a body and the query. Throws 400. */
export function deleteOptions(body: Json, query: URLSearchParams): DeleteOptions {
  const given = isObject(body) ? body : {};
  const grace = given.gracePeriodSeconds ?? query.get('gracePeriodSeconds');
  const seconds = grace === null || grace === undefined || grace === '' ? undefined : Number(grace);
  if (seconds !== undefined && !Number.isInteger(seconds))
    throw badRequest('gracePeriodSeconds must be a number');
  const preconditions = objectAt(given, 'preconditions');
  return {
    dryRun: listAt(given, 'dryRun').length > 0 || query.has('dryRun'),
    gracePeriodSeconds: seconds,
    uid: asText(preconditions.uid),
    resourceVersion: asText(preconditions.resourceVersion),
    holder: holderOf(asText(given.propagationPolicy) || (query.get('propagationPolicy') ?? '')),
  };
}

function holderOf(policy: string): Holder | undefined {
  switch (policy) {
    case '':
    case 'Background':
      return undefined;
    case 'Orphan':
      return ORPHAN;
    case 'Foreground':
      return FOREGROUND;
    default:
      throw badRequest(`propagationPolicy ${policy} is none of Background, Foreground, Orphan`);
  }
}

/** The object with a finalizer, if it is to be held. */
export function heldBy(object: ApiObject, holder: Holder | undefined): ApiObject {
  const finalizers = listAt(object, 'metadata', 'finalizers');
  if (!holder || finalizers.includes(holder)) return object;
  return { ...object, metadata: { ...object.metadata, finalizers: [...finalizers, holder] } };
}
