import { type ParseArgsConfig, parseArgs } from 'node:util';
import { EdgeError, errorText } from '../core/errors.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

/** Reads the arguments of a subcommand.
 * @param names of its positional arguments: `[NAME]` may be left out, of `NAME…` there may be more
 * @throws EdgeError CLI_USAGE */
export function readArgs<const T extends Options>(
  args: readonly string[],
  names: readonly string[],
  options: T,
) {
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
    const { positionals } = parsed;
    const missing = names.slice(positionals.length).filter((name) => !name.startsWith('['));
    if (missing.length > 0) throw new Error(`${missing.join(' ')} is missing`);
    if (positionals.length > names.length && !names.at(-1)?.endsWith('…'))
      throw new Error(`${positionals.slice(names.length).join(' ')} is too much`);
    return parsed;
  } catch (error) {
    // Node's advice on how to pass a name that begins with a dash is of no use here.
    throw new EdgeError('CLI_USAGE', { detail: errorText(error).split('. ', 1)[0] ?? '', cause: error });
  }
}
