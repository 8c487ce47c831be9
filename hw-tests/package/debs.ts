import { existsSync, readFileSync } from 'node:fs';
import { run } from './roots.ts';

export const VERSION = (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version;
/** Of a package that is older than any. */
export const OLD_VERSION = '0.0.1';

const made = new Map<string, string>();

/** Makes a package as `npm run deb` does, each once.
 * @returns its path */
export function makeDeb(arch: string, options: readonly string[] = [], version = VERSION): string {
  const wanted = ['--fast', '--arch', arch, '--version', version, ...options];
  const key = wanted.join(' ');
  const path = made.get(key) ?? build(wanted);
  made.set(key, path);
  return path;
}

function build(options: readonly string[]): string {
  const path =
    run(process.execPath, ['--import', 'tsx', 'build/deb/deb.ts', ...options]).split(/\s/)[0] ?? '';
  if (!existsSync(path)) throw new Error(`npm run deb made no ${path}`);
  return path;
}
