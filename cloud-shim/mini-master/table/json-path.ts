import { isObject, type Json } from '../json.ts';

type Step =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'filter'; readonly path: readonly Step[]; readonly equals: Json };

const TOKEN =
  /\.((?:\\.|[A-Za-z0-9_$/-])+)|\[['"]([^'"]*)['"]\]|\[(-?\d+)\]|\.?\[?\*\]?|\[\?\(@((?:\.[^=!<>&|)]+?))\s*==\s*(?:'([^']*)'|"([^"]*)"|([\w.]+))\s*\)\]/y;

/** Compiles the part of kubectl's JSONPath that printer columns use: fields, positions, `[*]`, and filters by equality.
 * @returns undefined when the text is something else
 * @source apiextensions additionalPrinterColumns; client-go util/jsonpath */
export function compileJsonPath(text: string): readonly Step[] | undefined {
  const path = text
    .trim()
    .replace(/^\{(.*)\}$/, '$1')
    .replace(/^\$/, '');
  const steps: Step[] = [];
  let position = 0;
  while (position < path.length) {
    TOKEN.lastIndex = position;
    const token = TOKEN.exec(path);
    if (!token || token[0] === '') return undefined;
    // Before the step is read: a filter compiles a path of its own with the same expression.
    position = TOKEN.lastIndex;
    const step = readStep(token);
    if (!step) return undefined;
    steps.push(step);
  }
  return steps;
}

function readStep(token: RegExpExecArray): Step | undefined {
  const [, field, quoted, index, filter, single, double, bare] = token;
  if (filter !== undefined) {
    const path = compileJsonPath(filter);
    return path ? { kind: 'filter', path, equals: single ?? double ?? literal(bare ?? '') } : undefined;
  }
  if (index !== undefined) return { kind: 'index', index: Number(index) };
  if (quoted !== undefined) return { kind: 'field', name: quoted };
  if (field !== undefined) return { kind: 'field', name: field.replace(/\\(.)/g, '$1') };
  return { kind: 'all' };
}

function literal(text: string): Json {
  if (text === 'true' || text === 'false') return text === 'true';
  return Number.isNaN(Number(text)) ? text : Number(text);
}

/** The values that a compiled path finds. */
export function findJsonPath(value: Json, steps: readonly Step[]): Json[] {
  return steps.reduce<Json[]>((found, step) => found.flatMap((v) => follow(v, step)), [value]);
}

function follow(value: Json, step: Step): Json[] {
  switch (step.kind) {
    case 'field': {
      const next = isObject(value) && Object.hasOwn(value, step.name) ? value[step.name] : undefined;
      return next === undefined ? [] : [next];
    }
    case 'index': {
      const next = Array.isArray(value) ? value.at(step.index) : undefined;
      return next === undefined ? [] : [next];
    }
    case 'all':
      if (Array.isArray(value)) return value;
      return isObject(value) ? Object.values(value).filter((v) => v !== undefined) : [];
    case 'filter': {
      const list = Array.isArray(value) ? value : [];
      return list.filter((item) => findJsonPath(item, step.path).some((found) => found === step.equals));
    }
    default:
      return step satisfies never;
  }
}
