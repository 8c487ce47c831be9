/** A text with places: `{{value}}` is the value as it is, `{{value:json}}` as JSON writes it. */
export type Template = readonly (string | Place)[];

type Place = { readonly name: PlaceName; readonly of: number | undefined; readonly json: boolean };
type PlaceName = (typeof NAMES)[number];

/** What may stand between the braces; `value.2` is the value of the second condition. */
const NAMES = ['value', 'rule', 'node', 'device', 'property', 'topic', 'time', 'timestamp'] as const;

/** What the places are filled with. */
export type TemplateValues = {
  /** Of the condition that set the rule off last. */
  readonly value: string;
  /** Of each condition; empty where none came yet. */
  readonly values: readonly string[];
  readonly rule: string;
  readonly node: string;
  readonly device: string;
  readonly property: string;
  readonly topic: string;
  /** ms since epoch. */
  readonly now: number;
};

const PLACE = /\{\{\s*([^{}]*?)\s*\}\}/g;
const FORM = /^([a-z]+)(?:\.([1-9]\d?))?(:json)?$/;

/** @param conditions how many the rule has
 * @returns the template, or what is wrong with it */
export function parseTemplate(text: string, conditions: number): Template | { readonly fault: string } {
  const parts: (string | Place)[] = [];
  let at = 0;
  for (const match of text.matchAll(PLACE)) {
    if (match.index > at) parts.push(text.slice(at, match.index));
    const place = parsePlace(match[1] ?? '', conditions);
    if (!place)
      return { fault: `want {{${NAMES.join('}}, {{')}}} or {{value.1}} to {{value.${conditions}}}` };
    parts.push(place);
    at = match.index + match[0].length;
  }
  if (at < text.length) parts.push(text.slice(at));
  return parts;
}

export function fill(template: Template, values: TemplateValues): string {
  return template.map((part) => (typeof part === 'string' ? part : textOf(part, values))).join('');
}

function parsePlace(text: string, conditions: number): Place | undefined {
  const form = FORM.exec(text);
  const name = NAMES.find((known) => known === form?.[1]);
  if (!form || !name) return undefined;
  const of = form[2] === undefined ? undefined : Number(form[2]);
  if (of !== undefined && (name !== 'value' || of > conditions)) return undefined;
  return { name, of, json: form[3] !== undefined };
}

function textOf({ name, of, json }: Place, values: TemplateValues): string {
  const text = plain(name, of, values);
  if (!json) return text;
  // JSON's own words for numbers and truth; 007 and 1e999 are none of them.
  return /^(true|false|-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d{1,2})?)$/.test(text) ? text : JSON.stringify(text);
}

function plain(name: PlaceName, of: number | undefined, values: TemplateValues): string {
  switch (name) {
    case 'value':
      return of === undefined ? values.value : (values.values[of - 1] ?? '');
    case 'time':
      return new Date(values.now).toISOString();
    case 'timestamp':
      return String(values.now);
    default:
      return values[name];
  }
}
