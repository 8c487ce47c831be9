import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FOLDERS = '/usr/lib';

/** A wall clock for real programs, by libfaketime (Debian's package of that name); their monotonic clock is left alone. */
export class FakeTime {
  /** What a command is to be run by. */
  readonly prefix: readonly string[];
  private readonly dir = mkdtempSync(join(tmpdir(), 'edgecore-time-'));

  constructor() {
    this.prefix = [
      'env',
      `LD_PRELOAD=${library()}`,
      `FAKETIME_TIMESTAMP_FILE=${this.file}`,
      'FAKETIME_NO_CACHE=1',
      'DONT_FAKE_MONOTONIC=1',
    ];
    this.set('+0');
  }

  /** @param when `+5h`, `-5h`, or `@1970-01-01 00:00:10`: from then on, counted from a program's start */
  set(when: string): void {
    writeFileSync(this.file, `${when}\n`);
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  private get file(): string {
    return join(this.dir, 'time');
  }
}

/** @throws Error where the package is not installed */
function library(): string {
  for (const folder of readdirSync(FOLDERS)) {
    if (!folder.includes('linux-gnu')) continue;
    const path = join(FOLDERS, folder, 'faketime');
    try {
      if (readdirSync(path).includes('libfaketime.so.1')) return join(path, 'libfaketime.so.1');
    } catch {
      // Not here.
    }
  }
  throw new Error('libfaketime.so.1 is missing: apt-get install libfaketime');
}
