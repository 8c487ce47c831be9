/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json | undefined };

/** ObjectMeta as it is stored; fields that are not named here are kept. */
export type Meta = JsonObject & {
  name?: string;
  namespace?: string;
  generateName?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string | null;
  deletionTimestamp?: string | null;
  deletionGracePeriodSeconds?: number | null;
};

/** An API object of any kind. What is in the store is never changed in place. */
export type ApiObject = JsonObject & { apiVersion: string; kind: string; metadata: Meta };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value when it is an object, else an empty one. */
export function asObject(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

/** The value when it is a list, else an empty one. */
export function asList(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}

/** The value when it is a string, else ''. */
export function asText(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** The value below `path`, undefined where any step is missing. */
export function at(value: Json | undefined, ...path: string[]): Json | undefined {
  let here = value;
  for (const step of path) {
    if (!isObject(here) || !Object.hasOwn(here, step)) return undefined;
    here = here[step];
  }
  return here;
}

export function textAt(value: Json | undefined, ...path: string[]): string {
  return asText(at(value, ...path));
}

export function listAt(value: Json | undefined, ...path: string[]): Json[] {
  return asList(at(value, ...path));
}

export function objectAt(value: Json | undefined, ...path: string[]): JsonObject {
  return asObject(at(value, ...path));
}

/** The objects of the list below `path`; other entries are left out. */
export function objectsAt(value: Json | undefined, ...path: string[]): JsonObject[] {
  return listAt(value, ...path).filter(isObject);
}

export function clone<T>(value: T): T {
  return structuredClone(value);
}

/** Deep equality of JSON; a missing key equals one that is undefined. */
export function equal(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, i) => equal(item, b[i]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  for (const key of Object.keys(a)) if (!equal(a[key], own(b, key))) return false;
  for (const key of Object.keys(b)) if (b[key] !== undefined && own(a, key) === undefined) return false;
  return true;
}

/** A key may have the name of something that every object inherits: `constructor`, `toString`. */
function own(value: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

/** A copy without `keys`. */
export function without(value: JsonObject, ...keys: string[]): JsonObject {
  const copy = { ...value };
  for (const key of keys) delete copy[key];
  return copy;
}

/** Parses JSON text, dropping keys that would reach a prototype. Throws SyntaxError. */
export function parseJson(text: string): Json {
  const risky = text.includes('__proto__') || text.includes('\\u');
  return risky ? JSON.parse(text, dropProto) : JSON.parse(text);
}

function dropProto(this: unknown, key: string, value: unknown): unknown {
  return key === '__proto__' ? undefined : value;
}
