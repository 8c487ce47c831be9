import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { listMedia, type Medium } from './media.ts';
import { prepare, prepareUsage } from './prepare.ts';
import { progressBar } from './progress.ts';
import { verifyImage, writeImage } from './write.ts';

const usage = `edgecore-flash: puts a gateway's system on its card

  edgecore-flash list
  edgecore-flash write IMAGE [DISK] [--yes]
      writes an image of "npm run image" to a card and reads it back. Without DISK it takes the one card there is.
${prepareUsage}
  --yes         does not ask; DISK must then be named
  --root DIR    looks for sys, proc and dev below DIR
`;

/** Exit codes: 0 done, 1 could not, 2 the command line is wrong. */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      yes: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      root: { type: 'string', default: '/' },
      join: { type: 'string' },
      'enrolment-port': { type: 'string' },
      token: { type: 'string' },
      'node-name': { type: 'string' },
      'ssh-key': { type: 'string' },
      wifi: { type: 'string' },
      country: { type: 'string' },
      'static-ip': { type: 'string' },
      config: { type: 'string' },
      deb: { type: 'string' },
    },
  });
  const [command, ...rest] = positionals;
  if (values.help) return say(usage, 0);
  if (command === 'list') return list(values.root);
  if (command === 'write') return write(rest, values);
  if (command === 'prepare') return prepare(rest, values, (disk) => pick(values.root, disk, 0));
  return complain(usage, 2);
}

function list(root: string): number {
  for (const medium of listMedia(root))
    process.stdout.write(
      `${describe(medium)}${medium.refusal ? ` - not this one: ${medium.refusal}` : ''}\n`,
    );
  return 0;
}

async function write(
  args: readonly string[],
  { yes, root }: { yes: boolean; root: string },
): Promise<number> {
  const [image, disk] = args;
  if (!image || (yes && !disk)) return complain(usage, 2);
  if (!existsSync(image)) return complain(`there is no ${image}\n`, 1);
  const { size } = statSync(image);
  if (!isImage(image))
    return complain(`${image} has no partition table: it is no image of a whole disk\n`, 1);
  const medium = pick(root, disk, size);
  if (typeof medium === 'string') return complain(medium, 1);
  if (!yes && !(await asked(image, medium))) return complain('nothing was written\n', 1);
  for (const path of medium.mounts) unmount(path);
  const bar = progressBar(process.stdout, () => performance.now());
  await writeImage(image, medium.path, bar);
  // What is read back must come from the medium, not from this machine's memory.
  if (isBlockDevice(medium.path)) spawnSync('blockdev', ['--flushbufs', medium.path]);
  const differs = await verifyImage(image, medium.path, bar);
  if (differs !== undefined)
    return complain(
      `${medium.path} did not keep what was written, first at byte ${differs}: take another card\n`,
      1,
    );
  const ejected = isBlockDevice(medium.path) && spawnSync('eject', [medium.path]).status === 0;
  return say(
    `${medium.path} is written and verified${ejected ? ' and ejected' : ''}: it can be taken out\n`,
    0,
  );
}

/** The disk that is meant, when it may be written to.
 * @returns it, or why not */
function pick(root: string, disk: string | undefined, bytes: number): Medium | string {
  const media = listMedia(root);
  const possible = media.filter(({ refusal }) => !refusal);
  if (!disk && possible.length !== 1)
    return possible.length === 0
      ? `there is no card:\n${media.map((m) => `  ${describe(m)}: ${m.refusal}\n`).join('')}`
      : `there are several, name one:\n${possible.map((m) => `  ${describe(m)}\n`).join('')}`;
  const found = disk ? media.find(({ name, path }) => disk === name || disk === path) : possible[0];
  if (!found) return `there is no disk ${disk}: ${media.map(({ name }) => name).join(', ')}\n`;
  if (found.refusal) return `${describe(found)} is not written to: ${found.refusal}\n`;
  if (found.bytes < bytes) return `${describe(found)} is too small for ${Math.ceil(bytes / 1e6)} MB\n`;
  return found;
}

function describe({ path, title, bytes }: Medium): string {
  return `${path} (${title}, ${(bytes / 1e9).toFixed(1)} GB)`;
}

async function asked(image: string, medium: Medium): Promise<boolean> {
  const mounted = medium.mounts.length > 0 ? ` It is open as ${medium.mounts.join(', ')}.` : '';
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const question = `Write ${image} to ${describe(medium)}? All that is on it will be lost.${mounted} Type ${medium.name}: `;
  // Without an answer nothing happens, also when nobody is there to give one.
  const answer = await Promise.race([
    terminal.question(question),
    new Promise<string>((resolve) => terminal.once('close', () => resolve(''))),
  ]);
  terminal.close();
  return answer.trim() === medium.name;
}

function unmount(path: string): void {
  const { status, stderr } = spawnSync('umount', [path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${path} cannot be closed: ${stderr.trim()}`);
}

function isImage(path: string): boolean {
  const sector = Buffer.alloc(512);
  const file = openSync(path, 'r');
  readSync(file, sector, 0, 512, 0);
  closeSync(file);
  return sector.readUInt16BE(510) === 0x55aa;
}

function isBlockDevice(path: string): boolean {
  return statSync(path).isBlockDevice();
}

function say(text: string, code: number): number {
  process.stdout.write(text);
  return code;
}

function complain(text: string, code: number): number {
  process.stderr.write(text);
  return code;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
