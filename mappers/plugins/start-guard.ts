import { join } from 'node:path';
import type { Clock, Timer } from '../../runtime/core/clock.ts';
import { millis, minutes } from '../../runtime/core/units.ts';
import { readFile, rm, writeFile } from './files.ts';

const FILE = '.starts';
const PATIENCE = 3;
const STEADY = minutes(1);
/** How long plugins wait then. */
export const HOLD = minutes(5);

/** Counts starts of edgecore that did not last while there were plugins: V8 ends the whole process when a worker wants more
 * memory at once than its limit leaves, and a plugin that does so at each start must not keep edgecore from coming up. */
export class StartGuard {
  private readonly path: string;
  private readonly clock: Clock;
  private steady: Timer | undefined;

  constructor(folder: string, clock: Clock) {
    this.path = join(folder, FILE);
    this.clock = clock;
  }

  /** Notes a start. @returns why plugins should wait, or undefined */
  async begin(): Promise<string | undefined> {
    const starts = Number(await readFile(this.path, 'utf8').catch(() => '0')) || 0;
    if (starts >= PATIENCE) {
      // The next one that does not last makes them wait again.
      this.steady = this.clock.after(millis(HOLD + STEADY), () => void this.end());
      return `edgecore ended ${starts} times within a minute of its start while mapper plugins ran: they are tried again in 5 minutes, or when edgecore is restarted; \`edgecore mapper disable NAME\` leaves one out`;
    }
    // A folder that cannot be written is told of by whoever writes to it next.
    await writeFile(this.path, String(starts + 1)).catch(() => {});
    this.steady = this.clock.after(STEADY, () => void this.end());
    return undefined;
  }

  /** It lasted, or was asked to stop. */
  async end(): Promise<void> {
    this.steady?.cancel();
    await rm(this.path, { force: true }).catch(() => {});
  }
}
