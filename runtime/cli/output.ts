import { stringify } from 'yaml';
import { EdgeError } from '../core/errors.ts';

/** For commands whose answer programs may read. */
export const outputOption = { output: { type: 'string', short: 'o' } } as const;

/** A value as `--output` wants it. @throws EdgeError CLI_USAGE */
export function printed(value: unknown, output: string): string {
  switch (output) {
    case 'json':
      return `${JSON.stringify(value, undefined, 2)}\n`;
    case 'yaml':
      return stringify(value);
    default:
      throw new EdgeError('CLI_USAGE', { detail: `--output ${output}: want json or yaml` });
  }
}

/** Rows under a heading, in columns as wide as what is in them. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heading, ...rows];
  const widths = heading.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('   ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}
