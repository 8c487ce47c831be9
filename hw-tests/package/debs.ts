import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { relabel } from '../upgrade/version.ts';
import { run } from './roots.ts';

export const VERSION = (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version;
/** Of a package that is older than any. */
export const OLD_VERSION = '0.0.1';

const made = new Map<string, string>();

/** Makes a package as `npm run deb` does, each once.
 * @returns its path */
export function makeDeb(arch: string, options: readonly string[] = []): string {
  const wanted = ['--fast', '--arch', arch, ...options];
  const key = wanted.join(' ');
  const path = made.get(key) ?? build(wanted);
  made.set(key, path);
  return path;
}

/** Makes the package of the version before out of a package; what differs is only what says the version.
 * @returns its path */
export function olderDeb(deb: string): string {
  const work = mkdtempSync(join(tmpdir(), 'older-deb-'));
  run('dpkg-deb', ['--raw-extract', deb, work]);
  relabel(join(work, 'usr/lib/edgecore'), VERSION, OLD_VERSION);
  const control = join(work, 'DEBIAN/control');
  const text = readFileSync(control, 'utf8');
  writeFileSync(control, text.replace(/^Version: .*$/m, `Version: ${OLD_VERSION}`));
  const arch = /^Architecture: (.*)$/m.exec(text)?.[1];
  const path = join(dirname(deb), `edgecore_${OLD_VERSION}_${arch}.deb`);
  run('dpkg-deb', ['--root-owner-group', '-Znone', '--build', work, path]);
  rmSync(work, { recursive: true });
  return path;
}

/** @returns the path of the tarball that was made with a package */
export function tarballOf(deb: string): string {
  return deb.replace(/edgecore_(.*)_(.*)\.deb$/, 'edgecore-$1-$2.tar.gz');
}

function build(options: readonly string[]): string {
  const path =
    run(process.execPath, ['--import', 'tsx', 'build/deb/deb.ts', ...options]).split(/\s/)[0] ?? '';
  if (!existsSync(path)) throw new Error(`npm run deb made no ${path}`);
  return path;
}
