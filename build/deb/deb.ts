import { mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hasNodeBuild, LIBRARIES, nodeBuild, run } from './node-builds.ts';
import { type Layout, writeTarball, writeTree } from './tree.ts';

const usage = `npm run deb -- [OPTIONS]: makes a Debian package and a tarball in dist/deb/

  --arch amd64|arm64|armhf     default: of this machine
  --variant carried|system     with its own Node.js (default on amd64 and arm64), or with Debian's nodejs
  --version VERSION            default: of package.json
  --out FOLDER                 default: dist/deb
  --fast                       compressed in seconds instead of a minute, and a third larger
`;

/** Debian's name of an architecture, and the bundle's. */
const targets: Readonly<Record<string, string>> = {
  amd64: 'linux-x64',
  arm64: 'linux-arm64',
  armhf: 'linux-arm',
};
const machine = Object.keys(targets).find((arch) => targets[arch] === `linux-${process.arch}`) ?? 'amd64';
const OUT = 'dist/deb';
const CACHE = 'node_modules/.cache/edgecore';

try {
  main();
} catch (error) {
  process.stderr.write(`deb: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

function main(): void {
  const { values } = parseArgs({
    options: {
      arch: { type: 'string', default: machine },
      variant: { type: 'string' },
      version: { type: 'string' },
      fast: { type: 'boolean', default: false },
      out: { type: 'string', default: OUT },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return void process.stdout.write(usage);
  const { arch, fast, out } = values;
  const target = targets[arch];
  if (!target) throw new Error(`--arch ${arch}: want one of ${Object.keys(targets).join(', ')}`);
  const variant = values.variant ?? (hasNodeBuild(arch) ? 'carried' : 'system');
  if (variant !== 'carried' && variant !== 'system')
    throw new Error(`--variant ${variant}: want carried or system`);
  if (variant === 'carried' && !hasNodeBuild(arch))
    throw new Error(`--variant carried: there is no official Node.js for ${arch}; want --variant system`);

  const upstream = values.version ?? ownVersion();
  if (!/^\d[0-9A-Za-z.~]*$/.test(upstream))
    throw new Error(`--version ${upstream}: want digits, letters, dots and ~, as in 0.2.0~rc1`);
  // Two packages of one name must differ in their version; the one with Debian's nodejs says so.
  const version = variant === 'system' ? `${upstream}+system` : upstream;
  const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? run('git', ['log', '-1', '--format=%ct']));
  const work = join(out, `work-${version}-${arch}`);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });

  const bundle = join(work, 'bundle');
  const options = ['--target', target, '--edgecore', bundle, '--version', upstream];
  run(process.execPath, ['--import', 'tsx', 'build/bundle.ts', ...options], {
    SOURCE_DATE_EPOCH: `${epoch}`,
  });
  const node = variant === 'carried' && hasNodeBuild(arch) ? nodeBuild(arch, CACHE) : undefined;
  const layout: Layout = {
    root: join(work, 'root'),
    bundle,
    node,
    version,
    arch,
    epoch,
    depends: node ? LIBRARIES : `nodejs (>= 20.19), ${LIBRARIES}`,
  };
  writeTree(layout);
  const name = `edgecore_${version}_${arch}`;
  const compression = fast ? ['-Zgzip', '-z3'] : ['-Zxz', '-z6'];
  const deb = join(out, `${name}.deb`);
  run('dpkg-deb', ['--root-owner-group', ...compression, '--build', layout.root, deb], {
    SOURCE_DATE_EPOCH: `${epoch}`,
  });
  const tarball = join(out, `${name.replaceAll('_', '-')}.tar.gz`);
  writeTarball(layout, join(work, `edgecore-${version}`), tarball);
  rmSync(work, { recursive: true });
  for (const path of [deb, tarball])
    process.stdout.write(`${path}  ${(statSync(path).size / 1e6).toFixed(1)} MB\n`);
}

function ownVersion(): string {
  return (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version;
}
