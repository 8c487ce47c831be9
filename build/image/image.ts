import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ROOT } from '../../runtime/upgrade/manifest.ts';
import { makeUpgradeBundle } from '../upgrade-bundle.ts';
import { boards } from './boards.ts';
import { makeBoot, makeSlot } from './boot.ts';
import { makeDisk, makeRootFile } from './disk.ts';
import { installEdgecore } from './edgecore.ts';
import { type ImageOptions, parseOptions, usage } from './options.ts';
import { makeRoot, stripRoot } from './root.ts';
import { makeState } from './state.ts';

/** MiB of the state partition before it grows; containerd's images need more from the first minute on. */
const STATE_MIB = 128;

/** `npm run image`: see `usage`. */
async function main(): Promise<number> {
  const args = process.argv.slice(2);
  if (args.length === 0 || args.includes('--help')) {
    process.stdout.write(usage);
    return args.length === 0 ? 2 : 0;
  }
  const parsed = parseOptions(args, () => readFileSync(0, 'utf8'));
  if ('faults' in parsed) {
    process.stderr.write(`${parsed.faults.join('\n')}\n\n${usage}`);
    return 2;
  }
  // Files of the image belong to root, which a user can only be in a namespace of his own.
  if (process.getuid?.() !== 0) return inUserNamespace();
  process.umask(0o022); // what it makes is the same whoever makes it
  await makeImage(parsed.options);
  return 0;
}

async function makeImage(options: ImageOptions): Promise<void> {
  const board = boards[options.board];
  const work = mkdtempSync(join(tmpdir(), 'edgecore-image-'));
  const inWork = (name: string): string => join(work, name);
  const [root, boot, system] = [inWork('root'), inWork('boot'), inWork('system')];
  const state = randomUUID();
  try {
    if (options.out) {
      mkdirSync(inWork('state'));
      makeState(inWork('state'), options);
    }
    step(`Debian for ${board.title}`);
    makeRoot(root, {
      ...options,
      board,
      install: (folder) => installEdgecore(folder, options.version, work),
    });
    writeFileSync(join(root, 'usr/lib/edgecore-image/board'), `${options.board}\n`);
    const version = readFileSync(join(root, 'usr/lib/edgecore/version'), 'utf8').trim();
    step('kernel and what starts it');
    makeSlot(system, board, root, work);
    if (options.out) {
      cpSync(system, join(boot, 'a'), { recursive: true });
      makeBoot(boot, { board, root, state, version });
    }
    stripRoot(root);
    makeRootFile(join(system, ROOT), root);
    if (options.sign) await makeUpdate(system, options.sign, options, version);
    if (options.out) {
      step(options.out);
      mkdirSync(dirname(options.out), { recursive: true });
      const bytes = makeDisk({
        ...board,
        out: options.out,
        stateMiB: STATE_MIB,
        stateId: state,
        root: join(system, ROOT),
        boot,
        state: inWork('state'),
        work,
      });
      step(
        `${Math.round(bytes / 1e6)} MB; it holds the join token: keep it, or delete it once it is on its card`,
      );
    }
    for (const warning of board.warnings) step(`Mind: ${warning}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function makeUpdate(
  folder: string,
  key: string,
  { board, out, update }: ImageOptions,
  version: string,
): Promise<void> {
  const file = update ?? join(out ? dirname(out) : 'dist', `edgecore-system-${version}-${board}.tar.gz`);
  step(file);
  mkdirSync(dirname(file), { recursive: true });
  await makeUpgradeBundle({
    folder,
    out: file,
    key,
    platform: board,
    builtAt: Date.now(),
    system: { version },
  });
}

function step(text: string): void {
  process.stdout.write(`${text}\n`);
}

function inUserNamespace(): number {
  const namespace = ['--user', '--map-root-user', '--map-auto', '--mount'];
  const { status, error } = spawnSync(
    'unshare',
    [...namespace, process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    { stdio: 'inherit' },
  );
  if (error) throw error;
  return status ?? 1;
}

try {
  process.exit(await main());
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
