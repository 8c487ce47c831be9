import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { run } from '../../build/image/run.ts';

const SECTOR = 512;

/** An image of `npm run image`, to be looked into without loop devices or mounts. */
export class ImageFile {
  readonly path: string;
  private readonly starts: readonly number[];

  constructor(path: string) {
    this.path = path;
    const { partitiontable } = JSON.parse(run('sfdisk', ['--json', path])) as {
      partitiontable: { partitions: readonly { start: number }[] };
    };
    this.starts = partitiontable.partitions.map(({ start }) => start * SECTOR);
  }

  /** Copies the files of the boot partition. */
  copyBoot(to: string): void {
    mkdirSync(to, { recursive: true });
    run('mcopy', ['-n', '-s', '-i', `${this.path}@@${this.starts[0]}`, '::/', to]);
  }

  /** Copies a folder of an ext4 partition, with owners and modes.
   * @param partition from 1 */
  copyFolder(partition: number, folder: string, to: string): void {
    mkdirSync(to, { recursive: true });
    run('debugfs', ['-R', `rdump ${folder} ${to}`, this.at(partition)]);
  }

  /** What e2fsck has to say against a partition; nothing is changed.
   * @returns empty when it is clean */
  faults(partition: number): string {
    const path = `${process.env.PATH}:/usr/sbin:/sbin`;
    const args = ['-f', '-n', this.at(partition)];
    const { status, stdout } = spawnSync('e2fsck', args, {
      encoding: 'utf8',
      env: { ...process.env, PATH: path },
    });
    return status === 0 ? '' : stdout;
  }

  private at(partition: number): string {
    return `${this.path}?offset=${this.starts[partition - 1]}`;
  }
}

/** The files of an initramfs by their name.
 * @source Linux Documentation/driver-api/early-userspace/buffer-format.rst ("newc") */
export function initramfsFiles(path: string): Map<string, Buffer> {
  const archive = gunzipSync(readFileSync(path));
  const files = new Map<string, Buffer>();
  for (let at = 0; ; ) {
    const number = (field: number): number =>
      Number.parseInt(archive.toString('latin1', at + 6 + field * 8, at + 14 + field * 8), 16);
    const [size, nameSize] = [number(6), number(11)];
    const name = archive.toString('utf8', at + 110, at + 109 + nameSize);
    if (name === 'TRAILER!!!') return files;
    const content = padded(at + 110 + nameSize);
    files.set(name, archive.subarray(content, content + size));
    at = padded(content + size);
  }
}

function padded(at: number): number {
  return (at + 3) & ~3;
}
