import type { ObservedContainer } from './observed.ts';

const FIRST = 10_000;
const CAP = 300_000;
/** A run of this length starts the series over. */
const STABLE = 600_000;

type Entry = { id: string; failures: number; until: number };

/** When a container that keeps failing may be tried again: at once, then after 10 s, 20 s … 5 minutes.
 * @source Kubernetes: Pod Lifecycle, container restarts */
export class RestartBackoff {
  private readonly entries = new Map<string, Entry>();

  /** Takes note of a run that ended. */
  exited(container: ObservedContainer): void {
    const known = this.entries.get(container.name);
    if (known?.id === container.id) return;
    const stable = container.finishedAt - container.startedAt > STABLE;
    // After a restart of this process the attempts tell how long the series was.
    const failures = stable ? 1 : (known?.failures ?? container.attempt) + 1;
    this.entries.set(container.name, {
      id: container.id,
      failures,
      until: container.finishedAt + wait(failures - 1),
    });
  }

  /** Takes note of a start that did not come about. */
  failed(name: string, now: number): void {
    const failures = (this.entries.get(name)?.failures ?? 0) + 1;
    this.entries.set(name, { id: '', failures, until: now + wait(failures) });
  }

  /** The container runs, or what held it up may be gone. */
  clear(name?: string): void {
    if (name === undefined) {
      for (const [key, entry] of this.entries) if (entry.id === '') this.entries.delete(key);
    } else if (this.entries.get(name)?.id === '') this.entries.delete(name);
  }

  /** ms since epoch; 0 when it may start at once, as after the clock was set back. */
  notBefore(name: string, now: number): number {
    const until = this.entries.get(name)?.until ?? 0;
    return until - now > CAP ? 0 : until;
  }
}

function wait(failures: number): number {
  return failures <= 0 ? 0 : Math.min(FIRST * 2 ** (failures - 1), CAP);
}
