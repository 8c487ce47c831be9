import { existsSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import type { ConsoleSnapshot } from '../console/snapshot.ts';
import { livingOwner } from '../store/owner-lock.ts';

const ANSWER_LIMIT = 5000;

/** @returns the process that runs on this configuration's state; undefined when none does */
export function runningPid({ database }: Config): number | undefined {
  return livingOwner(`${database.dataSource}.owner`);
}

/** What the running edgecore's console shows; undefined when there is none to ask. */
export async function runningState({ modules }: Config): Promise<ConsoleSnapshot | undefined> {
  if (!modules.console.enable) return undefined;
  try {
    const response = await fetch(
      `http://${modules.console.address.replace(/^0\.0\.0\.0:/, '127.0.0.1:')}/api/state`,
      {
        signal: AbortSignal.timeout(ANSWER_LIMIT),
      },
    );
    return response.ok ? ((await response.json()) as ConsoleSnapshot) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the node has a certificate of its cloud. */
export function hasJoined({ modules }: Config): boolean {
  return existsSync(modules.edgeHub.tlsCertFile);
}
