import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { boards } from './boards.ts';
import { makeBoot } from './boot.ts';
import { makeDisk } from './disk.ts';
import { installEdgecore } from './edgecore.ts';
import { type ImageOptions, parseOptions, usage } from './options.ts';
import { makeRoot, stripRoot } from './root.ts';
import { makeState } from './state.ts';

/** MiB of the state partition before it grows; containerd's images need more from the first minute on. */
const STATE_MIB = 128;

/** `npm run image`: see `usage`. */
function main(): number {
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
  makeImage(parsed.options);
  return 0;
}

function makeImage(options: ImageOptions): void {
  const board = boards[options.board];
  const work = mkdtempSync(join(tmpdir(), 'edgecore-image-'));
  const [root, boot, state] = ['root', 'boot', 'state'].map((name) => join(work, name)) as [
    string,
    string,
    string,
  ];
  const slots = { a: randomUUID(), b: randomUUID(), state: randomUUID() };
  try {
    mkdirSync(state);
    makeState(state, options);
    step(`Debian for ${board.title}`);
    makeRoot(root, { ...options, board, install: (folder) => installEdgecore(folder, work) });
    step('kernel and what starts it');
    makeBoot(boot, board, root, slots, work);
    stripRoot(root);
    step(options.out);
    mkdirSync(dirname(options.out), { recursive: true });
    const bytes = makeDisk({
      ...board,
      out: options.out,
      stateMiB: STATE_MIB,
      slots,
      root,
      boot,
      state,
      work,
    });
    step(
      `${Math.round(bytes / 1e6)} MB; it holds the join token: keep it, or delete it once it is on its card`,
    );
    for (const warning of board.warnings) step(`Mind: ${warning}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
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
  process.exit(main());
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
