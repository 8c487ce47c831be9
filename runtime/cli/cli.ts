import { EdgeError } from '../core/errors.ts';
import { device } from './device.ts';
import { mapper } from './mapper.ts';

/** What a command has of the world. */
export type CliContext = {
  readonly print: (text: string) => void;
  /** Folders in which files lie that belong to the program. */
  readonly assets: readonly string[];
};

/** One word after `edgecore`. */
export type Command = {
  readonly usage: string;
  /** @returns the exit code
   * @throws EdgeError */
  run(args: readonly string[], context: CliContext): Promise<number>;
};

const commands: Readonly<Record<string, Command>> = { device, mapper };

/** Runs `edgecore NAME ARGS`.
 * @returns the exit code
 * @throws EdgeError CLI_USAGE and those of the command */
export async function runCommand(
  name: string,
  args: readonly string[],
  context: CliContext,
): Promise<number> {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    const names = Object.keys(commands).join(', ');
    throw new EdgeError('CLI_USAGE', { detail: `there is no command ${name}: want one of ${names}` });
  }
  if (args.includes('--help')) {
    context.print(command.usage);
    return 0;
  }
  return command.run(args, context);
}
