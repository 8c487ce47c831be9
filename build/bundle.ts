import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild';
import { writeLauncher } from './launcher.ts';
import { lean, passing } from './lean-plugin.ts';
import { licences } from './licences.ts';
import { bareNative } from './native-plugin.ts';
import { makeUpgradeBundle } from './upgrade-bundle.ts';

/** Makes `dist/`: `npm run build -- [--target linux-x64|linux-arm64|linux-arm]`, by default for this machine; with
 * `--sign KEY` also what `edgecore upgrade` takes, signed with the Ed25519 private key in that PEM file.
 * `--edgecore FOLDER [--version V]` makes edgecore alone, elsewhere: what packages are made of. */
const { values } = parseArgs({
  options: {
    target: { type: 'string', default: `${process.platform}-${process.arch}` },
    sign: { type: 'string' },
    edgecore: { type: 'string' },
    version: { type: 'string' },
  },
});
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const version = values.version ?? manifest.version;

/** Node's flags of each program. They are part of the product: see docs/decisions/0001-node-flags.md. */
const programs = [
  {
    name: 'edgecore',
    entry: 'runtime/main.ts',
    // One malloc arena: each thread of the pool would keep a heap of its own. A fixed threshold: what a burst of traffic
    // took is given back after it, instead of being kept for the next.
    env: 'MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072',
    flags: [
      '--max-semi-space-size=1 --liftoff-only --optimize-for-size --max-lazy --v8-pool-size=1 --no-sparkplug',
      // Garbage is looked for when the heap has grown by 2 MB since the last time; V8 would wait for 9.
      '--incremental-marking-soft-trigger=25 --incremental-marking-hard-trigger=40',
    ].join(' '),
  },
  { name: 'cloud-shim', entry: 'cloud-shim/main.ts', env: '', flags: '--max-semi-space-size=4' },
  { name: 'edgecore-flash', entry: 'build/image/flash/flash.ts', env: '', flags: '' },
] as const;

const COMMANDS = 'runtime/cli/cli.ts';
/** The commands are a file of their own: the node would else keep their text in memory. */
const commandsApart: Plugin = {
  name: 'commands-apart',
  setup(builder) {
    builder.onResolve({ filter: /\/cli\/cli\.ts$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: './cli.cjs', external: true } : undefined,
    );
  },
};

/** What only the demonstration and the tests run. */
const tools = [
  { name: 'mini-master', entry: 'cloud-shim/mini-master/main.ts' },
  { name: 'plc', entry: 'hw-tests/plc/main.ts' },
] as const;

/** The serial port's native file of each target, as its package names it. */
const serialFiles: Readonly<Record<string, string>> = {
  'linux-x64': 'linux-x64/@serialport+bindings-cpp.glibc.node',
  'linux-arm64': 'linux-arm64/@serialport+bindings-cpp.armv8.glibc.node',
  'linux-arm': 'linux-arm/@serialport+bindings-cpp.armv6.glibc.node',
  'darwin-x64': 'darwin-x64+arm64/@serialport+bindings-cpp.node',
  'darwin-arm64': 'darwin-x64+arm64/@serialport+bindings-cpp.node',
};

