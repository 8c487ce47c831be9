import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { seconds } from '../core/units.ts';
import type { CriCall } from '../wire/cri.ts';
import type { ObservedPod } from './observed.ts';

export type LogBudgetDeps = {
  readonly call: CriCall;
  readonly podLogsDir: string;
  /** Bytes of one file, and files of one container, the one in writing included. */
  readonly maxSize: number;
  readonly maxFiles: number;
  readonly clock: Clock;
  readonly log: Logger;
};

const LOOK = seconds(10);

/** Keeps the logs of containers within bounds: a file that is full is put aside and the runtime opens a new one; the oldest
 * that were put aside go. Else one chatty container fills the disk of the whole node.
 * @source kubelet pkg/kubelet/logs container_log_manager.go */
export class LogBudget {
  private readonly deps: LogBudgetDeps;
  private lookedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: LogBudgetDeps) {
    this.deps = deps;
  }

  /** Looks at the logs of the containers that run, every ten seconds at most. Never rejects. */
  async keep(pods: Iterable<ObservedPod>): Promise<void> {
    const { clock, podLogsDir, log } = this.deps;
    if (clock.monotonic() - this.lookedAt < LOOK) return;
    this.lookedAt = clock.monotonic();
    for (const { namespace, name, uid, containers } of pods) {
      const folder = join(podLogsDir, `${namespace}_${name}_${uid}`);
      for (const { id, attempt, state, name: container } of containers) {
        if (state !== 'running') continue;
        await this.rotate(join(folder, container, `${attempt}.log`), id).catch((error) => {
          log.warn('a log cannot be put aside', { pod: `${namespace}/${name}`, reason: errorText(error) });
        });
      }
    }
  }

  private async rotate(path: string, containerId: string): Promise<void> {
    const { call, clock, maxSize } = this.deps;
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) <= maxSize) return;
    // Room first: one that fails half-way must not leave one file more each time.
    this.dropOldest(path);
    const stamp = new Date(clock.now())
      .toISOString()
      .replace(/[-:]|\..*/g, '')
      .replace('T', '-');
    const aside = `${path}.${stamp}`;
    renameSync(path, aside);
    try {
      await call('reopenContainerLog', { containerId });
    } catch (error) {
      // The runtime goes on writing to the file that it has open: under its old name.
      if (!existsSync(path)) renameSync(aside, path);
      throw error;
    }
  }

  private dropOldest(path: string): void {
    const prefix = `${basename(path)}.`;
    const folder = dirname(path);
    const aside = readdirSync(folder)
      .filter((name) => name.startsWith(prefix))
      .sort();
    // One more is about to be put aside, and one is in writing.
    const surplus = aside.length - (this.deps.maxFiles - 2);
    for (const name of aside.slice(0, Math.max(0, surplus))) rmSync(join(folder, name));
  }
}
