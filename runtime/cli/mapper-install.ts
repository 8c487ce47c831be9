import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { DISABLED, type PluginFolder, readCandidate } from '../../mappers/plugins/folder.ts';
import { MANIFEST, type Manifest } from '../../mappers/plugins/manifest.ts';
import { type PluginStatus, printOf, runningStatus } from '../../mappers/plugins/status.ts';
import { EdgeError } from '../core/errors.ts';

const LARGEST_ARCHIVE = 64 * 1024 * 1024;
/** What a mapper's author has lying about. */
const LEFT_OUT = new Set(['node_modules', DISABLED]);
/** How long a running edgecore is given to load it. */
const LOAD_LIMIT = 20_000;
const ASK_AGAIN = 200;

/** Installs a folder or a tar archive, in place of what is installed by that name. A running edgecore is waited for.
 * @returns what has become of it, for people
 * @throws EdgeError MAPPER_REFUSED, MAPPER_NOT_LOADED */
export async function installMapper(source: string, folder: PluginFolder): Promise<string> {
  const draft = join(folder.path, `.incoming-${process.pid}`);
  try {
    mkdirSync(draft, { recursive: true });
    const candidate = await readCandidate(unpacked(source, draft));
    if ('refused' in candidate) throw refused(source, candidate.refused);
    const { manifest } = candidate;
    const staged = join(draft, 'staged');
    copyPlugin(rootOf(source, draft), staged);
    const wasDisabled = await folder.isDisabled(manifest.name);
    if (wasDisabled) writeFileSync(join(staged, DISABLED), '');
    replace(staged, join(folder.path, manifest.name), join(draft, 'before'));
    return await outcome(manifest, folder, wasDisabled);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** @returns the folder in which the manifest lies */
function unpacked(source: string, draft: string): string {
  if (!existsSync(source)) throw refused(source, 'there is no such file or folder');
  const found = statSync(source);
  if (found.isDirectory()) return source;
  if (found.size > LARGEST_ARCHIVE)
    throw refused(source, `it has ${found.size} bytes: ${LARGEST_ARCHIVE} at most`);
  const into = join(draft, 'unpacked');
  mkdirSync(into);
  const { status, stderr, error } = spawnSync(
    'tar',
    ['-xf', source, '-C', into, '--no-same-owner', '--no-same-permissions'],
    { encoding: 'utf8' },
  );
  if (error) throw refused(source, `tar cannot be run: ${error.message}`);
  if (status !== 0) throw refused(source, `it is no tar archive: ${stderr.trim().split('\n', 1)[0]}`);
  return rootOf(source, draft);
}

/** An archive may hold the files, or one folder with them. */
function rootOf(source: string, draft: string): string {
  const into = join(draft, 'unpacked');
  if (!existsSync(into)) return source;
  if (existsSync(join(into, MANIFEST))) return into;
  const [only, ...others] = readdirSync(into);
  return only !== undefined && others.length === 0 ? join(into, only) : into;
}

/** Links are left out: they would lead out of the folder. */
function copyPlugin(from: string, to: string): void {
  cpSync(from, to, {
    recursive: true,
    filter: (path) => {
      if (path === from) return true;
      const name = basename(path);
      return !LEFT_OUT.has(name) && !name.startsWith('.') && !lstatSync(path).isSymbolicLink();
    },
  });
}

function replace(staged: string, target: string, before: string): void {
  if (existsSync(target)) renameSync(target, before);
  renameSync(staged, target);
}

async function outcome(
  { name, version }: Manifest,
  folder: PluginFolder,
  disabled: boolean,
): Promise<string> {
  const what = `mapper ${name} ${version} is installed`;
  if (disabled) return `${what}, and disabled as before: edgecore mapper enable ${name}`;
  const status = await judged(name, folder);
  if (status === 'not running') return `${what}; edgecore loads it when it starts`;
  if (status?.state === 'running' && status.reason === '')
    return `${what} and runs, with ${status.devices} device${status.devices === 1 ? '' : 's'}`;
  const detail = `${name} ${version}: ${status?.reason || `nothing heard from edgecore in ${LOAD_LIMIT / 1000} s`}`;
  throw new EdgeError('MAPPER_NOT_LOADED', { detail });
}

/** Waits until the edgecore that runs has judged what lies there now. */
async function judged(name: string, folder: PluginFolder): Promise<PluginStatus | 'not running' | undefined> {
  const print = printOf((await folder.scan()).get(name) ?? '');
  for (const end = Date.now() + LOAD_LIMIT; Date.now() < end; ) {
    const told = await runningStatus(folder.path);
    if (!told) return 'not running';
    const status = told.find((candidate) => candidate.name === name);
    if (status?.judged === print && status.state !== 'loading') return status;
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN));
  }
  return undefined;
}

function refused(source: string, why: string): EdgeError {
  return new EdgeError('MAPPER_REFUSED', { detail: `${source}: ${why}` });
}
