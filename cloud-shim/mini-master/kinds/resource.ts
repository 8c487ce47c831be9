import type { ApiObject } from '../json.ts';
import type { Schema } from '../schema/schema.ts';
import type { Cause } from '../status.ts';
import type { Column } from '../table/column.ts';

/** A version in which a resource is served. */
export type ResourceVersion = {
  readonly name: string;
  readonly schema: Schema;
  readonly hasStatus: boolean;
  readonly columns: readonly Column[];
  /** A deprecation text, sent with every answer. */
  readonly warning?: string;
  /** Between the shape of this version and the stored one; absent where only apiVersion differs. */
  readonly codec?: {
    readonly toStored: (object: ApiObject) => ApiObject;
    readonly fromStored: (object: ApiObject) => ApiObject;
  };
};

/** What a kind does when it is written. Pure: the store and the clock are not seen here. */
export type Strategy = {
  /** Makes an object ready for creation: server-owned parts reset, defaults filled in. */
  readonly prepare?: (object: ApiObject) => ApiObject;
  readonly prepareUpdate?: (next: ApiObject, old: ApiObject) => ApiObject;
  readonly validate?: (object: ApiObject) => readonly Cause[];
  readonly validateUpdate?: (next: ApiObject, old: ApiObject) => readonly Cause[];
};

/** How the name of an object must look. */
export type NameRule = 'label' | 'subdomain' | 'path';

/** One resource of the API: a collection of objects of one kind. */
export type Resource = {
  readonly group: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly nameRule: NameRule;
  /** Key in the store; two resources may share one. */
  readonly collection: string;
  /** apiVersion of what is in the store. */
  readonly storedVersion: string;
  /** The versions that are served, the preferred one first. */
  readonly versions: readonly ResourceVersion[];
  /** Whether a CustomResourceDefinition made it. */
  readonly custom: boolean;
  readonly strategy: Strategy;
  /** Field selectors beside metadata.name and metadata.namespace. */
  readonly selectable: readonly string[];
  /** Subresources beside `status`, for discovery. */
  readonly subresources: readonly Subresource[];
  readonly createOnUpdate: boolean;
  /** Whether a new object may bring its status. */
  readonly statusOnCreate: boolean;
  /** Whether an update without resourceVersion overwrites. */
  readonly unconditionalUpdate: boolean;
  /** Whether a deletion answers the object, not a Status. */
  readonly answersDeleted: boolean;
  /** What counts its changes in metadata.generation. */
  readonly generation: 'none' | 'spec' | 'all';
};

export type Subresource = {
  readonly name: string;
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
};

/** `v1`, `devices.kubeedge.io/v1beta1`. */
export function apiVersionOf(group: string, version: string): string {
  return group ? `${group}/${version}` : version;
}

/** Splits `group/version`; the core group is ''. */
export function splitApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/');
  return { group: slash < 0 ? '' : apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** The object as a version shows it. */
export function inVersion(object: ApiObject, resource: Resource, version: ResourceVersion): ApiObject {
  if (version.codec) return version.codec.fromStored(object);
  const apiVersion = apiVersionOf(resource.group, version.name);
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
}

/** An object of a version in the shape of the store. */
export function toStored(object: ApiObject, resource: Resource, version: ResourceVersion): ApiObject {
  if (version.codec) return version.codec.toStored(object);
  const { storedVersion } = resource;
  return object.apiVersion === storedVersion ? object : { ...object, apiVersion: storedVersion };
}
