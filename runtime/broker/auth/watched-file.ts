import { type BigIntStats, type FSWatcher, readFileSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock, Timer } from '../../core/clock.ts';
import { millis, seconds } from '../../core/units.ts';

/** A file that looks the same twice, this long apart, is written to its end. */
export const SETTLE = millis(100);
/** How often it is looked at without being told: network file systems tell nothing, nor does what a symbolic link points
 * to, nor a folder that was exchanged. */
export const POLL = seconds(5);

/** A small file that is noticed to have changed, whether it was written in place, exchanged by renaming, or is reached
 * through a symbolic link. */
export class WatchedFile {
  readonly path: string;
  private readonly clock: Clock;
  /** What it looked like when it was read last. */
  private known = '';
  private poll: Timer | undefined;
  private settling: Timer | undefined;
  private watcher: FSWatcher | undefined;

  constructor(path: string, clock: Clock) {
    this.path = path;
    this.clock = clock;
  }

  /** @throws what the file system says */
  read(): string {
    this.known = appearance(this.path); // before reading: what is written meanwhile is noticed as a change
    return readFileSync(this.path, 'utf8');
  }

  /** Calls back when the file is no longer what was read, until `stop`. */
  start(changed: () => void): void {
    const look = (): void => {
      const now = appearance(this.path);
      if (!this.settling && now !== this.known) this.settle(now, changed);
    };
    this.poll = this.clock.every(POLL, look);
    try {
      // The folder, because an editor's rename gives the name to another file.
      this.watcher = watch(dirname(this.path), { persistent: false }, look);
      this.watcher.on('error', () => this.watcher?.close());
    } catch {
      // No folder, or the system has no watches left: it is polled.
    }
  }

  stop(): void {
    this.poll?.cancel();
    this.settling?.cancel();
    this.watcher?.close();
  }

  private settle(before: string, changed: () => void): void {
    this.settling = this.clock.after(SETTLE, () => {
      this.settling = undefined;
      const now = appearance(this.path);
      if (now === this.known) return;
      if (now !== before) return this.settle(now, changed);
      this.known = now;
      changed();
    });
  }
}

/** What a path looks like, to tell whether it has changed; `none` when nothing is there. */
export function appearance(path: string): string {
  let stats: BigIntStats | undefined;
  try {
    stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    // Not to be reached: as good as not there.
  }
  return stats ? `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}` : 'none';
}
