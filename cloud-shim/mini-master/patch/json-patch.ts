import { clone, equal, isObject, type Json, type JsonObject } from '../json.ts';
import { Refusal } from '../status.ts';

/** One operation of a JSON patch is refused. @source kubernetes patch handler: 422 for what does not apply */
function refused(operation: string, why: string): Refusal {
  return new Refusal(
    422,
    'Invalid',
    `the server rejected our request due to an error in our request: ${operation}: ${why}`,
  );
}

const MAX_OPERATIONS = 10_000;

/** Applies a JSON patch; the input stays untouched. Throws a refusal when an operation does not apply.
 * @source RFC 6902 */
export function applyJsonPatch(document: JsonObject, patch: Json): JsonObject {
  if (!Array.isArray(patch))
    throw new Refusal(400, 'BadRequest', 'a JSON patch must be a list of operations');
  if (patch.length > MAX_OPERATIONS) {
    throw new Refusal(413, 'RequestEntityTooLarge', `the patch holds more than ${MAX_OPERATIONS} operations`);
  }
  let result: Json = clone(document);
  for (const operation of patch) result = applyOperation(result, isObject(operation) ? operation : {});
  if (!isObject(result)) throw refused('patch', 'the result is not an object');
  return result;
}

function applyOperation(document: Json, operation: JsonObject): Json {
  const name = `${operation.op} ${operation.path}`;
  const path = pointer(operation.path, name);
  switch (operation.op) {
    case 'add':
      return insert(document, path, operationValue(operation, name), name);
    case 'replace':
      read(document, path, name);
      return insert(
        path.length > 0 ? removeAt(document, path, name) : document,
        path,
        operationValue(operation, name),
        name,
      );
    case 'remove':
      return removeAt(document, path, name);
    case 'move': {
      const from = pointer(operation.from, name);
      const value = read(document, from, name);
      return insert(removeAt(document, from, name), path, value, name);
    }
    case 'copy':
      return insert(document, path, clone(read(document, pointer(operation.from, name), name)), name);
    case 'test':
      if (!equal(read(document, path, name), operationValue(operation, name)))
        throw refused(name, 'the test failed');
      return document;
    default:
      throw new Refusal(400, 'BadRequest', `${JSON.stringify(operation.op)} is no operation of a JSON patch`);
  }
}

/** A copy: a later operation may change what an earlier one added. */
function operationValue(operation: JsonObject, name: string): Json {
  if (operation.value === undefined) throw new Refusal(400, 'BadRequest', `${name}: the value is missing`);
  return clone(operation.value);
}

/** The steps of a JSON pointer. @source RFC 6901 */
function pointer(path: Json | undefined, name: string): string[] {
  if (path === '') return [];
  if (typeof path !== 'string' || !path.startsWith('/')) {
    throw new Refusal(400, 'BadRequest', `${name}: ${JSON.stringify(path)} is no JSON pointer`);
  }
  const steps = path.slice(1).split('/');
  if (steps.includes('__proto__')) throw refused(name, 'this key is reserved');
  return steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function read(document: Json, path: string[], name: string): Json {
  let here: Json = document;
  for (const step of path) {
    const next = Array.isArray(here) ? here[index(step, here.length - 1, name)] : own(here, step);
    if (next === undefined) throw refused(name, `${JSON.stringify(step)} does not exist`);
    here = next;
  }
  return here;
}

function own(value: Json, key: string): Json | undefined {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function index(step: string, last: number, name: string): number {
  const n = /^(0|[1-9]\d*)$/.test(step) ? Number(step) : -1;
  if (n < 0 || n > last) throw refused(name, `${JSON.stringify(step)} is no position of the list`);
  return n;
}

/** Adds a value in place; the root is replaced. */
function insert(document: Json, path: string[], value: Json, name: string): Json {
  const step = path.at(-1);
  if (step === undefined) return value;
  const parent = read(document, path.slice(0, -1), name);
  if (Array.isArray(parent)) {
    parent.splice(step === '-' ? parent.length : index(step, parent.length, name), 0, value);
  } else if (isObject(parent)) {
    parent[step] = value;
  } else {
    throw refused(name, 'the parent is neither an object nor a list');
  }
  return document;
}

function removeAt(document: Json, path: string[], name: string): Json {
  const step = path.at(-1);
  if (step === undefined) throw refused(name, 'the root cannot be removed');
  const parent = read(document, path.slice(0, -1), name);
  if (Array.isArray(parent)) parent.splice(index(step, parent.length - 1, name), 1);
  else if (isObject(parent) && Object.hasOwn(parent, step)) delete parent[step];
  else throw refused(name, `${JSON.stringify(step)} does not exist`);
  return document;
}
