import { existsSync, readFileSync } from 'node:fs';
import { run } from './roots.ts';

export const VERSION = (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version;
/** Of a package that is older than any. */
export const OLD_VERSION = '0.0.1';

/** Makes a package as `npm run deb` does.
 * @returns its path */
export function makeDeb(arch: string, options: readonly string[] = [], version = VERSION): string {
  const args = [
    '--import',
    'tsx',
    'build/deb/deb.ts',
    '--fast',
    '--arch',
    arch,
    '--version',
    version,
    ...options,
  ];
  const path = run(process.execPath, args).split(/\s/)[0] ?? '';
  if (!existsSync(path)) throw new Error(`npm run deb made no ${path}`);
  return path;
}
