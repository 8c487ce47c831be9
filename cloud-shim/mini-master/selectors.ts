import { isObject, type Json, type JsonObject } from './json.ts';
import { badRequest } from './status.ts';

/** One term of a label selector. */
type LabelTerm = {
  readonly key: string;
  readonly op: 'in' | 'notin' | 'exists' | 'absent' | 'above' | 'below';
  readonly values: readonly string[];
};
type FieldTerm = { readonly path: string; readonly equals: boolean; readonly value: string };

/** Whether an object is selected. */
export type Matcher = (object: JsonObject) => boolean;

const NAME = '[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?';
const KEY = `(?:${NAME}/)?${NAME}`;
const SET_TERM = new RegExp(String.raw`^(${KEY})\s+(in|notin)\s*\(([^()]*)\)$`);
const EQUAL_TERM = new RegExp(String.raw`^(${KEY})\s*(==|=|!=)\s*([-A-Za-z0-9_.]*)$`);
const NUMBER_TERM = new RegExp(String.raw`^(${KEY})\s*([<>])\s*(-?\d+)$`);
const EXISTS_TERM = new RegExp(`^(!?)\\s*(${KEY})$`);

/** Parses `a=b,c!=d,e in (f,g),h,!i`. Throws a 400 refusal naming the term.
 * @source apimachinery pkg/labels selector grammar */
export function parseLabelSelector(text: string): Matcher {
  const terms = splitTerms(text).map(labelTerm);
  if (terms.length === 0) return () => true;
  return (object) => {
    const meta = object.metadata;
    const labels = isObject(meta) && isObject(meta.labels) ? meta.labels : {};
    return terms.every((term) => matchesLabel(term, labels));
  };
}

/** Commas separate terms, except inside the parentheses of a set. */
function splitTerms(text: string): string[] {
  return text.trim() === '' ? [] : text.split(/,(?![^()]*\))/).map((t) => t.trim());
}

function labelTerm(term: string): LabelTerm {
  const set = SET_TERM.exec(term);
  if (set) {
    const values = (set[3] ?? '').split(',').map((v) => v.trim());
    return { key: set[1] ?? '', op: set[2] === 'in' ? 'in' : 'notin', values };
  }
  const equality = EQUAL_TERM.exec(term);
  if (equality) {
    return { key: equality[1] ?? '', op: equality[2] === '!=' ? 'notin' : 'in', values: [equality[3] ?? ''] };
  }
  const bound = NUMBER_TERM.exec(term);
  if (bound)
    return { key: bound[1] ?? '', op: bound[2] === '>' ? 'above' : 'below', values: [bound[3] ?? ''] };
  const exists = EXISTS_TERM.exec(term);
  if (exists) return { key: exists[2] ?? '', op: exists[1] ? 'absent' : 'exists', values: [] };
  throw badRequest(`unable to parse requirement: ${JSON.stringify(term)} is no label selector term`);
}

function matchesLabel(term: LabelTerm, labels: JsonObject): boolean {
  const value = Object.hasOwn(labels, term.key) ? labels[term.key] : undefined;
  switch (term.op) {
    case 'exists':
      return value !== undefined;
    case 'absent':
      return value === undefined;
    case 'in':
      return typeof value === 'string' && term.values.includes(value);
    case 'notin':
      return typeof value !== 'string' || !term.values.includes(value);
    case 'above':
      return wholeNumber(value) > Number(term.values[0]);
    case 'below':
      return wholeNumber(value) < Number(term.values[0]);
    default:
      return term.op satisfies never;
  }
}

/** NaN, which no bound lets through, where a label is no whole number. */
function wholeNumber(value: Json | undefined): number {
  return typeof value === 'string' && /^[+-]?\d+$/.test(value) ? Number(value) : Number.NaN;
}

/** Parses `metadata.name=x,status.phase!=Running`; only `supported` paths may be asked for, as in Kubernetes.
 * Throws a 400 refusal. @source apimachinery pkg/fields */
export function parseFieldSelector(text: string, supported: readonly string[]): Matcher {
  const terms = text
    .split(/(?<!\\),/)
    .filter((t) => t !== '')
    .map(fieldTerm);
  for (const term of terms) {
    if (!supported.includes(term.path)) throw badRequest(`field label not supported: ${term.path}`);
  }
  if (terms.length === 0) return () => true;
  return (object) => terms.every((term) => (fieldText(object, term.path) === term.value) === term.equals);
}

function fieldTerm(term: string): FieldTerm {
  const parts = /^([^=!]+)(==|=|!=)(.*)$/.exec(term);
  if (!parts) throw badRequest(`invalid selector: '${term}'; can't understand '${term}'`);
  const value = (parts[3] ?? '').replace(/\\([\\,=])/g, '$1');
  return { path: (parts[1] ?? '').trim(), equals: parts[2] !== '!=', value };
}

/** The name that a field selector asks for by equality: the server may then read one object alone. */
export function selectedName(text: string): string | undefined {
  const term = text.split(',').find((t) => /^metadata\.name==?/.test(t));
  return term?.replace(/^metadata\.name==?/, '');
}

function fieldText(object: JsonObject, path: string): string {
  let here: Json | undefined = object;
  for (const step of path.split('.')) here = isObject(here) ? here[step] : undefined;
  if (here === undefined || here === null) return path === 'spec.unschedulable' ? 'false' : '';
  return typeof here === 'object' ? '' : String(here);
}

/** Whether `labels` satisfy a metav1.LabelSelector or nodeSelectorTerm-like list of expressions.
 * Unknown operators match nothing. */
export function matchesExpressions(expressions: readonly JsonObject[], labels: JsonObject): boolean {
  return expressions.every((expression) => matchesExpression(expression, labels));
}

function matchesExpression(expression: JsonObject, labels: JsonObject): boolean {
  const key = typeof expression.key === 'string' ? expression.key : '';
  const values = Array.isArray(expression.values) ? expression.values : [];
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (expression.operator) {
    case 'In':
      return typeof value === 'string' && values.includes(value);
    case 'NotIn':
      return typeof value !== 'string' || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return wholeNumber(value) > wholeNumber(values[0]);
    case 'Lt':
      return wholeNumber(value) < wholeNumber(values[0]);
    default:
      return false;
  }
}
