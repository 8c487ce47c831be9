import { EdgeError } from '../core/errors.ts';
import type { SlotPlaces } from '../upgrade/upgrade.ts';
import { backup, restore } from './backup.ts';
import { check } from './check.ts';
import { collect } from './collect.ts';
import { completion } from './completion.ts';
import { device } from './device.ts';
import { exec } from './exec.ts';
import { describe, get } from './get.ts';
import { join } from './join.ts';
import { logs } from './logs.ts';
import { mapper } from './mapper.ts';
import { reset } from './reset.ts';
import { confirm, rollback, upgrade } from './upgrade.ts';

/** What a command has of the world. */
export type CliContext = {
  readonly print: (text: string) => void;
  /** Folders in which files lie that belong to the program. */
  readonly assets: readonly string[];
  readonly version: string;
  /** undefined for an edgecore that was not started by its launcher. */
  readonly slots: SlotPlaces | undefined;
};

/** One word after `edgecore`. */
export type Command = {
  readonly usage: string;
  /** @returns the exit code
   * @throws EdgeError */
  run(args: readonly string[], context: CliContext): Promise<number>;
};

/** In the order of a gateway's life. */
export const commands: Readonly<Record<string, Command>> = {
  join,
  check,
  get,
  describe,
  logs,
  exec,
  mapper,
  device,
  upgrade,
  confirm,
  rollback,
  backup,
  restore,
  collect,
  reset,
  completion: completion(() => commands),
};

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
  // What follows `--` is another program's.
  const end = args.indexOf('--');
  if ((end < 0 ? args : args.slice(0, end)).includes('--help')) {
    context.print(command.usage);
    return 0;
  }
  return command.run(args, context);
}