for (const { name, entry, env, flags } of programs) {
  if (values.edgecore && name !== 'edgecore') continue;
  const folder = values.edgecore ?? join('dist', name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const yaml =
    name === 'edgecore' ? [passing('yaml', ['parseDocument', 'parseAllDocuments', 'stringify'])] : [];
  const { inputs } = await bundle(entry, join(folder, `${name}.cjs`), yaml);
  const beside = yaml.length > 0 ? await bundle('yaml', join(folder, 'yaml.cjs')) : { inputs: {} };
  writeFileSync(join(folder, 'THIRD-PARTY-LICENSES.txt'), licences({ ...inputs, ...beside.inputs }));
  copyFileSync('LICENSE', join(folder, 'LICENSE'));
  writeLauncher(join(folder, name), { script: `${name}.cjs`, env, flags, slots: name === 'edgecore' });
}
const edgecore = values.edgecore ?? join('dist', 'edgecore');
await bundle(COMMANDS, join(edgecore, 'cli.cjs'));
writeFileSync(join(edgecore, 'version'), `${version}\n`);
await bundlePlugins(edgecore);
copyNative(edgecore, values.target);
if (!values.edgecore) {
  copyDefinitions(join('dist', 'cloud-shim', 'crds'));
  for (const { name, entry } of tools) await bundle(entry, join('dist', 'dev', `${name}.cjs`));
}
if (values.sign) await signedBundle(values.sign);

async function signedBundle(key: string): Promise<void> {
  const out = join('dist', `edgecore-${version}-${values.target}.tar.gz`);
  const platform = values.target;
  await makeUpgradeBundle({
    folder: edgecore,
    out,
    key: readFileSync(key, 'utf8'),
    platform,
    builtAt: builtAt(),
  });
  process.stdout.write(`${out}\n`);
}

async function bundle(entry: string, outfile: string, plugins: readonly Plugin[] = []): Promise<Metafile> {
  const { metafile } = await build({
    ...bundleOptions(entry, outfile),
    format: 'cjs',
    metafile: true,
    define: {
      EDGECORE_VERSION: JSON.stringify(version),
      EDGECORE_BUILT_AT: String(builtAt()),
      // ws looks for native helpers by a path search that finds another package's file in a bundle.
      'process.env.WS_NO_BUFFER_UTIL': '"1"',
      'process.env.WS_NO_UTF_8_VALIDATE': '"1"',
    },
    external: ['bufferutil', 'utf-8-validate'],
    plugins: [bareNative, lean, commandsApart, ...plugins],
  });
  return metafile;
}

/** What the workers of mapper plugins run, and what `edgecore mapper new` copies. */
async function bundlePlugins(folder: string): Promise<void> {
  const template = join(folder, 'mapper-template');
  await build(bundleOptions('mappers/plugins/worker/main.ts', join(folder, 'mapper-worker.mjs')));
  cpSync('mappers/template', template, { recursive: true });
  await build(bundleOptions('mappers/plugins/worker/kit-for-tests.ts', join(template, 'kit.mjs')));
}

function bundleOptions(entry: string, outfile: string): BuildOptions {
  return {
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    // Short source text is less memory; names stay, so that a stack trace can be read.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'warning',
  };
}

/** The time of the last commit, so that the same sources make the same bundle. */
function builtAt(): number {
  const { SOURCE_DATE_EPOCH: epoch } = process.env;
  if (epoch) return Number(epoch) * 1000;
  const { stdout, status } = spawnSync('git', ['log', '-1', '--format=%ct'], { encoding: 'utf8' });
  return status === 0 ? Number(stdout) * 1000 : Date.UTC(2026, 0, 1);
}

function copyNative(folder: string, target: string): void {
  const serial = serialFiles[target];
  if (!serial) {
    process.stderr.write(`no native files for ${target}: there are ${Object.keys(serialFiles).join(', ')}\n`);
    process.exit(1);
  }
  copyFileSync(
    join('node_modules/@serialport/bindings-cpp/prebuilds', serial),
    join(folder, 'serialport.node'),
  );
  copyFileSync(
    'node_modules/node-sqlite3-wasm/dist/node-sqlite3-wasm.wasm',
    join(folder, 'node-sqlite3-wasm.wasm'),
  );
  const prefix = `uws_${target.replace('-', '_')}_`;
  // The first one has the oldest C library's needs, so its files win.
  for (const from of ['node_modules/uWebSockets.js-next', 'node_modules/uWebSockets.js/binaries']) {
    if (!existsSync(from)) continue;
    for (const file of readdirSync(from)) {
      if (file.startsWith(prefix) && Number(file.match(/_(\d+)\.node$/)?.[1]) >= 115)
        copyFileSync(join(from, file), join(folder, file));
    }
  }
}

function copyDefinitions(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const file of readdirSync('cloud-shim/crds'))
    if (file.endsWith('.yaml')) copyFileSync(join('cloud-shim/crds', file), join(folder, file));
}
