import type * as v from 'valibot';

/** One thing that is wrong with a configuration file. */
export type ConfigFault = {
  /** Where: `modules.edgeHub.heartbeat`. */
  readonly path: string;
  /** What is there, as JSON; absent when nothing is. */
  readonly value?: string;
  readonly wrong: string;
};

const LONGEST_VALUE = 80;
const SECRET = /(token|passw(or)?d|secret)$/i;

/** Turns what the schema found into lines that an operator can act on. Values of secret keys are not shown. */
export function faultsOf(issues: readonly v.BaseIssue<unknown>[]): ConfigFault[] {
  return issues.map((issue) => {
    const path = (issue.path ?? []).map((item) => String(item.key)).join('.') || '(the file)';
    if (issue.type === 'strict_object') return strictFault(path, issue);
    // A check over several keys has all of them for input; the path leads to the one that it is about.
    const last = issue.path?.at(-1);
    // One that a check has made itself leads nowhere, and its input is what it is about.
    const value = shown(last && last.input !== undefined ? last.value : issue.input, path);
    return { path, ...(value === undefined ? {} : { value }), wrong: wrongOf(issue) };
  });
}

/** One line: path, value, what is wrong. */
export function faultLine({ path, value, wrong }: ConfigFault): string {
  return value === undefined ? `${path}: ${wrong}` : `${path} = ${value}: ${wrong}`;
}

function strictFault(path: string, issue: v.BaseIssue<unknown>): ConfigFault {
  const missing = issue.expected !== 'never';
  if (missing) return { path, wrong: 'is missing' };
  const value = shown(issue.path?.at(-1)?.value, path);
  // A schema may say which keys there are.
  const wrong = issue.message.startsWith('unknown key') ? issue.message : 'unknown key';
  return { path, ...(value === undefined ? {} : { value }), wrong };
}

function wrongOf(issue: v.BaseIssue<unknown>): string {
  if (issue.input === undefined) return issue.message.startsWith('want') ? issue.message : 'is missing';
  return issue.message.startsWith('Invalid') ? `want ${issue.expected ?? 'another value'}` : issue.message;
}

function shown(value: unknown, path: string): string | undefined {
  if (value === undefined) return undefined;
  const conceal = (key: string, part: unknown): unknown => (SECRET.test(key) ? '…' : part);
  const text = JSON.stringify(conceal(path.split('.').at(-1) ?? '', value), conceal) ?? String(value);
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
}
