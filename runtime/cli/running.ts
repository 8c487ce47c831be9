import { existsSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import type { ConsoleSnapshot } from '../console/snapshot.ts';
import { EdgeError, errorText } from '../core/errors.ts';
import type { Pod } from '../core/pod.ts';
import { livingOwner } from '../store/owner-lock.ts';

const ANSWER_LIMIT = 5000;

/** @returns the process that runs on this configuration's state; undefined when none does */
export function runningPid({ database }: Config): number | undefined {
  return livingOwner(`${database.dataSource}.owner`);
}

/** What the running edgecore's console shows; undefined when there is none to ask. */
export async function runningState(config: Config): Promise<ConsoleSnapshot | undefined> {
  return stateOf(config).catch(() => undefined);
}

/** @throws EdgeError NODE_NOT_RUNNING */
export async function stateOf({ modules }: Config): Promise<ConsoleSnapshot> {
  if (!modules.console.enable)
    throw new EdgeError('NODE_NOT_RUNNING', {
      detail: 'modules.console.enable is false: there is nothing to ask',
    });
  const response = await ask(`http://${local(modules.console.address)}/api/state`);
  return (await response.json()) as ConsoleSnapshot;
}

/** @returns the pods of the running edgecore, whole
 * @throws EdgeError NODE_NOT_RUNNING */
export async function podsOf(config: Config): Promise<Pod[]> {
  const response = await ask(kubeletUrl(config, '/pods'));
  return ((await response.json()) as { items: Pod[] }).items;
}

/** Where the running edgecore serves pods and logs. */
export function kubeletUrl({ modules }: Config, path: string): string {
  const { address, readOnlyPort } = modules.edged.tailoredKubeletConfig;
  return `http://${local(`${address}:${readOnlyPort}`)}${path}`;
}

async function ask(url: string): Promise<Response> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_LIMIT) });
    if (response.ok) return response;
    throw new Error(`it answers ${response.status}`);
  } catch (cause) {
    const why = cause instanceof Error && cause.cause ? errorText(cause.cause) : errorText(cause);
    throw new EdgeError('NODE_NOT_RUNNING', { detail: `${url}: ${why}`, cause });
  }
}

/** Whoever listens on every address is asked on the loopback. */
function local(address: string): string {
  return address.replace(/^(0\.0\.0\.0|\[::\]):/, '127.0.0.1:');
}

/** Whether the node has a certificate of its cloud. */
export function hasJoined({ modules }: Config): boolean {
  return existsSync(modules.edgeHub.tlsCertFile);
}
