import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../runtime/core/clock.ts';
import { createLogger } from '../../runtime/core/log.ts';
import { Metrics } from '../../runtime/core/metrics.ts';
import { Store } from '../../runtime/store/store.ts';

/** A store on the disk of a test, and what it says. */
export type OpenStore = { readonly store: Store; readonly metrics: Metrics; readonly lines: string[] };

export function openStore(path: string): OpenStore {
  const metrics = new Metrics();
  const lines: string[] = [];
  const log = createLogger({ level: 'info', clock: systemClock, write: (line) => lines.push(line) });
  return { store: new Store({ path, clock: systemClock, log, metrics }), metrics, lines };
}

export function metric({ metrics }: OpenStore, name: string): number {
  const escaped = name.replace(/[{}]/g, '\\$&');
  return Number(new RegExp(`^${escaped} (.*)$`, 'm').exec(metrics.render())?.[1]);
}

/** A file system of a few megabytes of its own. */
export class SmallDisk {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static mount(megabytes: number): SmallDisk {
    const path = mkdtempSync(join(tmpdir(), 'small-disk-'));
    run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path]);
    return new SmallDisk(path);
  }

  /** Takes every byte that is left. */
  fill(): void {
    // It ends because the disk is full, with a bad status.
    spawnSync('dd', ['if=/dev/zero', `of=${this.filler}`, 'bs=4k']);
    spawnSync('dd', ['if=/dev/zero', `of=${this.filler}-rest`, 'bs=1']);
  }

  free(): void {
    for (const suffix of ['', '-rest']) rmSync(this.filler + suffix, { force: true });
  }

  readOnly(is: boolean): void {
    run('mount', ['-o', `remount,${is ? 'ro' : 'rw'}`, this.path]);
  }

  /** As when the power goes: who has files open does not keep it from being used again. */
  unmount(): void {
    run('umount', ['-l', this.path]);
    rmSync(this.path, { recursive: true, force: true });
  }

  private get filler(): string {
    return join(this.path, 'filler');
  }
}

export function canMount(): boolean {
  const dir = mkdtempSync(join(tmpdir(), 'small-disk-'));
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', dir]).status === 0;
  if (isMounted) spawnSync('umount', [dir]);
  rmSync(dir, { recursive: true });
  return isMounted;
}

function run(command: string, args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}
