import { mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.ts';

/** Puts edgecore's package for arm64, with its own Node.js, into a root.
 * @param version default: of package.json
 * @param work for files in between */
export function installEdgecore(root: string, version: string | undefined, work: string): void {
  const out = mkdtempSync(join(work, 'deb-'));
  const options = ['--arch', 'arm64', '--fast', '--out', out, ...(version ? ['--version', version] : [])];
  run(process.execPath, ['--import', 'tsx', 'build/deb/deb.ts', ...options]);
  const name = readdirSync(out).find((file) => file.endsWith('.deb'));
  if (!name) throw new Error('build/deb made no package');
  run('dpkg-deb', ['--extract', join(out, name), root]);
}
