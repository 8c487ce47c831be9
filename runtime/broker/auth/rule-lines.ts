/** What is wrong with one line of a file. */
export type LineFault = { readonly line: number; readonly wrong: string };

/** What a file says, or everything that is wrong with it. */
export type Parsed<T> = { readonly value: T } | { readonly faults: readonly LineFault[] };

/** The lines that say something, numbered from 1: blank ones and comments (`#` in the first column) are left out.
 * @source mosquitto security_default.c aclfile__parse, pwfile__parse */
export function ruleLines(text: string): { readonly line: number; readonly text: string }[] {
  return text
    .split('\n')
    .map((raw, i) => ({ line: i + 1, text: raw.trimEnd() }))
    .filter((rule) => rule.text !== '' && !rule.text.startsWith('#'));
}
