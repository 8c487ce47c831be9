import { equal, isObject, type Json, type JsonObject } from '../json.ts';
import { type Cause, cause } from '../status.ts';
import { fieldSchema, type Schema } from './schema.ts';

/** Bounds the work and the answer for an object that is wrong all over. */
const MAX_CAUSES = 32;

/** Checks a value against a structural schema; the texts are those of the real API server.
 * @returns one cause per fault, at most 32
 * @source apiextensions-apiserver pkg/apiserver/validation */
export function validateSchema(value: Json | undefined, schema: Schema, path = ''): Cause[] {
  const causes: Cause[] = [];
  check(value, schema, path, causes);
  return causes.slice(0, MAX_CAUSES);
}

function check(value: Json | undefined, schema: Schema, path: string, causes: Cause[]): void {
  if (value === undefined || causes.length >= MAX_CAUSES) return;
  if (value === null) {
    if (!schema.nullable && schema.type) causes.push(wrongType(path, value, schema.type));
    return;
  }
  if (!typeMatches(value, schema)) {
    causes.push(wrongType(path, value, schema.type ?? 'integer or string'));
    return;
  }
  if (schema.enum && !schema.enum.some((allowed) => equal(allowed, value))) {
    causes.push(cause.unsupported(path, value, schema.enum));
  }
  if (typeof value === 'string') causes.push(...stringFaults(value, schema, path));
  if (typeof value === 'number') causes.push(...numberFaults(value, schema, path));
  if (Array.isArray(value)) checkList(value, schema, path, causes);
  if (isObject(value)) checkObject(value, schema, path, causes);
  checkJunctors(value, schema, path, causes);
}

function typeMatches(value: Json, schema: Schema): boolean {
  if (schema['x-kubernetes-int-or-string']) return typeof value === 'string' || Number.isInteger(value);
  switch (schema.type) {
    case 'object':
      return isObject(value);
    case 'array':
      return Array.isArray(value);
    case 'string':
      return typeof value === 'string';
    case 'boolean':
      return typeof value === 'boolean';
    case 'integer':
      return Number.isInteger(value);
    case 'number':
      return typeof value === 'number';
    default:
      return true;
  }
}

function wrongType(path: string, value: Json, type: string): Cause {
  const shown = typeName(value);
  const detail = `${path || '<root>'} in body must be of type ${type}: ${JSON.stringify(shown)}`;
  return cause.typeInvalid(path, shown, detail);
}

/** The type of a value in the words of OpenAPI. */
function typeName(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

function stringFaults(value: string, schema: Schema, path: string): Cause[] {
  const faults: string[] = [];
  const length = [...value].length;
  if (schema.maxLength !== undefined && length > schema.maxLength) {
    faults.push(`should be at most ${schema.maxLength} chars long`);
  }
  if (schema.minLength !== undefined && length < schema.minLength) {
    faults.push(`should be at least ${schema.minLength} chars long`);
  }
  if (schema.pattern !== undefined && !matchesPattern(value, schema.pattern)) {
    faults.push(`should match '${schema.pattern}'`);
  }
  if (schema.format === 'date-time' && !isTime(value)) {
    faults.push(`must be of type date-time: ${JSON.stringify(value)}`);
  }
  return faults.map((fault) => cause.invalid(path, value, `${path} in body ${fault}`));
}

/** @source RFC 3339 §5.6 */
function isTime(value: string): boolean {
  return (
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.test(value) &&
    !Number.isNaN(Date.parse(value))
  );
}

/** A pattern of Go that JavaScript cannot compile refuses nothing. */
function matchesPattern(value: string, pattern: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(value);
  } catch {
    return true;
  }
}

