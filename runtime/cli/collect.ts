import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isMap, isScalar, parseDocument, visit } from 'yaml';
import { DEFAULT_CONFIG, loadConfig } from '../config/config.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import { slotsAt } from '../upgrade/upgrade.ts';
import { type ArchiveFile, writeArchive } from './archive.ts';
import { readArgs } from './arguments.ts';
import { checks } from './checks.ts';
import type { CliContext, Command } from './cli.ts';

const usage = `edgecore collect: what somebody needs who looks for a fault, in one file, without secrets

  -o, --output-path FILE   default: edgecore-collect-TIME.tar.gz here
  --lines N                of the log, default 5000
  --config FILE            edgecore's configuration, default ${DEFAULT_CONFIG}

In it are the configuration with tokens, passwords and keys blanked, the log, the state and the figures of the running
edgecore, what the checks find, versions, memory, disks. No database, no certificate, no value but those that the
console shows.
`;

/** Keys whose values concern nobody. */
const SECRET = /token|password|passwd|secret|credential|(^|[a-z])key$/i;
const ASK_LIMIT = 5000;
const LARGEST_OUTPUT = 64 * 1024 * 1024;

/** `edgecore collect`. @source KubeEdge keadm debug collect */
export const collect: Command = {
  usage,
  async run(args, context) {
    const { values } = readArgs(args, [], {
      config: { type: 'string', short: 'c', default: DEFAULT_CONFIG },
      'output-path': { type: 'string', short: 'o' },
      lines: { type: 'string', default: '5000' },
    });
    const time = new Date().toISOString().replace(/[:.]/g, '-');
    const out = values['output-path'] ?? `edgecore-collect-${time}.tar.gz`;
    try {
      await writeArchive(out, gather(values.config, Number(values.lines) || 5000, context));
    } catch (cause) {
      throw new EdgeError('COLLECT_REFUSED', { detail: `${out}: ${errorText(cause)}`, cause });
    }
    context.print(`${out}: ${(statSync(out).size / 1e3).toFixed(0)} KB\n`);
    return 0;
  },
};

/** What cannot be had is in the archive with the reason. */
async function* gather(path: string, lines: number, context: CliContext): AsyncGenerator<ArchiveFile> {
  yield part(
    'version.txt',
    () => `${context.version}\nnode ${process.version} ${process.platform}-${process.arch}\n`,
  );
  yield part('edgecore.yaml', () => withoutSecrets(readFileSync(path, 'utf8')));
  yield await slow('upgrade.json', async () =>
    JSON.stringify((await slotsAt(context.slots)?.state()) ?? null, undefined, 2),
  );
  yield await slow('checks.json', () => allChecks(path));
  for (const [name, url] of addresses(path)) yield await slow(name, () => answer(url));
  yield part('state-folder.txt', () => listing(dirname(loadConfig(path).database.dataSource)));
  yield part('log.txt', () =>
    output('journalctl', '-u', 'edgecore', '-n', String(lines), '--no-pager', '-o', 'short-iso'),
  );
  yield part('processes.txt', () => output('ps', '-eo', 'pid,ppid,rss,pcpu,etime,comm'));
  yield part('disks.txt', () => output('df', '-h'));
  yield part('mounts.txt', () => readFileSync('/proc/mounts', 'utf8'));
  yield part('memory.txt', () => readFileSync('/proc/meminfo', 'utf8'));
  yield part('system.txt', () => `${output('uname', '-a')}${readFileSync('/etc/os-release', 'utf8')}`);
  yield part('network.txt', () => output('ip', 'addr'));
  yield part('kernel.txt', () => output('dmesg', '--level=err,warn'));
}

/** A configuration that shows what it sets, but no secret.
 * @param text YAML; what is none is left out */
export function withoutSecrets(text: string): string {
  const document = parseDocument(text);
  if (document.errors.length > 0) return `# it is no YAML: ${document.errors[0]?.message}\n`;
  visit(document, {
    Pair(_, pair) {
      if (!isScalar(pair.key) || !SECRET.test(String(pair.key.value)) || isMap(pair.value)) return undefined;
      if (isScalar(pair.value) && (pair.value.value === '' || pair.value.value === null)) return undefined;
      pair.value = document.createNode('(blanked)');
      return undefined;
    },
    Scalar(key, scalar) {
      // user:password@ in an address.
      if (key !== 'key' && typeof scalar.value === 'string')
        scalar.value = scalar.value.replace(/(:\/\/[^/:@]*):[^/@]*@/, '$1:(blanked)@');
      return undefined;
    },
  });
  return document.toString({ lineWidth: 0 });
}

async function allChecks(path: string): Promise<string> {
  const config = loadConfig(path);
  const found = [];
  for (const run of Object.values(checks)) found.push(...(await run(config)));
  return JSON.stringify(found, undefined, 2);
}

function addresses(path: string): [string, string][] {
  try {
    const { address, enable } = loadConfig(path).modules.console;
    if (!enable) return [];
    return [
      ['state.json', `http://${address}/api/state`],
      ['metrics.txt', `http://${address}/metrics`],
    ];
  } catch {
    return []; // checks.json says why
  }
}

async function answer(url: string): Promise<string> {
  return (await fetch(url, { signal: AbortSignal.timeout(ASK_LIMIT) })).text();
}

function listing(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .map((file) => `${statSync(file).size}\t${statSync(file).mtime.toISOString()}\t${file}\n`)
    .join('');
}

function output(command: string, ...args: string[]): string {
  const { stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: LARGEST_OUTPUT });
  return error ? `${command}: ${error.message}\n` : `${stdout}${stderr}`;
}

function part(name: string, make: () => string): ArchiveFile {
  try {
    return { name, content: Buffer.from(make()) };
  } catch (error) {
    return { name, content: Buffer.from(`cannot be had: ${errorText(error)}\n`) };
  }
}

async function slow(name: string, make: () => Promise<string>): Promise<ArchiveFile> {
  const text = await make().catch((error) => `cannot be had: ${errorText(error)}\n`);
  return { name, content: Buffer.from(text) };
}
