import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeUpgradeBundle } from '../../build/upgrade-bundle.ts';
import { platform } from './small.ts';

/** How a version differs from the one that was built. */
export type Change = (program: string) => string;

export type OtherVersion = {
  /** Where the bundle goes, and the folder that it is made of. */
  readonly dir: string;
  readonly version: string;
  readonly change?: Change | undefined;
  /** PEM of who signs it. */
  readonly key: string;
};

/** The version that was built. */
export const builtVersion = (): string => readFileSync('dist/edgecore/version', 'utf8').trim();

/** Makes another version of what was built, and signs it.
 * @returns the path of the bundle */
export async function signedVersion({ dir, version, change, key }: OtherVersion): Promise<string> {
  const folder = join(dir, `build-${version}`);
  copyProgram(folder);
  relabel(folder, builtVersion(), version);
  if (change) edit(join(folder, 'edgecore.cjs'), change);
  const out = join(dir, `edgecore-${version}.tar.gz`);
  await makeUpgradeBundle({ folder, out, key, platform, builtAt: Date.now() });
  return out;
}

/** Gives a program another version. */
export function relabel(folder: string, from: string, to: string): void {
  writeFileSync(join(folder, 'version'), `${to}\n`);
  for (const name of ['edgecore.cjs', 'cli.cjs'])
    edit(join(folder, name), (text) => text.replaceAll(`"${from}"`, `"${to}"`));
}

export function copyProgram(to: string): void {
  cpSync('dist/edgecore', to, {
    recursive: true,
    // They are large, and the console does without.
    filter: (path) => !/uws_.*\.node$/.test(path),
  });
}

function edit(path: string, change: Change): void {
  writeFileSync(path, change(readFileSync(path, 'utf8')));
}
