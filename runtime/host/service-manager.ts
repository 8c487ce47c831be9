import { execFile } from 'node:child_process';
import { type Millis, millis } from '../core/units.ts';

/** Who started this process and wants to know how it is. */
export interface ServiceManager {
  /** How often it wants to hear that all is well, else it starts the process anew; undefined: it does not. */
  readonly watchdog: Millis | undefined;
  /** Tells it something; what cannot be told is lost.
   * @param states `READY=1`, `STATUS=…`, as in sd_notify(3)
   * @returns resolves when it is told */
  tell(...states: readonly string[]): Promise<void>;
  /** Has it forget how often this process was started anew: the pause before the next time is the shortest again.
   * @returns resolves when that is done */
  forgive(): Promise<void>;
}

export type ServiceManagerDeps = {
  /** The variables that systemd sets are taken out, so that no program started from here speaks in our name. */
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
  /** Runs systemd-notify(1). */
  readonly run: (states: readonly string[], env: NodeJS.ProcessEnv) => Promise<void>;
  /** Runs `systemctl reset-failed`. */
  readonly reset: (env: NodeJS.ProcessEnv) => Promise<void>;
};

const UNIT = 'edgecore.service';
/** systemd-notify waits until systemd has read the message. */
const LIMIT = 10_000;

/** systemd, when it has started this process and waits for a word; else nobody, who is told nothing.
 * Node.js has no datagram sockets of the unix kind, so systemd's own program speaks: docs/decisions/0006-systemd.md.
 * @source sd_notify(3), sd_watchdog_enabled(3) */
export function serviceManager(deps: ServiceManagerDeps): ServiceManager {
  const { env, pid, run, reset } = deps;
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: period, WATCHDOG_PID: watched } = env;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
  if (!socket) return { watchdog: undefined, tell: async () => {}, forgive: async () => {} };
  const isForUs = watched === undefined || Number(watched) === pid;
  const microseconds = Number(period);
  let last = Promise.resolve();
  return {
    watchdog: isForUs && microseconds > 0 ? millis(microseconds / 1000) : undefined,
    tell(...states) {
      // One after the other: systemd must not hear of the end before the beginning.
      last = last.then(() => run(states.map(oneLine), { ...env, NOTIFY_SOCKET: socket }));
      return last;
    },
    forgive: () => reset(env),
  };
}

/** Runs systemd-notify; that it is missing or fails shows in systemd, which hears nothing. */
export function runSystemdNotify(states: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  return runQuietly('systemd-notify', [...states], env);
}

/** Runs systemctl; when it is refused the next pause is longer, and nothing else comes of it. systemd counts every start
 * that it was not told to do, over months, and never the time between them.
 * @source systemd.service(5), RestartSteps= */
export function resetRestarts(env: NodeJS.ProcessEnv): Promise<void> {
  return runQuietly('systemctl', ['reset-failed', UNIT], env);
}

function runQuietly(program: string, args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  return new Promise((resolve) => {
    execFile(program, args, { env, timeout: LIMIT, killSignal: 'SIGKILL' }, () => resolve());
  });
}

/** A line end would begin another assignment. */
function oneLine(state: string): string {
  return state.replace(/[\r\n]+/g, ' ');
}
