import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { cliPage } from './cli-page.ts';
import { errorsPage } from './errors-page.ts';

/** The rules that no linter knows. `--write` brings generated pages up to date. */
const faults: string[] = [];
const fault = (path: string, wrong: string): number => faults.push(`${path}: ${wrong}`);

const files = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
})
  .stdout.split('\n')
  .filter((path) => path && existsSync(path));
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  version: string;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
};

for (const path of files) {
  if (path.endsWith('.ts')) checkSource(path, readFileSync(path, 'utf8'));
}
checkPage('runtime/docs/errors.md', errorsPage());
checkPage('runtime/docs/cli.md', cliPage());
checkDependencies();
checkChangelog();
checkLock();

process.stdout.write(faults.map((line) => `${line}\n`).join(''));
process.stdout.write(`${files.length} files, ${faults.length} faults\n`);
process.exit(faults.length === 0 ? 0 : 1);

function checkSource(path: string, text: string): void {
  // uvu runs nothing of a file that does not say so, and calls that passed.
  if (path.endsWith('.test.ts') && !/^test\.run\(\);$|\.run\(\);$/m.test(text))
    fault(path, 'has no test.run()');
  if (/^(utils?|helpers?|index|common|misc)\.ts$/.test(basename(path)))
    fault(path, 'the name says nothing: name the one idea that the file holds');
  if (/\b(TODO|FIXME|XXX)\b/.test(text) && path !== 'build/check.ts')
    fault(path, 'unfinished: TODO or FIXME');
  if (/\btest\.only\(/.test(text)) fault(path, 'test.only leaves out the others');
}

function checkPage(path: string, wanted: string): void {
  if (process.argv.includes('--write')) {
    mkdirSync('runtime/docs', { recursive: true });
    writeFileSync(path, wanted);
  }
  if (!existsSync(path) || readFileSync(path, 'utf8') !== wanted)
    fault(path, 'is not what the sources say: npm run check -- --write');
}

/** Each dependency is pinned, and stands in dependencies.md with its size and its reason. */
function checkDependencies(): void {
  const page = 'runtime/docs/dependencies.md';
  const text = existsSync(page) ? readFileSync(page, 'utf8') : '';
  for (const [name, range] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
    if (!/^(npm:.*@)?\d/.test(range)) fault('package.json', `${name} is not pinned: ${range}`);
    if (!text.includes(`\`${name}\``)) fault(page, `does not explain ${name}`);
  }
}

function checkChangelog(): void {
  const text = existsSync('CHANGELOG.md') ? readFileSync('CHANGELOG.md', 'utf8') : '';
  if (!text.includes(`## ${manifest.version}`)) fault('CHANGELOG.md', `says nothing of ${manifest.version}`);
}

/** A lockfile that names a registry would bind every user to it. */
function checkLock(): void {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, { resolved?: string }>;
  };
  for (const [path, { resolved }] of Object.entries(lock.packages))
    if (resolved?.startsWith('http')) fault('package-lock.json', `${path} names a registry: ${resolved}`);
}
