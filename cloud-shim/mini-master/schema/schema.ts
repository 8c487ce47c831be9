import { isObject, type Json } from '../json.ts';

/** A structural schema, in the words of OpenAPI v3 as CRDs write them. Built-in kinds are described by the
 * same type, so that validation, pruning, patches and OpenAPI have one source.
 * @source apiextensions v1 JSONSchemaProps */
export type Schema = {
  type?: string;
  format?: string;
  description?: string;
  properties?: Record<string, Schema>;
  required?: readonly string[];
  items?: Schema;
  additionalProperties?: Schema | boolean;
  enum?: readonly Json[];
  default?: Json;
  nullable?: boolean;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: boolean;
  exclusiveMaximum?: boolean;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  minProperties?: number;
  maxProperties?: number;
  allOf?: readonly Schema[];
  anyOf?: readonly Schema[];
  oneOf?: readonly Schema[];
  not?: Schema;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: readonly string[];
  'x-kubernetes-map-type'?: string;
  'x-kubernetes-patch-strategy'?: string;
  'x-kubernetes-patch-merge-key'?: string;
};

/** The schema of a field, also of one that `additionalProperties` describes. */
export function fieldSchema(schema: Schema | undefined, key: string): Schema | undefined {
  const own = schema?.properties;
  if (own && Object.hasOwn(own, key)) return own[key];
  const extra = schema?.additionalProperties;
  return isObject(extra) ? (extra as Schema) : undefined;
}

/** Whether fields that the schema does not name are kept. */
export function keepsUnknown(schema: Schema): boolean {
  if (schema['x-kubernetes-preserve-unknown-fields']) return true;
  if (schema.additionalProperties !== undefined && schema.additionalProperties !== false) return true;
  return schema.properties === undefined && (schema.type === undefined || schema.type === 'object');
}

export function text(description?: string, more: Schema = {}): Schema {
  return { type: 'string', ...(description ? { description } : {}), ...more };
}

export function integer(description?: string, more: Schema = {}): Schema {
  return { type: 'integer', ...(description ? { description } : {}), ...more };
}

export function flag(description?: string): Schema {
  return { type: 'boolean', ...(description ? { description } : {}) };
}

export function time(description?: string): Schema {
  return { type: 'string', format: 'date-time', nullable: true, ...(description ? { description } : {}) };
}

/** A quantity or a port: a number or a string. */
export function intOrString(description?: string): Schema {
  return { 'x-kubernetes-int-or-string': true, ...(description ? { description } : {}) };
}

export function record(properties: Record<string, Schema>, required: readonly string[] = []): Schema {
  return { type: 'object', properties, ...(required.length > 0 ? { required } : {}) };
}

/** An object whose fields are not described here; everything in it is kept. */
export function open(description?: string): Schema {
  const base: Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  return description ? { ...base, description } : base;
}

export function mapOf(value: Schema, description?: string): Schema {
  return { type: 'object', additionalProperties: value, ...(description ? { description } : {}) };
}

/** A list that is replaced as a whole. */
export function atomicList(items: Schema, description?: string): Schema {
  const base: Schema = { type: 'array', items, 'x-kubernetes-list-type': 'atomic' };
  return description ? { ...base, description } : base;
}

/** A list of scalars that behaves as a set. */
export function setList(items: Schema, description?: string): Schema {
  return {
    type: 'array',
    items,
    'x-kubernetes-list-type': 'set',
    'x-kubernetes-patch-strategy': 'merge',
    ...(description ? { description } : {}),
  };
}

/** A list whose entries are found by `patchKey` in a strategic merge patch and by `mapKeys` in server-side apply. */
export function keyedList(
  items: Schema,
  patchKey: string,
  options: { mapKeys?: readonly string[]; strategy?: string; description?: string } = {},
): Schema {
  return {
    type: 'array',
    items,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': options.mapKeys ?? [patchKey],
    'x-kubernetes-patch-strategy': options.strategy ?? 'merge',
    'x-kubernetes-patch-merge-key': patchKey,
    ...(options.description ? { description: options.description } : {}),
  };
}

/** A copy with a description, for schemas that are used in several places. */
export function described(schema: Schema, description: string): Schema {
  return { ...schema, description };
}
