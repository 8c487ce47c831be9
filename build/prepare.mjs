// Installs and builds what is missing or older than its sources; runs before the other scripts, so it is plain JavaScript.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`edgecore needs Node.js 20.19 or later; this is ${process.versions.node}\n`);
  process.exit(1);
}

const modified = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

function newest(folder) {
  let latest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    latest = Math.max(latest, entry.isDirectory() ? newest(path) : modified(path));
  }
  return latest;
}

function run(what, command, args) {
  const started = Date.now();
  process.stdout.write(`${what} … `);
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) {
    process.stdout.write(`failed\n${stdout}${stderr}`);
    process.exit(status ?? 1);
  }
  process.stdout.write(`${((Date.now() - started) / 1000).toFixed(1)} s\n`);
}

if (modified('node_modules/.package-lock.json') < modified('package-lock.json'))
  run('installing the packages of package-lock.json', 'npm', ['ci', '--no-audit', '--no-fund']);

if (process.argv[2] === 'build') {
  const sources = ['runtime', 'mappers', 'cloud-shim', 'build', 'hw-tests/plc'].map(newest);
  const built = Math.min(modified('dist/edgecore/edgecore.cjs'), modified('dist/cloud-shim/cloud-shim.cjs'));
  if (built < Math.max(...sources, modified('package.json')))
    run('building dist/', process.execPath, ['--import', 'tsx', 'build/bundle.ts']);
}
