import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { printTotals, runSuite, type SuiteResult } from './suites.ts';

/** Runs the tests: `npm test` all of them, `npm run hw-test -- NAME [--long]` one folder of hw-tests. */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { hw: { type: 'boolean', default: false }, long: { type: 'boolean', default: false } },
});

/** Tests beside the code need nothing but Node.js. */
const beside = ['runtime', 'mappers', 'cloud-shim', 'build'];
const withRealParts = readdirSync('hw-tests', { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .filter(({ name }) => readdirSync(`hw-tests/${name}`).some((file) => file.endsWith('.test.ts')))
  .map(({ name }) => `hw-tests/${name}`);

const chosen = values.hw ? positionals.map((name) => `hw-tests/${name}`) : [...beside, ...withRealParts];
const unknown = chosen.filter((suite) => !beside.includes(suite) && !withRealParts.includes(suite));
if (chosen.length === 0 || unknown.length > 0) {
  const names = withRealParts.map((folder) => folder.replace('hw-tests/', '')).join(', ');
  process.stderr.write(`name one of ${names}${unknown.length > 0 ? `; not ${unknown.join(', ')}` : ''}\n`);
  process.exit(2);
}

const results: SuiteResult[] = [];
for (const suite of chosen) results.push(await runSuite(suite, { long: values.long }));
process.exit(printTotals(results));
