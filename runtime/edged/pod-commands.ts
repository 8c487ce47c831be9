import { seconds } from '../core/units.ts';
import type { CriCall } from '../wire/cri.ts';
import type { ObservedContainer, ObservedPod } from './observed.ts';

/** What a command printed and how it ended. */
export type CommandResult = { readonly stdout: string; readonly stderr: string; readonly exitCode: number };

const STOP_GRACE = 3;
const EXEC_LIMIT = 10;

/** Stops what runs of a pod; its restart policy says what happens next.
 * @returns the names of the containers
 * @throws GrpcError
 * @source KubeEdge edge/pkg/metamanager/metaserver, pods/restart */
export async function stopContainers(call: CriCall, pod: ObservedPod): Promise<string[]> {
  const running = pod.containers.filter(({ state }) => state === 'running');
  for (const { id } of running)
    await call('stopContainer', { containerId: id, timeout: STOP_GRACE }, seconds(STOP_GRACE + 10));
  return running.map(({ name }) => name);
}

/** Runs a command in a container, without input and without a terminal, for ten seconds at most.
 * @param container empty for the only one
 * @throws GrpcError */
export async function execInPod(
  call: CriCall,
  pod: ObservedPod,
  container: string,
  command: readonly string[],
): Promise<CommandResult | { missing: string }> {
  const found = runningContainer(pod, container);
  if (typeof found === 'string') return { missing: found };
  const request = { containerId: found.id, cmd: [...command], timeout: EXEC_LIMIT };
  const { stdout, stderr, exitCode } = await call('execSync', request, seconds(EXEC_LIMIT + 5));
  return { stdout: Buffer.from(stdout).toString(), stderr: Buffer.from(stderr).toString(), exitCode };
}

/** @param container empty for the only one
 * @returns why there is none to run a command in */
export function runningContainer(pod: ObservedPod, container: string): ObservedContainer | string {
  const running = pod.containers.filter(({ state }) => state === 'running');
  const wanted = container ? running.filter(({ name }) => name === container) : running;
  if (wanted.length > 1) return `a container must be named: ${wanted.map(({ name }) => name).join(', ')}`;
  return (
    wanted[0] ?? `no container ${container}${container ? ' ' : ''}of pod ${pod.namespace}/${pod.name} runs`
  );
}
