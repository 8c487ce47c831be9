import { parseFilter } from '../topics.ts';
import { type LineFault, type Parsed, ruleLines } from './rule-lines.ts';

export const accessKinds = ['read', 'write', 'readwrite', 'deny'] as const;
export type Access = (typeof accessKinds)[number];

/** One line: what may be done on the topics that a filter matches. */
export type AclRule = {
  readonly access: Access;
  /** With `%c` and `%u` in a pattern's. */
  readonly filter: string;
};

/** An ACL file. */
export type Acl = {
  /** Before the first `user` line: for clients without a name. */
  readonly anonymous: readonly AclRule[];
  readonly users: ReadonlyMap<string, readonly AclRule[]>;
  /** For everyone. */
  readonly patterns: readonly AclRule[];
};

/** @source mosquitto TOPIC_HIERARCHY_LIMIT */
const MOST_LEVELS = 201;

type Line =
  | { readonly kind: 'user'; readonly name: string }
  | { readonly kind: 'topic' | 'pattern'; readonly rule: AclRule }
  | { readonly kind: 'fault'; readonly wrong: string };

/** Reads an ACL file of mosquitto's.
 * Differs: a tab between words and a filter with `$share` are faults; mosquitto takes `topic read<TAB>x` for a topic of
 * that name, and never matches a rule on `$share`.
 * @source mosquitto.conf(5) acl_file; security_default.c aclfile__parse @2.0.11 */
export function parseAclFile(text: string): Parsed<Acl> {
  const anonymous: AclRule[] = [];
  const users = new Map<string, AclRule[]>();
  const patterns: AclRule[] = [];
  const faults: LineFault[] = [];
  let section = anonymous;
  for (const { line, text: words } of ruleLines(text)) {
    const parsed = parseLine(words);
    switch (parsed.kind) {
      case 'user':
        section = users.get(parsed.name) ?? [];
        users.set(parsed.name, section);
        break;
      case 'topic':
        section.push(parsed.rule);
        break;
      case 'pattern':
        patterns.push(parsed.rule);
        break;
      case 'fault':
        faults.push({ line, wrong: parsed.wrong });
        break;
      default:
        parsed satisfies never;
    }
  }
  return faults.length > 0 ? { faults } : { value: { anonymous, users, patterns } };
}

function parseLine(text: string): Line {
  const [keyword, rest] = firstWord(text);
  if (keyword === 'user') return rest === '' ? fault('want user NAME') : { kind: 'user', name: rest };
  if (keyword !== 'topic' && keyword !== 'pattern')
    return fault(`${JSON.stringify(keyword)}: want user, topic or pattern`);
  const rule = parseRule(rest);
  return typeof rule === 'string' ? fault(rule) : { kind: keyword, rule };
}

/** The access may be left out; a filter with a space in it needs it. */
function parseRule(text: string): AclRule | string {
  if (text === '') return 'want a topic filter';
  const [first, rest] = firstWord(text);
  if (first.includes('\t')) return 'want spaces between the words, not tabs';
  const access = rest === '' ? 'readwrite' : accessKinds.find((kind) => kind === first);
  if (!access) return `${JSON.stringify(first)}: want read, write, readwrite or deny`;
  const filter = rest === '' ? first : rest;
  const parsed = parseFilter(filter, MOST_LEVELS);
  if (!parsed) return `${JSON.stringify(filter)} is not a topic filter`;
  return parsed.share === undefined ? { access, filter } : 'a rule is about topics: leave out $share/GROUP/';
}

function firstWord(text: string): [string, string] {
  const [, word = '', rest = ''] = /^ *([^ ]*)(.*)$/s.exec(text) ?? [];
  return [word, rest.trim()];
}

function fault(wrong: string): Line {
  return { kind: 'fault', wrong };
}
