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