function numberFaults(value: number, schema: Schema, path: string): Cause[] {
  const { minimum, maximum, multipleOf } = schema;
  const faults: string[] = [];
  if (minimum !== undefined && (schema.exclusiveMinimum ? value <= minimum : value < minimum)) {
    faults.push(`should be greater than ${schema.exclusiveMinimum ? '' : 'or equal to '}${minimum}`);
  }
  if (maximum !== undefined && (schema.exclusiveMaximum ? value >= maximum : value > maximum)) {
    faults.push(`should be less than ${schema.exclusiveMaximum ? '' : 'or equal to '}${maximum}`);
  }
  if (multipleOf !== undefined && !isMultiple(value, multipleOf))
    faults.push(`should be a multiple of ${multipleOf}`);
  return faults.map((fault) => cause.invalid(path, value, `${path} in body ${fault}`));
}

/** 0.3 is a multiple of 0.1, though binary fractions say otherwise. */
function isMultiple(value: number, factor: number): boolean {
  const quotient = value / factor;
  return Math.abs(quotient - Math.round(quotient)) < 1e-9 * Math.max(1, Math.abs(quotient));
}

function checkList(list: Json[], schema: Schema, path: string, causes: Cause[]): void {
  const { minItems, maxItems, items } = schema;
  if (maxItems !== undefined && list.length > maxItems) {
    causes.push(cause.invalid(path, list.length, `${path} in body should have at most ${maxItems} items`));
  }
  if (minItems !== undefined && list.length < minItems) {
    causes.push(cause.invalid(path, list.length, `${path} in body should have at least ${minItems} items`));
  }
  if (items) {
    for (const [i, item] of list.entries()) check(item, items, `${path}[${i}]`, causes);
  }
  for (const i of repeatedEntries(list, schema)) causes.push(cause.duplicate(`${path}[${i}]`, list[i]));
}

/** The positions of entries that repeat an earlier one, in lists that are sets or maps. */
function repeatedEntries(list: Json[], schema: Schema): number[] {
  const keys = schema['x-kubernetes-list-map-keys'];
  const type = schema['x-kubernetes-list-type'];
  if (type !== 'set' && type !== 'map' && !schema.uniqueItems) return [];
  const seen = new Set<string>();
  const repeated: number[] = [];
  for (const [i, item] of list.entries()) {
    const identity = canonical(
      type === 'map' && isObject(item) ? (keys ?? []).map((k) => item[k] ?? null) : item,
    );
    if (seen.has(identity)) repeated.push(i);
    seen.add(identity);
  }
  return repeated;
}

/** JSON text that is the same for equal values, whatever the order of their fields. */
function canonical(value: Json): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    isObject(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part,
  );
}

function checkObject(object: JsonObject, schema: Schema, path: string, causes: Cause[]): void {
  const prefix = path ? `${path}.` : '';
  for (const key of schema.required ?? []) {
    if (object[key] === undefined) causes.push(cause.required(`${prefix}${key}`));
  }
  const count = Object.keys(object).length;
  if (schema.maxProperties !== undefined && count > schema.maxProperties) {
    causes.push(
      cause.invalid(path, count, `${path} in body should have at most ${schema.maxProperties} properties`),
    );
  }
  if (schema.minProperties !== undefined && count < schema.minProperties) {
    causes.push(
      cause.invalid(path, count, `${path} in body should have at least ${schema.minProperties} properties`),
    );
  }
  for (const [key, value] of Object.entries(object)) {
    const field = fieldSchema(schema, key);
    if (field) check(value, field, `${prefix}${key}`, causes);
  }
}

function checkJunctors(value: Json, schema: Schema, path: string, causes: Cause[]): void {
  const passes = (part: Schema): boolean => validateSchema(value, part, path).length === 0;
  for (const part of schema.allOf ?? []) check(value, part, path, causes);
  if (schema.anyOf && !schema.anyOf.some(passes)) {
    causes.push(cause.invalid(path, '', `${path} in body must validate at least one schema (anyOf)`));
  }
  if (schema.oneOf && schema.oneOf.filter(passes).length !== 1) {
    causes.push(cause.invalid(path, '', `${path} in body must validate one and only one schema (oneOf)`));
  }
  if (schema.not && passes(schema.not)) {
    causes.push(cause.invalid(path, '', `${path} in body must not validate the schema (not)`));
  }
}
