import type { KubeObject } from '../../core/k8s.ts';
import { isRecord } from '../../core/message.ts';
import { badRequest } from './refusal.ts';

/** Whether an object is selected. */
export type Matcher = (object: KubeObject) => boolean;

const KEY = '[A-Za-z0-9][-A-Za-z0-9_./]*';
const SET_TERM = new RegExp(String.raw`^(${KEY})\s+(in|notin)\s*\(([^()]*)\)$`);
const EQUAL_TERM = new RegExp(String.raw`^(${KEY})\s*(==|=|!=)\s*([-A-Za-z0-9_.]*)$`);
const NUMBER_TERM = new RegExp(String.raw`^(${KEY})\s*([<>])\s*(-?\d+)$`);
const EXISTS_TERM = new RegExp(`^(!?)\\s*(${KEY})$`);

/** What labels and fields a request selects by. Throws 400 naming the term. */
export function matcherOf(query: URLSearchParams, name: string): Matcher {
  const labels = labelMatcher(query.get('labelSelector') ?? '');
  const fields = fieldMatcher(name ? `metadata.name=${name}` : (query.get('fieldSelector') ?? ''));
  return (object) => labels(object) && fields(object);
}

/** `a=b,c!=d,e in (f,g),h,!i`. @source apimachinery pkg/labels */
export function labelMatcher(text: string): Matcher {
  // Commas separate terms, except inside the parentheses of a set.
  const terms = text.trim() === '' ? [] : text.split(/,(?![^()]*\))/).map((term) => labelTerm(term.trim()));
  return ({ metadata }) => {
    const labels = metadata.labels ?? {};
    return terms.every(([key, holds]) => holds(Object.hasOwn(labels, key) ? labels[key] : undefined));
  };
}

type LabelTerm = [key: string, holds: (value: string | undefined) => boolean];

function labelTerm(term: string): LabelTerm {
  const [, setKey = '', setOp, list = ''] = SET_TERM.exec(term) ?? [];
  if (setOp) {
    const values = new Set(list.split(',').map((value) => value.trim()));
    return [setKey, (value) => (value !== undefined && values.has(value)) === (setOp === 'in')];
  }
  const [, equalKey = '', equalOp, wanted] = EQUAL_TERM.exec(term) ?? [];
  if (equalOp) return [equalKey, (value) => (value === wanted) === (equalOp !== '!=')];
  const [, numberKey = '', numberOp, bound] = NUMBER_TERM.exec(term) ?? [];
  if (numberOp) {
    const above = numberOp === '>';
    return [numberKey, (value) => (above ? Number(value) > Number(bound) : Number(value) < Number(bound))];
  }
  const [, not, key] = EXISTS_TERM.exec(term) ?? [];
  if (!key)
    throw badRequest(`unable to parse requirement: ${JSON.stringify(term)} is no label selector term`);
  return [key, (value) => (value === undefined) === (not === '!')];
}

/** `metadata.name=x,status.phase!=Running`. @source apimachinery pkg/fields */
export function fieldMatcher(text: string): Matcher {
  const terms = text
    .split(/(?<!\\),/)
    .filter(Boolean)
    .map((term) => {
      const [, path, op, value = ''] = /^([^=!]+)(==|=|!=)(.*)$/.exec(term) ?? [];
      if (!path) throw badRequest(`invalid selector: '${term}'; can't understand '${term}'`);
      return { path: path.trim().split('.'), equal: op !== '!=', value: value.replace(/\\([\\,=])/g, '$1') };
    });
  return (object) => terms.every(({ path, equal, value }) => (fieldText(object, path) === value) === equal);
}

function fieldText(object: KubeObject, path: readonly string[]): string {
  let here: unknown = object;
  for (const step of path) here = isRecord(here) && Object.hasOwn(here, step) ? here[step] : undefined;
  if (here === undefined || here === null) return path.at(-1) === 'unschedulable' ? 'false' : '';
  return typeof here === 'object' ? '' : String(here);
}
