import { mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.ts';

/** Puts edgecore's package for arm64, with its own Node.js, into a root.
 * @param work for files in between */
export function installEdgecore(root: string, work: string): void {
  const out = mkdtempSync(join(work, 'deb-'));
  run(process.execPath, ['--import', 'tsx', 'build/deb/deb.ts', '--arch', 'arm64', '--fast', '--out', out]);
  const name = readdirSync(out).find((file) => file.endsWith('.deb'));
  if (!name) throw new Error('build/deb made no package');
  run('dpkg-deb', ['--extract', join(out, name), root]);
}
