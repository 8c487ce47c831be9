import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DISABLED, PluginFolder } from '../../mappers/plugins/folder.ts';
import { DEFAULT_CONFIG, loadConfig, pluginsDirectory } from '../config/config.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import { readArgs } from './arguments.ts';
import type { CliContext, Command } from './cli.ts';
import { installMapper } from './mapper-install.ts';
import { listMappers, mapperTable } from './mapper-list.ts';
import { newMapper } from './mapper-new.ts';

const usage = `edgecore mapper: mappers that are installed as plugins

  new NAME [--in DIR]        write a mapper to start from, with its test, into ./NAME
  install SOURCE             install a folder or a tar archive, or replace what is installed
  list [--output json]       what is installed, and how it fares
  enable NAME, disable NAME  let it run, or not
  remove NAME                remove it

  --config FILE              edgecore's configuration, default ${DEFAULT_CONFIG}
  --directory DIR            the folder of the plugins, instead of the one that the configuration says

All of it works while edgecore runs and while it does not. A running edgecore looks at the folder every second.
`;

const where = {
  config: { type: 'string', default: DEFAULT_CONFIG },
  directory: { type: 'string' },
} as const;

/** `edgecore mapper`. */
export const mapper: Command = {
  usage,
  async run([verb = '', ...args], context) {
    const known: Readonly<Record<string, (args: readonly string[], context: CliContext) => Promise<number>>> =
      {
        new: create,
        install,
        list,
        enable: (rest, to) => turn(rest, to, true),
        disable: (rest, to) => turn(rest, to, false),
        remove,
      };
    const run = Object.hasOwn(known, verb) ? known[verb] : undefined;
    if (run) return run(args, context);
    const detail = `edgecore mapper ${verb}: want one of ${Object.keys(known).join(', ')}`;
    throw new EdgeError('CLI_USAGE', { detail });
  },
};

async function create(args: readonly string[], { print, assets }: CliContext): Promise<number> {
  const { values, positionals } = readArgs(args, ['NAME'], { in: { type: 'string', default: '.' } });
  const [name = ''] = positionals;
  const folder = newMapper(name, values.in, assets);
  print(`${folder} is made. What next:
  cd ${folder} && node --test
  edgecore mapper install ${folder}
`);
  return 0;
}

async function install(args: readonly string[], { print }: CliContext): Promise<number> {
  const { values, positionals } = readArgs(args, ['SOURCE'], where);
  const [source = ''] = positionals;
  const directory = directoryOf(values);
  print(`${await guarded(directory, () => installMapper(source, new PluginFolder(directory)))}\n`);
  return 0;
}

async function list(args: readonly string[], { print }: CliContext): Promise<number> {
  const { values } = readArgs(args, [], { ...where, output: { type: 'string', default: 'table' } });
  if (values.output !== 'table' && values.output !== 'json')
    throw new EdgeError('CLI_USAGE', { detail: `--output ${values.output}: want json or table` });
  const directory = directoryOf(values);
  const found = await guarded(directory, () => listMappers(directory));
  print(values.output === 'json' ? `${JSON.stringify(found, undefined, 2)}\n` : mapperTable(found));
  return 0;
}

async function turn(args: readonly string[], { print }: CliContext, on: boolean): Promise<number> {
  const { directory, name } = await installed(args);
  const mark = join(directory, name, DISABLED);
  await guarded(directory, async () => (on ? rmSync(mark, { force: true }) : writeFileSync(mark, '')));
  print(`mapper ${name} is ${on ? 'enabled' : 'disabled'}\n`);
  return 0;
}

async function remove(args: readonly string[], { print }: CliContext): Promise<number> {
  const { directory, name } = await installed(args);
  await guarded(directory, async () => {
    // Out of sight at once: what is half removed must not be looked at.
    const away = join(directory, `.removed-${name}-${process.pid}`);
    renameSync(join(directory, name), away);
    rmSync(away, { recursive: true, force: true });
  });
  print(`mapper ${name} is removed\n`);
  return 0;
}

/** @throws EdgeError MAPPER_UNKNOWN */
async function installed(args: readonly string[]): Promise<{ directory: string; name: string }> {
  const { values, positionals } = readArgs(args, ['NAME'], where);
  const [name = ''] = positionals;
  const directory = directoryOf(values);
  const found = await guarded(directory, () => new PluginFolder(directory).scan());
  if (!found.has(name)) throw new EdgeError('MAPPER_UNKNOWN', { detail: `${name} in ${directory}` });
  return { directory, name };
}

function directoryOf(values: { readonly config: string; readonly directory?: string | undefined }): string {
  return values.directory ?? pluginsDirectory(loadConfig(values.config));
}

/** @throws EdgeError MAPPER_FOLDER_UNUSABLE for what the file system refuses */
async function guarded<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof EdgeError) throw error;
    throw new EdgeError('MAPPER_FOLDER_UNUSABLE', {
      detail: `${directory}: ${errorText(error)}`,
      cause: error,
    });
  }
}
