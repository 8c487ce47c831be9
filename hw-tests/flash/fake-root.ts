import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type FakeDisk = {
  readonly name: string;
  readonly bytes: number;
  readonly number: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly partitions?: readonly {
    readonly name: string;
    readonly number: string;
    readonly holder?: string;
  }[];
  /** Where it hangs, below `sys/devices`. */
  readonly bus?: string;
};

/** A tree with `sys`, `proc` and `dev` of a machine whose disks are files. */
export class FakeRoot {
  readonly dir = mkdtempSync(join(tmpdir(), 'edgecore-flash-'));

  constructor(disks: readonly FakeDisk[], mountinfo: string, swaps = '') {
    mkdirSync(join(this.dir, 'dev'));
    for (const disk of disks) this.add(disk);
    this.file('proc/self/mountinfo', mountinfo);
    this.file('proc/swaps', `Filename Type Size Used Priority\n${swaps}`);
  }

  /** The file that is a disk. */
  device(name: string): string {
    return join(this.dir, 'dev', name);
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  private add({ name, bytes, number, files = {}, partitions = [], bus }: FakeDisk): void {
    const folder = `sys/block/${name}`;
    this.file(`${folder}/size`, `${bytes / 512}\n`);
    this.file(`${folder}/dev`, `${number}\n`);
    if (bus) {
      mkdirSync(join(this.dir, 'sys/devices', bus), { recursive: true });
      symlinkSync(join(this.dir, 'sys/devices', bus), join(this.dir, folder, 'device'));
    }
    for (const [path, text] of Object.entries(files)) this.file(`${folder}/${path}`, `${text}\n`);
    for (const part of partitions) {
      this.file(`${folder}/${part.name}/partition`, '1\n');
      this.file(`${folder}/${part.name}/dev`, `${part.number}\n`);
      this.file(`sys/class/block/${part.name}/dev`, `${part.number}\n`);
      if (part.holder)
        mkdirSync(join(this.dir, folder, part.name, 'holders', part.holder), { recursive: true });
    }
    writeFileSync(this.device(name), '');
    truncateSync(this.device(name), bytes);
  }

  private file(path: string, text: string): void {
    const full = join(this.dir, path);
    mkdirSync(join(full, '..'), { recursive: true });
    writeFileSync(full, text);
  }
}
