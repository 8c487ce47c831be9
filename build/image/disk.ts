import { randomBytes } from 'node:crypto';
import {
  closeSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Slots } from './boot.ts';
import { run } from './run.ts';

const MIB = 1024 * 1024;
/** Where the first partition begins: erase blocks of cards are a multiple of no more than this. */
export const START_MIB = 4;
/** What a file system of a slot is larger than its content, so that the next version still fits. */
const SLOT_ROOM = 1.5;

export type DiskOptions = {
  readonly out: string;
  readonly loader: 'uefi' | 'raspberry';
  readonly bootMiB: number;
  readonly stateMiB: number;
  readonly slots: Slots;
  /** Folders with what goes into the partitions. */
  readonly boot: string;
  readonly root: string;
  readonly state: string;
  readonly work: string;
};

/** Makes the image: boot (FAT), slot A, slot B (empty), state; the last one grows at the first start. Works on files
 * alone, without loop devices or mounts.
 * @returns bytes of the image */
export function makeDisk(options: DiskOptions): number {
  const { out, slots, work } = options;
  const slotMiB = Math.ceil((megabytesOf(options.root) * SLOT_ROOM) / 64) * 64;
  const sizes = [options.bootMiB, slotMiB, slotMiB, options.stateMiB];
  const starts = sizes.map((_, i) => START_MIB + sizes.slice(0, i).reduce((sum, size) => sum + size, 0));
  const total = START_MIB + sizes.reduce((sum, size) => sum + size, 0);
  writeFileSync(out, '');
  truncateSync(out, total * MIB);
  const types = [options.loader === 'uefi' ? 'ef' : 'c', '83', '83', '83'];
  const table = sizes.map(
    (size, i) =>
      `start=${(starts[i] ?? 0) * 2048}, size=${size * 2048}, type=${types[i]}${i === 0 ? ', bootable' : ''}`,
  );
  const id = randomBytes(4).toString('hex');
  run('sfdisk', ['--quiet', out], { input: `label: dos\nlabel-id: 0x${id}\n${table.join('\n')}\n` });
  const [bootAt = 0, slotA = 0, , stateAt = 0] = starts;
  fat(out, bootAt, options);
  const rootFile = join(work, 'root.ext4');
  // Never written to, so it needs no journal.
  ext4(rootFile, {
    folder: options.root,
    uuid: slots.a,
    label: 'edgecore-a',
    mib: slotMiB,
    flags: ['-O', '^has_journal'],
  });
  copySparse(rootFile, out, slotA * MIB);
  const stateFile = join(work, 'state.ext4');
  ext4(stateFile, {
    folder: options.state,
    uuid: slots.state,
    label: 'edgecore-state',
    mib: options.stateMiB,
    flags: [],
  });
  copySparse(stateFile, out, stateAt * MIB);
  return total * MIB;
}

function fat(out: string, atMiB: number, { boot, bootMiB }: DiskOptions): void {
  const image = `${out}@@${atMiB}M`;
  // Sectors of 512 bytes; mformat must be told the size, as the file goes on behind the partition.
  run('mformat', ['-i', image, '-F', '-T', `${bootMiB * 2048}`, '-v', 'EDGECORE', '::']);
  run('mcopy', ['-i', image, '-s', '-Q', '-m', ...readdirSync(boot).map((name) => join(boot, name)), '::']);
}

type Ext4 = { folder: string; uuid: string; label: string; mib: number; flags: readonly string[] };

function ext4(file: string, { folder, uuid, label, mib, flags }: Ext4): void {
  writeFileSync(file, '');
  truncateSync(file, mib * MIB);
  const extended = 'root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0';
  run('mke2fs', [
    '-q',
    '-F',
    '-t',
    'ext4',
    '-m',
    '0',
    '-U',
    uuid,
    '-L',
    label,
    '-E',
    extended,
    '-d',
    folder,
    ...flags,
    file,
  ]);
}

/** Copies a file into another one, leaving holes where it has zeros. */
export function copySparse(from: string, to: string, offset: number): void {
  const source = openSync(from, 'r');
  const target = openSync(to, 'r+');
  const chunk = Buffer.alloc(MIB);
  const zeros = Buffer.alloc(MIB);
  const { size } = statSync(from);
  for (let at = 0; at < size; at += MIB) {
    const length = readSync(source, chunk, 0, MIB, at);
    if (!chunk.subarray(0, length).equals(zeros.subarray(0, length)))
      writeSync(target, chunk, 0, length, offset + at);
  }
  closeSync(source);
  closeSync(target);
}

function megabytesOf(folder: string): number {
  return Number(run('du', ['-sm', folder]).split('\t')[0]);
}
